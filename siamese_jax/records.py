"""The arrays that move through the project, and the letters their shapes are written in.

    N  images            A  alphabets         B  pairs in a batch     R  one-shot runs
    H  rows              W  columns           C  channels (1)         D  embedding length
    K  characters and M  drawers of an alphabet in a grid batch
    Q  queries of a run  n_way, k_shot: classes of a trial, examples of each

An image is uint8, 0 for paper, 255 for full ink, [H, W] in storage; a network sees float32 in [0, 1], [H, W, 1].
"""

from typing import Any, NamedTuple

import numpy as np
from jax import Array
from jax.typing import ArrayLike


class Alphabets(NamedTuple):
    """Images with who drew what, sorted by (alphabet, character, drawer); every character has one image by each drawer.

    `alphabet` [N] int32 indexes `names` and `origins`; `character` [N] int32 counts from 0 over all alphabets;
    `drawer` [N] int32 is 1-20, or 0 where nobody knows. `origins` says in which part each alphabet was released:
    "background" or "evaluation"; "unused" is background that an experiment does without.
    """

    images: np.ndarray
    alphabet: np.ndarray
    character: np.ndarray
    drawer: np.ndarray
    names: tuple[str, ...]
    origins: tuple[str, ...]


class Runs(NamedTuple):
    """One-shot runs as rows of an Alphabets: each query is compared with all supports of its run.

    `support` [R, n_way, k_shot] int32, `query` [R, Q] int32 rows; `answer` [R, Q] int32 in [0, n_way).
    """

    support: ArrayLike
    query: ArrayLike
    answer: ArrayLike


class Dataset(NamedTuple):
    """All images of a data set and the one-shot runs released with it."""

    alphabets: Alphabets
    runs: Runs


class Layout(NamedTuple):
    """Where the characters of each alphabet stand: image row = character * drawers + position of the drawer.

    `first` [A] int32 is an alphabet's first character, `count` [A] int32 how many it has; `drawers` is an int.
    """

    first: ArrayLike
    count: ArrayLike
    drawers: int


class PairBatch(NamedTuple):
    """`left`, `right` [B, H, W, 1] float32 in [0, 1]; `same` [B] float32, 1 for the same character, else 0."""

    left: Array
    right: Array
    same: Array


class GridBatch(NamedTuple):
    """Images [A, K, M, H, W, 1] float32 in [0, 1]: A alphabets, of each K characters, of each M drawers.

    `present` [A, K] bool is false where an alphabet has fewer characters: those images stand in and do not count.
    """

    images: Array
    present: Array


class TrainState(NamedTuple):
    """All that training carries from step to step. `step` is an int32 scalar: updates made so far."""

    step: Array
    params: Any
    opt_state: Any
