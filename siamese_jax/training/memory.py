"""The memory that training takes at least, from shapes alone: what cannot fit is refused before it is compiled."""

import functools
import math

import jax

from siamese_jax import keys
from siamese_jax.devices import memory_limit
from siamese_jax.errors import UserError
from siamese_jax.network.siamese import Params, build, init_params
from siamese_jax.specs import Experiment, NetSpec

Shape = tuple[int, int, int]

COPIES = 4
"""Of the parameters, in training: themselves, the optimizer's state, the best ones so far, and the gradients."""


def check_network(experiment: Experiment) -> None:
    """Raise UserError if the parameters, with what is kept for each, need more memory than there is."""
    limit = memory_limit()
    if limit is None:
        return
    sizes = _parameters(experiment.network, experiment.data.image_shape)
    needed, largest = COPIES * sum(sizes.values()), max(sizes, key=lambda name: sizes[name])
    if needed > limit.bytes:
        raise UserError(
            f"training this network takes at least {gigabytes(needed)} of memory, and {limit.of} "
            f"{gigabytes(limit.bytes)}: make it smaller, for example with --network.units; {largest} alone has "
            f"{gigabytes(sizes[largest])}"
        )


def check_batches(experiment: Experiment) -> None:
    """Raise UserError if a batch of training, or one of images to embed, needs more memory than there is.

    What a step keeps for its gradients is counted of the images, the outputs of ReLUs and the embeddings alone: the
    real need is some times as large.
    """
    if memory_limit() is None:
        return
    data, shape = experiment.data, experiment.data.image_shape
    stored = math.prod(shape)  # bytes of an image; as an input it has four each
    if experiment.loss.of_grids:
        images, named = data.batch_alphabets * data.batch_characters * data.batch_drawers, "data.batch_characters"
    else:
        images, named = 2 * experiment.batch_size, "batch_size"
    _check(images, 5 * stored + _activations(experiment.network, shape), named)
    check_embedding(experiment)


def check_embedding(experiment: Experiment) -> None:
    """Raise UserError if a batch of images to embed needs more memory than there is."""
    _check(experiment.evaluation.embed_batch, 5 * math.prod(experiment.data.image_shape), "evaluation.embed_batch")


def _check(count: int, each: int, field: str) -> None:
    """Raise UserError if `count` images of `each` bytes need more memory than there is; `field` sets their number."""
    limit, needed = memory_limit(), count * each
    if limit is not None and needed > limit.bytes:
        raise UserError(
            f"a batch of {count:,} images takes at least {gigabytes(needed)} of memory, and {limit.of} "
            f"{gigabytes(limit.bytes)}: lower --{field}"
        )


def gigabytes(number: int) -> str:
    """Return a number of bytes in words, with two or three digits."""
    value = number / 1e9
    return f"{value:,.0f} GB" if value >= 10 else f"{value:.1f} GB" if value >= 0.1 else f"{value:.3f} GB"


@functools.lru_cache(maxsize=100)
def _parameters(network: NetSpec, shape: Shape) -> dict[str, int]:
    """Return the bytes of each array of parameters, by path."""
    leaves = jax.tree.leaves_with_path(_shapes(network, shape))
    return {jax.tree_util.keystr(path, simple=True, separator="/"): _bytes(leaf) for path, leaf in leaves}


@functools.lru_cache(maxsize=100)
def _activations(network: NetSpec, shape: Shape) -> int:
    """Return the bytes that an image's embedding and the outputs of ReLUs take."""
    image = jax.ShapeDtypeStruct(shape, "float32")
    made = jax.eval_shape(build(network).embed_and_report, _shapes(network, shape), image)
    return sum(map(_bytes, jax.tree.leaves(made)))


def _shapes(network: NetSpec, shape: Shape) -> Params:
    return jax.eval_shape(lambda key: init_params(key, network, shape), keys.root_key(0))


def _bytes(leaf: jax.ShapeDtypeStruct) -> int:
    return math.prod(leaf.shape) * leaf.dtype.itemsize
