"""The format `safetensors`: params.safetensors, the parameters as they are in JAX, and how they were made."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import safetensors
import safetensors.numpy
from flax.traverse_util import flatten_dict, unflatten_dict

from siamese_jax.export.exported import Exported
from siamese_jax.export.reading import reading
from siamese_jax.pretrained import Model
from siamese_jax.specs import to_nested
from siamese_jax.storage import files

PARAMS = "params.safetensors"


def write(model: Model, folder: Path) -> None:
    """Write the parameters by path, for example "stage1a/kernel". The metadata hold the experiment and the reading."""
    arrays = {name: np.asarray(array) for name, array in flatten_dict(model.params, sep="/").items()}
    metadata = {
        "format": "flax",
        "name": model.card.name,
        "licence": model.card.licence,
        "experiment": files.to_json(to_nested(model.experiment)),
        "reading": files.to_json(reading(model)),
    }
    files.write_bytes(folder / PARAMS, safetensors.numpy.save(arrays, metadata))


def read(model: Model, folder: Path) -> Exported:
    """Return what JAX computes with the parameters of the file."""
    params = unflatten_dict(safetensors.numpy.load((folder / PARAMS).read_bytes()), sep="/")
    loaded = dataclasses.replace(model, params=jax.tree.map(jax.numpy.asarray, params))
    return Exported(loaded.embed, loaded.scores, f"safetensors {safetensors.__version__}")
