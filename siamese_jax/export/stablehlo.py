"""The format `stablehlo`: embed.stablehlo and compare.stablehlo, by `jax.export`, for CPUs, GPUs and TPUs.

JAX reads such a file for six months after the release that wrote it, and an older release may read it for three weeks.
"""

import functools
from pathlib import Path

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from siamese_jax.export.exported import Exported
from siamese_jax.network.siamese import build
from siamese_jax.pretrained import Model
from siamese_jax.storage import files

EMBED, COMPARE = "embed.stablehlo", "compare.stablehlo"
PLATFORMS = ("cpu", "cuda", "tpu")


def write(model: Model, folder: Path) -> None:
    """Write both files. The parameters are constants in them."""
    net, combine = build(model.experiment.network), model.experiment.evaluation.combine
    (images,) = jax.export.symbolic_shape("n")
    queries, classes, supports = jax.export.symbolic_shape("q, n, k")
    length = model.embedding_size

    def compare(queries: jax.Array, supports: jax.Array) -> jax.Array:
        return net.trial_logits(model.params, supports, queries, combine)

    export = functools.partial(jax.export.export, platforms=PLATFORMS)
    embed = jax.jit(functools.partial(net.embed_images, model.params))
    found = {
        EMBED: export(embed)(jax.ShapeDtypeStruct((images, *model.experiment.data.image_shape), jnp.uint8)),
        COMPARE: export(jax.jit(compare))(
            jax.ShapeDtypeStruct((queries, length), jnp.float32),
            jax.ShapeDtypeStruct((classes, supports, length), jnp.float32),
        ),
    }
    for name, exported in found.items():
        files.write_bytes(folder / name, bytes(exported.serialize()))


def read(model: Model, folder: Path) -> Exported:
    """Return what JAX computes with the files of a folder."""
    embed, compare = (
        jax.jit(jax.export.deserialize(bytearray((folder / name).read_bytes())).call) for name in (EMBED, COMPARE)
    )
    return Exported(
        lambda images: np.asarray(embed(images)),
        lambda queries, supports: np.asarray(compare(queries, supports)),
        f"jax {jax.__version__}",
    )
