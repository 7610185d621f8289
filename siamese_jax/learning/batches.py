"""Training batches, sampled on the device. A batch is a function of (key, step): resuming needs no saved iterator."""

import jax
import jax.numpy as jnp
from jax import Array

from siamese_jax import keys
from siamese_jax.errors import UserError
from siamese_jax.images.colour import apply_tint, sample_tint
from siamese_jax.images.distort import IDENTITY, Warp, apply_warp, sample_warp, turned, without
from siamese_jax.network.siamese import as_input
from siamese_jax.records import GridBatch, Layout, PairBatch
from siamese_jax.sampling.grids import sample_grid
from siamese_jax.sampling.pairs import sample_pair, sample_triplet
from siamese_jax.sampling.permutation import shuffled
from siamese_jax.specs import DistortSpec, Experiment


def examples_per_epoch(experiment: Experiment) -> int:
    """Return the number of pairs in an epoch; a fixed set includes its distorted copies."""
    data, distort = experiment.data, experiment.distort
    return data.train_pairs if data.redraw else data.train_pairs * (1 + distort.copies)


def steps_per_epoch(experiment: Experiment) -> int:
    """Return the number of steps in an epoch.

    An epoch of pairs has the full batches of one pass over the set. The rest is left out, another one in each epoch. An
    epoch of grids has `data.epoch_steps` steps.

    Raises:
      UserError: the batches do not fit the epoch or the loss.
    """
    if experiment.loss.of_grids:
        return experiment.data.epoch_steps
    if experiment.data.rotations:
        raise UserError(
            f"data.rotations=True needs batches of grids: take loss.name=all_pairs or n_way instead of "
            f"{experiment.loss.name}"
        )
    examples = examples_per_epoch(experiment)
    if examples >= 2**31:
        raise UserError(f"an epoch has {examples:,} pairs, and 2**31 are too many: lower data.train_pairs")
    if not 1 <= experiment.batch_size <= examples:
        raise UserError(f"batch_size={experiment.batch_size} is out of range: an epoch has {examples} pairs")
    if experiment.batch_size % _together(experiment):
        raise UserError(
            f"batch_size={experiment.batch_size} is odd, and loss.name=triplet needs an even number: take "
            f"{experiment.batch_size + 1}"
        )
    return examples // experiment.batch_size


def pairs_per_step(experiment: Experiment) -> int:
    """Return how many pairs a batch trains on: for grids all pairs of a group, for `n_way` those by two authors."""
    data = experiment.data
    if not experiment.loss.of_grids:
        return experiment.batch_size
    images = data.batch_characters * data.batch_drawers
    by_one_author = data.batch_characters if experiment.loss.name == "n_way" else 1
    return data.batch_alphabets * images * (images - by_one_author) // 2


def sample_batch(
    key: Array, step: Array, images: Array, layout: Layout, experiment: Experiment
) -> PairBatch | GridBatch:
    """Sample the batch of a step.

    Args:
      key: the root key of the run.
      step: int32 [], from 0.
      images: the training images, uint8 [N, H, W, C].
      layout: where the images stand.
      experiment: which batches, and how they are distorted.
    """
    sample = _sample_grids if experiment.loss.of_grids else _sample_pairs
    return sample(key, step, images, layout, experiment)


def _sample_grids(key: Array, step: Array, images: Array, layout: Layout, experiment: Experiment) -> GridBatch:
    """Sample a grid. Every image is distorted separately, unless `distort.copies` is 0."""
    distort, (height, width, channels) = experiment.distort, images.shape[1:]
    rows, present, turns = sample_grid(keys.stream(key, "grids", step), layout, experiment.data)
    grid = as_input(images[rows])

    def distorted(key: Array, turn: Array, image: Array) -> Array:
        warp = sample_warp(key, distort, (height, width)) if distort.copies else Warp(IDENTITY)
        warped = apply_warp(image, turned(warp, turn))
        return _tinted(key, warped, distort) if distort.copies else warped

    if distort.copies or experiment.data.rotations:
        each = jax.random.split(keys.stream(key, "grid distortions", step), rows.size)
        turns = jnp.broadcast_to(turns[:, None, None], rows.shape).ravel()
        grid = jax.vmap(distorted)(each, turns, grid.reshape(-1, height, width, channels)).reshape(grid.shape)
    return GridBatch(grid, present)


def _sample_pairs(key: Array, step: Array, images: Array, layout: Layout, experiment: Experiment) -> PairBatch:
    """Sample pairs.

    A fixed set has each pair once undistorted and `distort.copies` times distorted, with both images distorted
    separately. An epoch is a pass over the set, and each epoch has another order (paper, sections 3.2 and 4.3). For the
    triplet loss, pairs 2i and 2i + 1 have the anchor in common: the first with the positive, the second with the
    negative.
    """
    data, distort, (height, width) = experiment.data, experiment.distort, images.shape[1:3]
    together = _together(experiment)
    examples, batch = examples_per_epoch(experiment) // together, experiment.batch_size // together
    epoch, first = step // steps_per_epoch(experiment), step % steps_per_epoch(experiment) * batch
    set_epoch = epoch if data.redraw else 0
    key_order = keys.stream(key, "order", epoch)
    key_pairs = keys.stream(key, "pairs", set_epoch)
    key_distort = keys.stream(key, "distortions", set_epoch)
    versions = 1 + distort.copies

    def sample_example(position: Array) -> PairBatch:
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
        shown = as_input(images[rows])
        if distort.copies:
            warps = jax.vmap(lambda key: without(sample_warp(key, distort, (height, width)), plain))
            shown = jax.vmap(apply_warp)(shown, warps(jnp.stack(key_images)))
            if distort.colour:
                coloured = jax.vmap(lambda key, image: _tinted(key, image, distort))(jnp.stack(key_images), shown)
                shown = jnp.where(plain, shown, coloured)
        return PairBatch(shown[0::2], shown[1::2], same.astype(jnp.float32))

    found = jax.vmap(sample_example)(first + jnp.arange(batch))
    return PairBatch(*(part.reshape(-1, *part.shape[2:]) for part in found))


def _tinted(key: Array, image: Array, distort: DistortSpec) -> Array:
    """Return an image [H, W, C] with a random change of colour; its stream is apart from that of the warp."""
    if not distort.colour:
        return image
    return apply_tint(image, sample_tint(keys.stream(key, "tint"), distort, image.shape[-1]))


def _together(experiment: Experiment) -> int:
    """Return how many pairs are sampled as one: two for a triplet."""
    return 2 if experiment.loss.name == "triplet" else 1
