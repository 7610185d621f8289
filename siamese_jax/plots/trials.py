"""Trials as the network saw them: one whole trial, the hardest ones, and the characters it confuses."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import chex
import numpy as np

from siamese_jax.plots.style import BLUE, MARGIN, ORANGE, PALE, Box, blank, entitle, heading, ink, place, spoken, write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUPPORT = 1.2
SMALL = 0.85
"""Sides of images, in inches."""


class HardTrial(NamedTuple):
    """A query, its right support and the wrong one that scored highest: images uint8 [H, W], probabilities p(same).

    The network chose the rival if `p_rival` is above `p_right`; at equal values they are tied.
    """

    alphabet: str
    query: np.ndarray
    right: np.ndarray
    p_right: float
    rival: np.ndarray
    p_rival: float


class Confused(NamedTuple):
    """A character that was `shown` in `trials` queries and `taken_for` another in `times` of them; uint8 [H, W]."""

    alphabet: str
    shown: np.ndarray
    taken_for: np.ndarray
    times: int
    trials: int


def trial_figure(
    query: np.ndarray, supports: np.ndarray, probabilities: np.ndarray, answer: int, title: str
) -> "Figure":
    """Draws one trial as in the paper's figure 7: the query, and each support with the network's p(same) under it.

    `query` uint8 [H, W] and `supports` uint8 [n_way, H, W], 0 for paper, 255 for full ink; `probabilities` [n_way];
    `answer` in [0, n_way) is the right support. The network's choice is the highest probability; equals are "tied".
    """
    chex.assert_rank([query, supports, probabilities], [2, 3, 1])
    chex.assert_equal(len(supports), len(probabilities))
    probabilities = np.asarray(probabilities)
    columns = len(supports) if len(supports) <= 5 else max(5, math.ceil(math.sqrt(1.25 * len(supports))))
    rows = math.ceil(len(supports) / columns)

    side, across, down, left = 1.65, 1.46, 1.55, 2.1
    width = left + columns * across + MARGIN
    title, top = heading(title, width)
    top += 0.35
    body = max(rows * down, side + 0.1)
    figure = blank(width, top + body + 0.05)
    entitle(figure, title)
    axes = place(figure, Box(MARGIN, top + max(0.0, (body - 0.35 - side) / 2), side, side))
    ink(axes, query)
    axes.set_title("query", fontsize=11)
    indent = (across - SUPPORT) / 2
    write(figure, left + indent, top - 0.12, "supports, each with its p(same)", fontsize=11, va="bottom")

    chosen = probabilities == probabilities.max()
    for i, support in enumerate(supports):
        row, column = divmod(i, columns)
        axes = place(figure, Box(left + column * across + indent, top + row * down, SUPPORT, SUPPORT))
        _support(axes, support, probabilities[i], bool(chosen[i]), i == answer, tied=chosen.sum() > 1)
    return figure


def _mark(chosen: bool, right: bool, tied: bool) -> tuple[str, dict[str, Any]]:
    """Returns the word under a support and the style of its frame: solid where chosen, dashed where only right."""
    if chosen:
        word = ("tied, right" if right else "tied") if tied else ("right choice" if right else "wrong choice")
        return word, {"color": BLUE if right else ORANGE, "linewidth": 3.5}
    if right:
        return "right answer", {"color": BLUE, "linewidth": 2.5, "linestyle": (0, (4, 2))}
    return "", {"color": PALE, "linewidth": 0.8}


def hardest_figure(rows: Sequence[HardTrial], title: str = "The hardest trials of each alphabet") -> "Figure":
    """Draws trials, those of an alphabet beside each other: query, right support and strongest wrong one, each with p.

    An alphabet's trials stand in the order given, alphabets in that of their first trials.
    """

    def draw(images: "list[Axes]", trial: HardTrial) -> None:
        query, right, rival = images
        ink(query, trial.query)
        query.set_xlabel("query", fontsize=9, labelpad=4)
        tied = trial.p_right == trial.p_rival
        _support(right, trial.right, trial.p_right, trial.p_right >= trial.p_rival, True, tied, between="\n")
        _support(rival, trial.rival, trial.p_rival, trial.p_rival >= trial.p_right, False, tied, between="\n")
        if trial.p_rival < trial.p_right:
            rival.set_xlabel(f"{rival.get_xlabel()}\nrunner-up")

    note = (
        "query, right support and the wrong one that scored highest, with p(same); "
        "solid frame: the network's choice, dashed: the right answer that it passed over"
    )
    return _by_alphabet(rows, 3, draw, title, note)


def confused_figure(rows: Sequence[Confused], title: str = "The characters most often confused") -> "Figure":
    """Draws confusions, those of an alphabet beside each other: the character shown and the one it was taken for.

    An alphabet's confusions stand in the order given, alphabets in that of their first ones.
    """

    def draw(images: "list[Axes]", confused: Confused) -> None:
        for axes, image in zip(images, (confused.shown, confused.taken_for), strict=True):
            ink(axes, image)
        images[0].set_xlabel("shown", fontsize=9, labelpad=4)
        images[0].text(1.12, 0.5, "→", transform=images[0].transAxes, ha="center", va="center", fontsize=11)
        images[1].set_xlabel(f"{confused.times:,} of {confused.trials:,} times", fontsize=9, labelpad=4)

    note = "each character shown → the one it was taken for, and in how many of the trials that showed it"
    return _by_alphabet(rows, 2, draw, title, note)


def _by_alphabet(rows: Sequence[Any], images: int, draw: Callable, title: str, note: str) -> "Figure":
    """Lays out groups of `images` images, one alphabet a line, and lets `draw` fill each group's axes."""
    alphabets: dict[str, list[Any]] = {}
    for row in rows:
        alphabets.setdefault(row.alphabet, []).append(row)
    groups = max(map(len, alphabets.values()), default=1)
    across, down, names, gap = 1.05, 1.35, 1.6, 0.35
    width = max(names + groups * (images * across + gap), 5.5)
    title, below_title = heading(title, width)
    note, below_note = heading(note, width)
    top = below_title + below_note
    figure = blank(width, top + max(0.1, len(alphabets) * down))
    entitle(figure, title)
    write(figure, MARGIN, below_title + 0.08, note if rows else "There are none.", va="top", fontsize=9)
    for line, (alphabet, group) in enumerate(alphabets.items()):
        y = top + line * down
        write(figure, MARGIN, y + SMALL / 2, spoken(alphabet, 15), va="center", fontsize=10)
        for i, row in enumerate(group):
            x = names + i * (images * across + gap)
            draw([place(figure, Box(x + j * across, y, SMALL, SMALL)) for j in range(images)], row)
    return figure


def _support(
    axes: "Axes", image: np.ndarray, p: float, chosen: bool, right: bool, tied: bool, between: str = " "
) -> None:
    """Draws a support with its probability, a word and a frame."""
    ink(axes, image)
    word, frame = _mark(chosen, right, tied)
    axes.spines[:].set(**frame)
    axes.set_xlabel(f"{p:.3f}{between}{word}".strip(), fontsize=10 if between == " " else 9, labelpad=4)
