"""Where the images of each class stand, and which classes can be sampled from.

A layout is made once, on the host. Its arrays are NumPy's, so that they are constants of a compiled program.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array

from siamese_jax.errors import UserError
from siamese_jax.records import Images, Layout


def layout_of(images: Images) -> Layout:
    """Return the layout of images that are sorted by group, class and author.

    Raises:
      UserError: the images are not sorted in this way, or a class is in two groups.
    """
    group, class_, author = (np.asarray(part) for part in (images.group_index, images.class_index, images.author))
    order = np.lexsort((author, class_, group))
    if (np.diff(order) < 0).any() or (np.diff(class_) < 0).any():
        raise UserError(
            "the images are not sorted by group, class and author: take all their arrays by "
            "np.lexsort((author, class_index, group_index)), with classes numbered in this order"
        )
    class_start, class_size = np.unique(class_, return_index=True, return_counts=True)[1:]
    of_class = group[class_start]
    if (np.repeat(of_class, class_size) != group).any():
        raise UserError("a class is in two groups: number the classes of each group apart")
    group_start, group_size = np.unique(of_class, return_index=True, return_counts=True)[1:]
    return Layout(
        class_start=class_start.astype(np.int32),
        class_size=class_size.astype(np.int32),
        group_start=group_start.astype(np.int32),
        group_size=group_size.astype(np.int32),
        author=_number(author),
    )


def authors_of_classes(layout: Layout) -> np.ndarray:
    """Return how many authors each class [K] has; where authors are unknown, how many images."""
    if layout.author is None:
        return np.asarray(layout.class_size)
    return np.array([len(set(author)) for author in np.split(layout.author, layout.class_start[1:])])


def serving(layout: Layout, authors: int, classes: int) -> Layout:
    """Return the part of a layout that can serve: it may be empty.

    Classes with images by fewer than `authors` authors (where these are unknown, with fewer images) are left out, then
    groups with fewer than `classes` classes. Rows stay what they are.
    """
    kept = authors_of_classes(layout) >= authors
    group = np.repeat(np.arange(len(layout.group_size)), layout.group_size)
    kept &= np.bincount(group[kept], minlength=len(layout.group_size))[group] >= classes
    size = np.unique(group[kept], return_counts=True)[1].astype(np.int32)
    return layout._replace(
        class_start=layout.class_start[kept],
        class_size=layout.class_size[kept],
        group_start=np.cumsum(size, dtype=np.int32) - size,
        group_size=size,
    )


def rows_of_author(layout: Layout, class_: Array, author: Array) -> tuple[Array, Array]:
    """Return where the images of an author stand among those of a class: from `begin` to before `end`; int32 []."""
    start, size = jnp.asarray(layout.class_start)[class_], jnp.asarray(layout.class_size)[class_]

    def images_before(author: Array) -> Array:
        """Binary search: how many images of the class have an author with a lower number."""
        low, high = jnp.zeros_like(size), size
        for _ in range(int(np.max(layout.class_size)).bit_length()):
            middle = (low + high) // 2
            lower = (low < high) & (jnp.asarray(layout.author)[start + jnp.minimum(middle, size - 1)] < author)
            low, high = jnp.where(lower, middle + 1, low), jnp.where(lower, high, middle)
        return low

    return images_before(author), images_before(author + 1)


def examples(images: Images, classes: int, authors: int) -> np.ndarray:
    """Return some images as a grid, uint8 [K, M, H, W, C]: K classes, spread evenly over all, with M images of each.

    K is at most `classes`, and M at most `authors`; classes with fewer than M images are left out. M is smaller where
    fewer than two classes have so many.
    """
    layout = layout_of(images)
    each = min(authors, int(np.sort(layout.class_size)[-2:][0]))
    start = layout.class_start[layout.class_size >= each]
    chosen = start[np.linspace(0, len(start) - 1, min(classes, len(start))).astype(int)]
    return images.images[chosen[:, None] + np.arange(each)]


def _number(author: np.ndarray) -> np.ndarray | None:
    """Return authors numbered from 0 in ascending order; each unknown one counts as another. None: all are unknown."""
    unknown = author < 0
    if unknown.all():
        return None
    number = np.empty(len(author), np.int32)
    number[unknown] = np.arange(unknown.sum())
    number[~unknown] = unknown.sum() + np.unique(author[~unknown], return_inverse=True)[1]
    return number
