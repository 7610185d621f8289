"""Trials as the network saw them: one whole trial, the hardest ones, and the classes that it confuses."""

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
    """A trial that is hard. The network chose the support with the higher score; equal scores are a tie.

    Attributes:
      group: Name of its group.
      query: Image, uint8 [H, W, C].
      right: Image of the right support.
      right_score: Its score.
      wrong: Image of the wrong support with the highest score.
      wrong_score: Its score.
    """

    group: str
    query: np.ndarray
    right: np.ndarray
    right_score: float
    wrong: np.ndarray
    wrong_score: float


class Confused(NamedTuple):
    """A class that was shown, and the class that it was taken for.

    Attributes:
      group: Name of their group.
      shown: An image of the class that was shown, uint8 [H, W, C].
      taken_for: An image of the class that it was taken for.
      times: In how many trials it was taken for the other.
      trials: In how many trials it was shown.
    """

    group: str
    shown: np.ndarray
    taken_for: np.ndarray
    times: int
    trials: int


def trial_figure(
    query: np.ndarray, supports: np.ndarray, scores: np.ndarray, answer: int, title: str, scale: str = "p(same)"
) -> "Figure":
    """Plot one trial as in the paper's figure 7: the query, and each support with its score.

    Args:
      query: Image, uint8 [H, W, C], 0 for paper and 255 for full ink.
      supports: Images, uint8 [n_way, H, W, C].
      scores: [n_way] on the scale. The network chooses the highest; equal ones are tied.
      answer: The right support, in [0, n_way).
      title: The title.
      scale: What the scores are, in words.
    """
    chex.assert_rank([query, supports, scores], [3, 4, 1])
    chex.assert_equal(len(supports), len(scores))
    scores = np.asarray(scores)
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
    write(figure, left + indent, top - 0.12, f"supports; numbers: {scale}", fontsize=11, va="bottom")

    chosen = scores == scores.max()
    for i, support in enumerate(supports):
        row, column = divmod(i, columns)
        axes = place(figure, Box(left + column * across + indent, top + row * down, SUPPORT, SUPPORT))
        _support(axes, support, scores[i], bool(chosen[i]), i == answer, tied=chosen.sum() > 1)
    return figure


def _mark(chosen: bool, right: bool, tied: bool) -> tuple[str, dict[str, Any]]:
    """Return the word under a support and its frame: solid if it was chosen, dashed if it is only right."""
    if chosen:
        word = ("tied, right" if right else "tied") if tied else ("right choice" if right else "wrong choice")
        return word, {"color": BLUE if right else ORANGE, "linewidth": 3.5}
    if right:
        return "right answer", {"color": BLUE, "linewidth": 2.5, "linestyle": (0, (4, 2))}
    return "", {"color": PALE, "linewidth": 0.8}


def hardest_figure(
    rows: Sequence[HardTrial], scale: str = "p(same)", title: str = "The hardest trials of each group"
) -> "Figure":
    """Plot trials, one line per group: the query, the right support, and the wrong support with the highest score.

    If the network is right, the wrong support is labelled "runner-up".

    Args:
      rows: The trials. Groups are plotted in the order of their first trials.
      scale: What the scores are, in words.
      title: The title.
    """

    def draw(images: "list[Axes]", trial: HardTrial) -> None:
        query, right, wrong = images
        ink(query, trial.query)
        query.set_xlabel("query", fontsize=9, labelpad=4)
        ours, theirs = trial.right_score, trial.wrong_score
        _support(right, trial.right, ours, ours >= theirs, True, tied=ours == theirs, between="\n")
        _support(wrong, trial.wrong, theirs, theirs >= ours, False, tied=ours == theirs, between="\n")
        if theirs < ours:
            wrong.set_xlabel(f"{wrong.get_xlabel()}\nrunner-up")

    note = (
        f"query, right support and the wrong support with the highest score; numbers: {scale}; "
        "solid frame: the network's choice, dashed: the right answer, not chosen"
    )
    return _by_group(rows, 3, draw, title, note)


def confused_figure(rows: Sequence[Confused], title: str = "The classes most often confused") -> "Figure":
    """Plot confusions, one line per group: the class shown and the one it was taken for.

    Groups are plotted in the order of their first confusions.
    """

    def draw(images: "list[Axes]", confused: Confused) -> None:
        for axes, image in zip(images, (confused.shown, confused.taken_for), strict=True):
            ink(axes, image)
        images[0].set_xlabel("shown", fontsize=9, labelpad=4)
        images[0].text(1.12, 0.5, "→", transform=images[0].transAxes, ha="center", va="center", fontsize=11)
        images[1].set_xlabel(f"{confused.times:,} of {confused.trials:,} times", fontsize=9, labelpad=4)

    note = "shown → taken for, and in how many of the trials that showed it"
    return _by_group(rows, 2, draw, title, note)


def _by_group(rows: Sequence[Any], images: int, draw: Callable, title: str, note: str) -> "Figure":
    """Lay out rows of `images` images each, a line per group, and let `draw` fill the axes of each row."""
    by_group: dict[str, list[Any]] = {}
    for row in rows:
        by_group.setdefault(row.group, []).append(row)
    most = max(map(len, by_group.values()), default=1)
    across, down, names, gap = 1.05, 1.35, 1.6, 0.35
    width = max(names + most * (images * across + gap), 5.5)
    title, below_title = heading(title, width)
    note, below_note = heading(note, width)
    top = below_title + below_note
    figure = blank(width, top + max(0.1, len(by_group) * down))
    entitle(figure, title)
    write(figure, MARGIN, below_title + 0.08, note if rows else "None.", va="top", fontsize=9)
    for line, (group, of_group) in enumerate(by_group.items()):
        y = top + line * down
        write(figure, MARGIN, y + SMALL / 2, spoken(group, 15), va="center", fontsize=10)
        for i, row in enumerate(of_group):
            x = names + i * (images * across + gap)
            draw([place(figure, Box(x + j * across, y, SMALL, SMALL)) for j in range(images)], row)
    return figure


def _support(
    axes: "Axes", image: np.ndarray, score: float, chosen: bool, right: bool, tied: bool, between: str = " "
) -> None:
    """Draw a support with its score, a word and a frame."""
    ink(axes, image)
    word, frame = _mark(chosen, right, tied)
    axes.spines[:].set(**frame)
    axes.set_xlabel(f"{_signed(score)}{between}{word}".strip(), fontsize=10 if between == " " else 9, labelpad=4)


def _signed(score: float) -> str:
    return f"{score:.3f}".replace("-", "−")
