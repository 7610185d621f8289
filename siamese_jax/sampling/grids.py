"""Grids of images as rows, no pixels: some groups, some classes of each, and some images of each class.

Every image is compared with all others of its group, so that a batch holds many more pairs than images.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from siamese_jax.errors import UserError
from siamese_jax.records import Layout
from siamese_jax.sampling.classes import sample_classes, sample_images
from siamese_jax.sampling.layout import authors_of_classes, serving
from siamese_jax.specs import DataSpec


class Grid(NamedTuple):
    """A batch of images as rows.

    Attributes:
      rows: int32 [A, K, M], of A groups, K classes of each, M images of each class.
      present: bool [A, K], false where a group has fewer than K classes and a class is repeated.
      turns: int32 [A], how many times the images of a group are rotated by 90°.
    """

    rows: Array
    present: Array
    turns: Array


def check_grid(spec: DataSpec, layout: Layout) -> None:
    """Raise UserError unless the training images have the groups, classes and authors that a batch asks for."""
    authors = authors_of_classes(layout)
    by_group = np.split(authors, layout.group_start[1:])
    second_most = max((int(np.sort(group)[-2]) for group in by_group if len(group) > 1), default=0)
    _check_range(spec, "batch_drawers", 2, second_most)  # a batch compares two classes at least
    served = serving(layout, spec.batch_drawers, classes=2)
    _check_range(spec, "batch_alphabets", 1, len(served.group_size))
    _check_range(spec, "batch_characters", 2, int(np.max(served.group_size)))


def _check_range(spec: DataSpec, name: str, least: int, most: int) -> None:
    if not least <= getattr(spec, name) <= most:
        raise UserError(
            f"data.{name}={getattr(spec, name)} is out of range: "
            + (f"the training images allow {least} to {most}" if most >= least else "the training images allow none")
        )


def sample_grid(key: Array, layout: Layout, spec: DataSpec) -> Grid:
    """Sample some groups, all equally likely. From each take some classes, and from each class some images.

    Groups differ, and so do the classes of a group. The images of a class are by different authors; if authors are
    unknown, they are only different images. If all classes of a group have the same authors, one author made the image
    at position m of every class. A group with fewer classes than the batch asks for gives all of them, then repeats
    classes; `present` is false for the repeats.

    Args:
      key: a random key.
      layout: where the images stand. Classes by fewer than `batch_drawers` authors, and then groups with fewer than two
        classes, are left out.
      spec: sizes of the batch: `batch_alphabets`, `batch_characters`, `batch_drawers`, and `rotations`.
    """
    layout = serving(layout, spec.batch_drawers, classes=2)
    key_groups, key_each = jax.random.split(key)
    groups = jax.random.permutation(key_groups, len(layout.group_size))[: spec.batch_alphabets]
    places = jnp.arange(spec.batch_characters)

    def sample_group(key: Array, group: Array) -> tuple[Array, Array, Array]:
        key_classes, key_images, key_turn = jax.random.split(key, 3)
        count = jnp.asarray(layout.group_size)[group]
        classes = sample_classes(key_classes, layout, group)[places % count]
        rows = sample_images(key_images, layout, classes, spec.batch_drawers)
        return rows, places < count, jax.random.randint(key_turn, (), 0, 4 if spec.rotations else 1)

    return Grid(*jax.vmap(sample_group)(jax.random.split(key_each, spec.batch_alphabets), groups))
