"""Every picture: training by epoch, and one trial with the network's scores.

Each picture is a function that returns a matplotlib Figure, and one that writes it as PNG. Colours are two that the
colour-blind tell apart (Okabe and Ito 2008), and never the only sign: line styles, markers and words say it in grey.
Matplotlib is imported when a picture is made, since that takes a while; pyplot and its global state are not used.
"""

import io
import math
import os
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import chex
import numpy as np

from siamese_jax.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY, PALE = "#0072B2", "#D55E00", "#666666", "#BBBBBB"
DPI = 150


def training_curves(rows: Sequence[dict[str, Any]], path: str | os.PathLike, n_way: int = 20) -> None:
    """Writes `training_figure` to `path` as PNG; UserError if that cannot be done."""
    _save(training_figure(rows, n_way), path)


def one_trial(
    path: str | os.PathLike,
    query: np.ndarray,
    supports: np.ndarray,
    probabilities: np.ndarray,
    answer: int,
    title: str,
) -> None:
    """Writes `trial_figure` to `path` as PNG; UserError if that cannot be done."""
    _save(trial_figure(query, supports, probabilities, answer, title), path)


def training_figure(rows: Sequence[dict[str, Any]], n_way: int = 20) -> "Figure":
    """Draws cross-entropy (left) and accuracies (right) by epoch, each with its chance line; the best epoch is ringed.

    `rows` are the lines of metrics.jsonl. A value that is missing or None leaves a gap. The horizontal axis counts
    epochs done, or steps as long as no epoch is finished. `n_way` is that of the validation trials.
    """
    from matplotlib.figure import Figure

    finished = [row for row in rows if "validation_one_shot" in row]
    training = [row for row in rows if "cross_entropy" in row]
    unit = finished[-1]["step"] / finished[-1]["epoch"] if finished else 1.0
    steps = [row["step"] / unit for row in training]

    figure = Figure(figsize=(9.0, 4.2), dpi=DPI, layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    # A single point makes no line, so that few points need markers.
    marker = {"marker": "."} if len(training) < 20 else {}
    loss.plot(steps, _column(training, "cross_entropy"), color=BLUE, label="training pairs", **marker)
    _chance(loss, math.log(2), "chance: ln 2")
    loss.set(title="loss", ylabel="cross-entropy of a pair (nats)")
    loss.set_ylim(bottom=0)

    percent = 100 * _column(training, "accuracy")
    accuracy.plot(steps, percent, color=BLUE, label="training pairs", **marker)
    one_shot = 100 * _column(finished, "validation_one_shot")
    epochs = [row["epoch"] for row in finished]
    if np.isfinite(one_shot).any():
        label = f"{n_way}-way one-shot, validation"
        accuracy.plot(epochs, one_shot, color=ORANGE, linestyle="--", marker="o", markersize=4, label=label)
        best = int(np.nanargmax(one_shot))
        label = f"best: epoch {epochs[best]}, {one_shot[best]:.1f} %"
        ring = {"marker": "o", "markersize": 12, "markerfacecolor": "none", "markeredgewidth": 1.5}
        accuracy.plot(epochs[best], one_shot[best], color="black", linestyle="none", label=label, **ring)
    _chance(accuracy, 100 / n_way, f"one-shot chance: 1/{n_way}")
    accuracy.set(title="accuracy", ylabel="right answers (%)", ylim=(0, 102))

    for axes in (loss, accuracy):
        axes.set_xlabel("epoch" if finished else "step (no epoch is finished yet)")
        axes.set_xlim(left=0)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(color="#E6E6E6", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    # Below the axes a legend hides no data, wherever the curves go.
    for axes, columns in ((loss, 1), (accuracy, 2)):
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncol=columns, frameon=False, fontsize=9)
    return figure


def trial_figure(
    query: np.ndarray, supports: np.ndarray, probabilities: np.ndarray, answer: int, title: str
) -> "Figure":
    """Draws one trial as in the paper's figure 7: the query, and each support with the network's p(same) under it.

    `query` uint8 [H, W] and `supports` uint8 [n_way, H, W], 0 for paper, 255 for full ink; `probabilities` [n_way];
    `answer` in [0, n_way) is the right support. The network's choice is the highest probability; equals are "tied".
    """
    from matplotlib.figure import Figure

    chex.assert_rank([query, supports, probabilities], [2, 3, 1])
    chex.assert_equal(len(supports), len(probabilities))
    probabilities = np.asarray(probabilities)
    columns = len(supports) if len(supports) <= 5 else max(5, math.ceil(math.sqrt(1.25 * len(supports))))
    rows = math.ceil(len(supports) / columns)

    # Inches, from the top left: a margin, the title, then the query beside the grid of supports.
    margin, side, image, across, down, left = 0.2, 1.65, 1.2, 1.46, 1.55, 2.1
    width = left + columns * across + margin
    lines = textwrap.wrap(title, int((width - 2 * margin) * 10))
    top = margin + 0.25 * len(lines) + 0.35
    body = max(rows * down, side + 0.1)
    height = top + body + 0.05
    figure = Figure(figsize=(width, height), dpi=DPI)

    def place(x: float, y: float, side: float) -> "Axes":
        return figure.add_axes((x / width, 1 - (y + side) / height, side / width, side / height))

    figure.text(margin / width, 1 - margin / height, "\n".join(lines), va="top", fontsize=12, fontweight="bold")
    axes = place(margin, top + max(0.0, (body - 0.35 - side) / 2), side)
    _ink(axes, query)
    axes.set_title("query", fontsize=11)
    figure.text(
        (left + (across - image) / 2) / width,
        1 - (top - 0.12) / height,
        "supports, each with its p(same)",
        fontsize=11,
        va="bottom",
    )

    chosen = probabilities == probabilities.max()
    for i, support in enumerate(supports):
        row, column = divmod(i, columns)
        axes = place(left + column * across + (across - image) / 2, top + row * down, image)
        _ink(axes, support)
        word, frame = _mark(bool(chosen[i]), i == answer, tied=chosen.sum() > 1)
        axes.spines[:].set(**frame)
        axes.set_xlabel(f"{probabilities[i]:.3f} {word}".strip(), fontsize=10, labelpad=4)
    return figure


def _mark(chosen: bool, right: bool, tied: bool) -> tuple[str, dict[str, Any]]:
    """Returns the word under a support and the style of its frame: solid where chosen, dashed where only right."""
    if chosen:
        word = ("tied, right" if right else "tied") if tied else ("right choice" if right else "wrong choice")
        return word, {"color": BLUE if right else ORANGE, "linewidth": 3.5}
    if right:
        return "right answer", {"color": BLUE, "linewidth": 2.5, "linestyle": (0, (4, 2))}
    return "", {"color": PALE, "linewidth": 0.8}


def _ink(axes: "Axes", image: np.ndarray) -> None:
    axes.imshow(255 - np.asarray(image), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set(xticks=[], yticks=[])


def _chance(axes: "Axes", value: float, label: str) -> None:
    axes.axhline(value, color=GREY, linestyle=":", linewidth=1.5, label=label)


def _column(rows: Sequence[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([row.get(name) for row in rows], float)  # None becomes nan


def _save(figure: "Figure", path: str | os.PathLike) -> None:
    png = io.BytesIO()
    figure.savefig(png, format="png")
    write_bytes(path, png.getvalue())
