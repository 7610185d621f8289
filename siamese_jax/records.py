"""The arrays that move through the project, and the letters their shapes are written in.

    N  images            A  groups            B  pairs in a batch     R  one-shot episodes
    H  rows              W  columns           C  channels             D  embedding length
    K  classes and M authors of a group in a grid batch
    Q  queries of an episode     n_way, k_shot: classes of a trial, examples of each

An image is [H, W, C], uint8 in storage, and 0 is the background: paper, where 255 is full ink. A network sees float32
in [0, 1].
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jax import Array


class Words(NamedTuple):
    """What a source calls a group, a class and an author, in the singular; reports use these words."""

    group: str = "group"
    class_: str = "class"
    author: str = "author"


class Images(NamedTuple):
    """Images of classes, sorted by (group, class, author).

    Attributes:
      images: uint8 [N, H, W, C], 0 for the background; C is 1 for drawings and 3 for colour.
      class_index: int32 [N], from 0 over all groups.
      group_index: int32 [N], from 0; one-shot trials and "different" pairs stay within a group. Omniglot's groups are
        its alphabets.
      author: int32 [N], who made the image; -1 where that is unknown.
      group_names: one name per group.
      origins: one word per group, the part of the data set it was released in: "background" or "evaluation"; "unused"
        marks background that an experiment does not use. Empty if the data set was released as one.
      class_names: one name per class, or empty.
      author_names: names of the authors, indexed by `author`, or empty.
      words: the source's words for group, class and author.
      rows: int32 [N], the row of each image in the Images that these were selected from; None for a whole data set.
    """

    images: np.ndarray
    class_index: np.ndarray
    group_index: np.ndarray
    author: np.ndarray
    group_names: tuple[str, ...]
    origins: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    author_names: tuple[str, ...] = ()
    words: Words = Words()
    rows: np.ndarray | None = None


class Episodes(NamedTuple):
    """One-shot episodes (Lake's "runs"): every query of an episode is compared with all its supports.

    Attributes:
      support: int32 [R, n_way, k_shot], rows of an Images.
      query: int32 [R, Q], rows of the same Images.
      answer: int32 [R, Q] in [0, n_way), the class of each query.
    """

    support: Array | np.ndarray
    query: Array | np.ndarray
    answer: Array | np.ndarray


class Dataset(NamedTuple):
    """All images of a data set, and what is known about it beside them.

    Attributes:
      images: all images.
      episodes: the one-shot episodes that were released with them; None if there are none.
      sets: rows of the "train", "validation" and "test" images, ascending; None leaves the split to `sampling.splits`.
      files: the file of each image, below the folder of the data set; empty where they did not come from files.
      notes: what a user should know before training, in sentences.
    """

    images: Images
    episodes: Episodes | None = None
    sets: Mapping[str, np.ndarray] | None = None
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Layout(NamedTuple):
    """Where the images of each class stand among the rows of an Images; NumPy arrays.

    Attributes:
      class_start: int32 [K], the first row of each class.
      class_size: int32 [K], how many images it has.
      group_start: int32 [A], the first class of each group.
      group_size: int32 [A], how many classes it has.
      author: int32 [N], ascending within a class. Authors are numbered from 0, and each unknown one counts as another.
        None if all are unknown.
    """

    class_start: np.ndarray
    class_size: np.ndarray
    group_start: np.ndarray
    group_size: np.ndarray
    author: np.ndarray | None


class PairBatch(NamedTuple):
    """`left`, `right` [B, H, W, C] float32 in [0, 1]; `same` [B] float32, 1 for the same class, else 0."""

    left: Array
    right: Array
    same: Array


class GridBatch(NamedTuple):
    """Images [A, K, M, H, W, C] float32 in [0, 1]: A groups, K classes of each, each by the same M authors.

    `present` [A, K] bool is false where a group has fewer classes: those images stand in and do not count.
    """

    images: Array
    present: Array


class TrainState(NamedTuple):
    """All that training carries from step to step. `step` is an int32 scalar: updates made so far."""

    step: Array
    params: Any
    opt_state: Any
