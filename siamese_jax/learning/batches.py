"""Training batches, drawn on the device: a batch is a function of (key, step), so nothing has to be kept to resume."""

import jax
import jax.numpy as jnp
from jax import Array

from siamese_jax import keys
from siamese_jax.errors import UserError
from siamese_jax.images.distort import IDENTITY, Warp, apply_warp, sample_warp, turned, without
from siamese_jax.network.siamese import as_input
from siamese_jax.records import GridBatch, Layout, PairBatch
from siamese_jax.sampling.grids import sample_grid
from siamese_jax.sampling.pairs import sample_pair, sample_triplet
from siamese_jax.sampling.permutation import shuffled
from siamese_jax.specs import Experiment


def examples_per_epoch(experiment: Experiment) -> int:
    """Pairs in an epoch; a fixed set holds its distorted copies, too."""
    data, distort = experiment.data, experiment.distort
    return data.train_pairs if data.redraw else data.train_pairs * (1 + distort.copies)


def steps_per_epoch(experiment: Experiment) -> int:
    """Full batches in one pass over the training set; what is left over waits for another epoch's order.

    Grid batches are no pass over anything: an epoch has as many as `data.epoch_steps` says.
    """
    if experiment.loss.of_grids:
        return experiment.data.epoch_steps
    if experiment.data.rotations:
        raise UserError(
            f"data.rotations=True turns alphabets of grid batches: take loss.name=all_pairs or n_way, not "
            f"{experiment.loss.name}"
        )
    examples = examples_per_epoch(experiment)
    if examples >= 2**31:
        raise UserError(f"an epoch of {examples:,} pairs is too long to number: take fewer than 2**31")
    if not 1 <= experiment.batch_size <= examples:
        raise UserError(f"batch_size={experiment.batch_size} is out of range: an epoch has {examples} pairs")
    if experiment.batch_size % _together(experiment):
        raise UserError(f"batch_size={experiment.batch_size} is odd: loss.name=triplet takes pairs two by two")
    return examples // experiment.batch_size


def pairs_per_step(experiment: Experiment) -> int:
    """Pairs of images that a batch trains on: of a grid, all within an alphabet, or by two drawers for `n_way`."""
    data = experiment.data
    if not experiment.loss.of_grids:
        return experiment.batch_size
    images = data.batch_characters * data.batch_drawers
    by_one_drawer = data.batch_characters if experiment.loss.name == "n_way" else 1
    return data.batch_alphabets * images * (images - by_one_drawer) // 2


def sample_batch(
    key: Array, step: Array, images: Array, layout: Layout, experiment: Experiment
) -> PairBatch | GridBatch:
    """Draws the batch of `step` from the training images, uint8 [N, H, W, C]."""
    draw = _sample_grids if experiment.loss.of_grids else _sample_pairs
    return draw(key, step, images, layout, experiment)


def _sample_grids(key: Array, step: Array, images: Array, layout: Layout, experiment: Experiment) -> GridBatch:
    """Draws a grid; unless `distort.copies` is 0 every image is distorted, each on its own."""
    distort, shape = experiment.distort, images.shape[1:]
    rows, present, turns = sample_grid(keys.stream(key, "grids", step), layout, experiment.data)
    drawn = as_input(images[rows])

    def distorted(key: Array, turn: Array, image: Array) -> Array:
        warp = sample_warp(key, distort, shape[:2]) if distort.copies else Warp(IDENTITY)
        return apply_warp(image, turned(warp, turn))

    if distort.copies or experiment.data.rotations:
        each = jax.random.split(keys.stream(key, "grid distortions", step), rows.size)
        turns = jnp.broadcast_to(turns[:, None, None], rows.shape).ravel()
        drawn = jax.vmap(distorted)(each, turns, drawn.reshape(-1, *shape)).reshape(drawn.shape)
    return GridBatch(drawn, present)


def _sample_pairs(key: Array, step: Array, images: Array, layout: Layout, experiment: Experiment) -> PairBatch:
    """Draws pairs.

    A fixed set has each pair once as it is and `distort.copies` times distorted, each image of a pair on its own; an
    epoch is a pass over the set in an order of its own (paper, sections 3.2 and 4.3). For the triplet loss, pairs 2i
    and 2i + 1 are a triplet's: its anchor with the positive, and with the negative.
    """
    data, distort = experiment.data, experiment.distort
    together = _together(experiment)
    examples, batch = examples_per_epoch(experiment) // together, experiment.batch_size // together
    epoch, first = step // steps_per_epoch(experiment), step % steps_per_epoch(experiment) * batch
    set_epoch = epoch if data.redraw else 0
    key_order = keys.stream(key, "order", epoch)
    key_pairs = keys.stream(key, "pairs", set_epoch)
    key_distort = keys.stream(key, "distortions", set_epoch)
    versions = 1 + distort.copies

    def draw_example(position: Array) -> PairBatch:
        example = shuffled(key_order, position, examples)
        key_plain, *key_images = jax.random.split(jax.random.fold_in(key_distort, example), 1 + 2 * together)
        pair = example if data.redraw else example // versions
        plain = jax.random.randint(key_plain, (), 0, versions) == 0 if data.redraw else example % versions == 0
        if together == 1:
            left, right, same = sample_pair(key_pairs, pair, layout, data.different_drawers)
            rows, same = jnp.stack([left, right]), same[None]
        else:
            anchor, positive, negative = sample_triplet(key_pairs, pair, layout, data.different_drawers)
            rows, same = jnp.stack([anchor, positive, anchor, negative]), jnp.array([True, False])
        drawn = as_input(images[rows])
        if distort.copies:
            draw = jax.vmap(lambda key: without(sample_warp(key, distort, images.shape[1:3]), plain))
            drawn = jax.vmap(apply_warp)(drawn, draw(jnp.stack(key_images)))
        return PairBatch(drawn[0::2], drawn[1::2], same.astype(jnp.float32))

    drawn = jax.vmap(draw_example)(first + jnp.arange(batch))
    return PairBatch(*(part.reshape(-1, *part.shape[2:]) for part in drawn))


def _together(experiment: Experiment) -> int:
    """Pairs that are drawn as one: two for a triplet."""
    return 2 if experiment.loss.name == "triplet" else 1
