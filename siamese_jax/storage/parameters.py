"""params.npz: the parameters of a network, one array per leaf, named by its path, for example "stage1a/kernel"."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from siamese_jax.errors import UserError
from siamese_jax.storage.array_files import opened, write_arrays


def write_params(path: Path, params: Mapping[str, Any]) -> None:
    """Write nested dicts of arrays; UserError if that fails."""
    arrays = flatten_dict(params, sep="/")
    write_arrays(path, {name: np.asarray(array) for name, array in arrays.items()})


def read_params(path: Path, shapes: Mapping[str, Any]) -> dict[str, Any]:
    """Read the parameters of a network. The file is not trusted: nothing is unpickled, and no more is read than fits.

    Args:
      path: A file by `write_params`.
      shapes: What it must hold: nested dicts of `jax.ShapeDtypeStruct`, as `jax.eval_shape` returns them.

    Returns:
      Nested dicts of numpy arrays, of the shapes and dtypes wanted.

    Raises:
      UserError: The file is missing or damaged, or an array is missing, unknown, of another shape or dtype, or not
        finite.
    """
    wanted: dict[str, Any] = flatten_dict(shapes, sep="/")
    size = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in wanted.values())
    with opened(path, size) as stored:
        for names, what in ((wanted.keys() - stored, "lacks"), (stored.keys() - wanted, "has the unknown")):
            if names:
                raise _misfit(path, f"it {what} parameters {min(names)!r:.100}")
        for name, leaf in wanted.items():
            if (stored[name].shape, stored[name].dtype) != (leaf.shape, leaf.dtype):
                here = f"{stored[name].dtype} {list(stored[name].shape)}"
                raise _misfit(path, f"{name!r} is {here}, not {leaf.dtype} {list(leaf.shape)}")
        return unflatten_dict({name: _finite(path, name, stored[name].read()) for name in wanted}, sep="/")


def _finite(path: Path, name: str, array: np.ndarray) -> np.ndarray:
    if not np.isfinite(array).all():
        raise _misfit(path, f"{name!r} has values that are not finite")
    return array


def _misfit(path: Path, reason: str) -> UserError:
    return UserError(f"{path} does not fit the network of its experiment.json: {reason}; restore both files")
