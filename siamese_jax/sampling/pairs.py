"""Pairs and triplets of images as rows, no pixels: pair `index` of a set is a function of (key, index) alone.

So a set of any size needs no memory, and any part of it can be sampled anywhere, in any order.
"""

import jax
import jax.numpy as jnp
from jax import Array

from siamese_jax.errors import UserError
from siamese_jax.records import Layout
from siamese_jax.sampling.layout import rows_of_author, serving


def layout_for_pairs(layout: Layout) -> Layout:
    """Return the part of a layout that pairs are sampled from.

    A class needs images by two authors, or two images where authors are unknown; a group needs two of these classes.
    So a class is as often in a "same" pair as in a "different" one, and does not reveal the answer.

    Raises:
      UserError: no group serves.
    """
    found = serving(layout, authors=2, classes=2)
    if not len(found.group_size):
        raise UserError(
            "no pairs can be sampled: no group has two classes with images by two authors (where authors are unknown, "
            "with two images); add images, or put classes into one group"
        )
    return found


def check_pair_count(pairs: int, layout: Layout, what: str) -> None:
    """Raise UserError unless `pairs` pairs can be split evenly by group, and half and half into same and different."""
    groups = len(layout_for_pairs(layout).group_size)
    least = 2 * groups
    if pairs < least or pairs % least:
        nearest = max(1, round(pairs / least)) * least
        raise UserError(
            f"{what}={pairs} must be a multiple of {least} ({groups} groups × same and different), "
            f"for example {nearest}"
        )


def sample_pair(
    key: Array, index: Array | int, layout: Layout, different_authors: bool = True
) -> tuple[Array, Array, Array]:
    """Sample pair `index` of the set that `key` names (Koch et al. 2015, section 4.1).

    Every 2A indices in a row hold each of the A groups once as "same" and once as "different". Both images are of one
    group. A "same" pair is two images of one class by two authors. A "different" pair is images of two classes.

    Args:
      key: names the set.
      index: int32 [], from 0.
      layout: where the images stand; what `layout_for_pairs` leaves out is not sampled.
      different_authors: whether the images of a "different" pair have two authors, too, or any. Each unknown author
        counts as another.

    Returns:
      Rows `left` and `right`, int32 [], and `same`, bool [].
    """
    layout = layout_for_pairs(layout)
    groups = len(layout.group_size)
    same = jnp.asarray((index // groups) % 2 == 0)
    left, right = _sample(jax.random.fold_in(key, index), index % groups, same, layout, different_authors)
    return left, right, same


def sample_triplet(
    key: Array, index: Array | int, layout: Layout, different_authors: bool = True
) -> tuple[Array, Array, Array]:
    """Sample triplet `index` of the set that `key` names: a "same" and a "different" pair with an image in common.

    Every A indices in a row hold each of the A groups once.

    Args:
      key: names the set.
      index: int32 [], from 0.
      layout: as in `sample_pair`.
      different_authors: as in `sample_pair`.

    Returns:
      Rows `anchor`, `positive` and `negative`, int32 [].
    """
    layout = layout_for_pairs(layout)
    key, group = jax.random.fold_in(key, index), index % len(layout.group_size)
    anchor, positive = _sample(key, group, True, layout, different_authors)
    _, negative = _sample(key, group, False, layout, different_authors)  # the same key: the same anchor
    return anchor, positive, negative


def _sample(
    key: Array, group: Array | int, same: Array | bool, layout: Layout, different_authors: bool
) -> tuple[Array, Array]:
    """Return the rows of two images of a group."""
    key_class, key_other, key_image, key_second = jax.random.split(key, 4)
    first, count = jnp.asarray(layout.group_start)[group], jnp.asarray(layout.group_size)[group]
    class_start, class_size = jnp.asarray(layout.class_start), jnp.asarray(layout.class_size)
    class_ = jax.random.randint(key_class, (), 0, count)
    other = (class_ + jax.random.randint(key_other, (), 1, count)) % count
    left_class, right_class = first + class_, first + jnp.where(same, class_, other)
    position = jax.random.randint(key_image, (), 0, class_size[left_class])
    left = class_start[left_class] + position
    if layout.author is None:  # nothing is left out but the image itself
        begin, end = jnp.where(same, position, 0), jnp.where(same, position + 1, 0)
    else:
        begin, end = rows_of_author(layout, right_class, jnp.asarray(layout.author)[left])
        end = end if different_authors else jnp.where(same, end, begin)
    # From `end` on around the circle, so that the images from `begin` to `end` are left out.
    size = class_size[right_class]
    second = (end + jax.random.randint(key_second, (), 0, size - (end - begin))) % size
    return left, class_start[right_class] + second
