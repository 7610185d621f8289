"""Random classes of a group, and random images of classes, as rows; no pixels."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from siamese_jax import keys
from siamese_jax.records import Layout


def sample_classes(key: Array, layout: Layout, group: Array) -> Array:
    """Return the classes of a group in random order.

    Returns:
      int32 [the most classes that a group has]. After the classes of the group come others, which do not count.
    """
    first, count = jnp.asarray(layout.group_start)[group], jnp.asarray(layout.group_size)[group]
    most = int(np.max(layout.group_size))
    # Sorted by a random number, with what the group does not have at the end.
    return first + jnp.argsort(jnp.where(jnp.arange(most) < count, jax.random.uniform(key, (most,)), 2.0))


def sample_images(key: Array, layout: Layout, classes: Array, count: int) -> Array:
    """Sample images of classes: `count` of each, by different authors where these are known.

    The authors are put in one random order, and each class takes the first ones of whom it has an image. So where
    classes have the same authors, column i of the result is by one author.

    Args:
      key: a random key.
      layout: where the images stand.
      classes: int32 [K], each with images by at least `count` authors.
      count: images of each class.

    Returns:
      int32 [K, count], rows.
    """
    start, size = jnp.asarray(layout.class_start)[classes], jnp.asarray(layout.class_size)[classes]
    if layout.author is None:
        return start[:, None] + sample_different(jax.random.split(key, count), size)
    authors = int(np.max(layout.author)) + 1
    place = jnp.argsort(jax.random.permutation(key, authors))
    column = jnp.arange(int(np.max(layout.class_size)))[None, :]
    rows = start[:, None] + jnp.minimum(column, size[:, None] - 1)
    of_image = jnp.where(column < size[:, None], place[jnp.asarray(layout.author)[rows]], authors)
    # The images of an author come in random order, and only the first of them counts.
    order = jnp.lexsort((jax.random.uniform(keys.stream(key, "images"), rows.shape), of_image), axis=-1)
    in_order = jnp.take_along_axis(of_image, order, axis=-1)
    repeated = jnp.diff(in_order, axis=-1, prepend=-1) == 0
    chosen = jnp.argsort(repeated, axis=-1, stable=True)[:, :count]
    return jnp.take_along_axis(rows, jnp.take_along_axis(order, chosen, axis=-1), axis=-1)


def sample_different(key_of_each: Sequence[Array] | Array, size: Array) -> Array:
    """Sample different numbers from 0 to below `size`: one for each key, all sets equally likely.

    Args:
      key_of_each: random keys, at most as many as the least size.
      size: int32 [K].

    Returns:
      int32 [K, keys].
    """
    first_key, *other_keys = key_of_each
    first = jax.random.randint(first_key, size.shape, 0, size)
    steps = jnp.zeros((*size.shape, 0), jnp.int32)  # from the first number to the others, around the circle
    for count, key in enumerate(other_keys, start=1):
        step = jax.random.randint(key, size.shape, 1, size - count + 1)
        for taken in jnp.moveaxis(jnp.sort(steps, axis=-1), -1, 0):
            step = step + (step >= taken)
        steps = jnp.concatenate([steps, step[..., None]], axis=-1)
    return jnp.concatenate([first[..., None], (first[..., None] + steps) % size[..., None]], axis=-1)
