"""Galleries as rows, no pixels: enrolled classes with one image each, and queries of enrolled and of other classes.

The classes that are not enrolled come from the same groups as those that are. That is the hard case, and the one that
occurs: who identifies characters of an alphabet meets others of this alphabet.

Galleries are sampled on the host, because their sizes differ: to compile a program for each would take longer.
"""

from typing import NamedTuple

import jax
import numpy as np
from jax import Array

from siamese_jax.errors import UserError
from siamese_jax.records import Layout
from siamese_jax.sampling.layout import serving


class Galleries(NamedTuple):
    """Galleries of N enrolled classes, with known and unknown queries.

    Attributes:
      support: int [R, N], one row of each enrolled class.
      query: int [R, N + U], rows by other authors than those of `support`. Query i of the first N is of class i; the
        last U are of classes that are not enrolled.
    """

    support: np.ndarray
    query: np.ndarray


def sample_galleries(key: Array, layout: Layout, galleries: int, enrolled: int, unknown: int) -> Galleries:
    """Sample galleries.

    Gallery r takes its classes from group r mod A, joined with as few of its neighbours as are needed for
    enrolled + unknown classes. Where classes have the same authors, all its queries are by one author, and all its
    supports by another.

    Args:
      key: a random key. Gallery r is a function of (key, r) alone.
      layout: where the images stand. Classes by fewer than two authors (where these are unknown, with fewer than two
        images) are left out.
      galleries: R, 1 or more.
      enrolled: N, 1 or more.
      unknown: U, 1 or more.

    Raises:
      UserError: there are too few classes.
    """
    classes, seed = enrolled + unknown, np.asarray(jax.random.key_data(key)).tolist()
    joined = _joined(layout, classes)
    sampled = [_sample(np.random.default_rng([*seed, index]), index, joined, classes) for index in range(galleries)]
    support, query = (np.stack(part) for part in zip(*sampled, strict=True))
    return Galleries(support[:, :enrolled], query)


def most_classes(layout: Layout) -> int:
    """Return how many classes the galleries of a layout can take in all, enrolled and unknown."""
    return len(serving(layout, authors=2, classes=1).class_size)


def _sample(generator: np.random.Generator, index: int, layout: Layout, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of supports and of queries, by two authors, of random classes of a group: int [classes] each."""
    group = index % len(layout.group_size)
    chosen = layout.group_start[group] + generator.permutation(layout.group_size[group])[:classes]
    size = layout.class_size[chosen]
    of_class = np.repeat(np.arange(classes), size)
    rows = np.arange(size.sum()) + np.repeat(layout.class_start[chosen] - (np.cumsum(size) - size), size)
    # Each image of nobody known counts as by another author.
    author = np.unique(rows if layout.author is None else layout.author[rows], return_inverse=True)[1]
    rank = generator.permutation(author.max() + 1)[author]
    order = np.lexsort((generator.random(len(rows)), rank, of_class))
    query = order[np.unique(of_class[order], return_index=True)[1]]
    others = order[author[order] != author[query][of_class[order]]]
    support = others[np.unique(of_class[others], return_index=True)[1]]
    return rows[support], rows[query]


def _joined(layout: Layout, classes: int) -> Layout:
    """Return the layout with each group joined with neighbours until it has enough classes; groups may overlap."""
    layout, there = serving(layout, authors=2, classes=1), most_classes(layout)
    if there < classes:
        raise UserError(
            f"there are {there} classes with images by two authors (where authors are unknown, with two images), and "
            f"galleries of {classes} classes, enrolled and unknown, need as many: add classes"
        )
    groups, spans = len(layout.group_size), []
    for group in range(groups):
        first, last = group, group + 1
        while layout.group_size[first:last].sum() < classes:
            first, last = (first, last + 1) if last < groups else (first - 1, last)
        spans.append((layout.group_start[first], layout.group_size[first:last].sum()))
    start, size = np.array(spans, np.int32).T
    return layout._replace(group_start=start, group_size=size)
