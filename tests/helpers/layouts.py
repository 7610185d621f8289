"""Layouts of made-up data."""

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from siamese_jax.records import Images, Layout
from siamese_jax.sampling.layout import layout_of


def make_layout(counts: list[int], authors: int) -> Layout:
    """Groups with so many classes each; every class has one image by each author."""
    return ragged_layout([[list(range(authors))] * count for count in counts])


def ragged_layout(groups: list[list[list[int]]]) -> Layout:
    """The layout of `ragged_images`."""
    return layout_of(ragged_images(groups))


def ragged_images(groups: list[list[list[int]]]) -> Images:
    """Images from the authors of each class of each group, one author per image; -1 is unknown."""
    classes = [(group, sorted(authors)) for group, some in enumerate(groups) for authors in some]
    sizes = [len(authors) for _, authors in classes]
    return Images(
        images=np.zeros((sum(sizes), 1, 1, 1), np.uint8),
        class_index=np.repeat(np.arange(len(classes)), sizes).astype(np.int32),
        group_index=np.repeat([group for group, _ in classes], sizes).astype(np.int32),
        author=np.concatenate([authors for _, authors in classes]).astype(np.int32),
        group_names=tuple(str(group) for group in range(len(groups))),
    )


RAGGED = st.lists(
    st.lists(st.lists(st.integers(-1, 4), min_size=1, max_size=6), min_size=1, max_size=6), min_size=1, max_size=4
)
"""Authors of each image of each class of each group, for `ragged_layout`; some are unknown."""


class Rows(NamedTuple):
    """What each row is of, from a loop over the data instead of from the layout; arrays [N]."""

    group: np.ndarray
    class_: np.ndarray
    author: np.ndarray


def rows_of(groups: list[list[list[int]]]) -> Rows:
    """Return what each row of `ragged_layout(groups)` is of; unknown authors are numbered apart, from -1 down."""
    found, number, unknown = [], 0, 0
    for group, classes in enumerate(groups):
        for authors in classes:
            for author in sorted(authors):
                unknown -= author < 0
                found.append((group, number, unknown if author < 0 else author))
            number += 1
    return Rows(*(np.array(part) for part in zip(*found, strict=True)))


def classes_that_serve(groups: list[list[list[int]]], authors: int, classes: int) -> set[int]:
    """Return the classes by at least so many authors, of groups with at least so many of these classes."""
    rows, kept = rows_of(groups), set()
    for group in range(len(groups)):
        of_group = set(rows.class_[rows.group == group].tolist())
        enough = {c for c in of_group if len(set(rows.author[rows.class_ == c].tolist())) >= authors}
        kept |= enough if len(enough) >= classes else set()
    return kept
