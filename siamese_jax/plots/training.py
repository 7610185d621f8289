"""How training went, epoch by epoch."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from siamese_jax.plots.style import BLUE, ORANGE, blank, chance, entitle_laid_out, legend_below, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure


DECISIONS = {
    "triplet": "training triplets: which pair is closer",
    "n_way": "training: N-way choices in a batch",
}
"""What the training accuracy of a loss is about, if not pairs; on the legend."""
LOSSES = {
    "cross_entropy": "cross-entropy of a pair (nats)",
    "contrastive": "contrastive loss of a pair",
    "triplet": "triplet loss",
    "all_pairs": "cross-entropy of a pair (nats)",
    "n_way": "N-way softmax loss (nats)",
}
"""Names of losses on the axis."""


def training_figure(
    rows: Sequence[Mapping[str, Any]],
    n_way: int = 20,
    loss_name: str = "cross_entropy",
    guessing: float | None = math.log(2),
) -> "Figure":
    """Plot the loss (left) and accuracies (right) by epoch, with their chance levels. A ring marks the best epoch.

    Training and validation accuracy are about different decisions, so each has its chance level. That of N-way choices
    in training is not drawn, because it differs from group to group. The horizontal axis counts epochs, or steps before
    the first epoch has ended.

    Args:
      rows: The lines of metrics.jsonl. A missing value, or None, leaves a gap.
      n_way: Classes of a validation trial.
      loss_name: Name of the loss, as in `LossSpec`.
      guessing: Loss at chance level; None if the loss has none.
    """
    finished = [row for row in rows if "validation_one_shot" in row]
    training = [row for row in rows if loss_name in row]
    unit = finished[-1]["step"] / finished[-1]["epoch"] if finished else 1.0
    steps = [row["step"] / unit for row in training]

    figure = blank(9.0, 4.2, layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    # A single point makes no line, so few points need markers.
    marker = {"marker": "."} if len(training) < 20 else {}
    loss.plot(steps, _column(training, loss_name), color=BLUE, label="training", **marker)
    if guessing is not None:
        chance(loss, guessing, f"chance level: {guessing:.3f}")
    loss.set_title("Loss", fontsize=11)
    loss.set(ylabel=LOSSES.get(loss_name, loss_name))
    loss.set_ylim(bottom=0)

    percent = 100 * _column(training, "accuracy")
    label = DECISIONS.get(loss_name, "training pairs: same or different")
    accuracy.plot(steps, percent, color=BLUE, label=label, **marker)
    one_shot = 100 * _column(finished, "validation_one_shot")
    epochs = [row["epoch"] for row in finished]
    if np.isfinite(one_shot).any():
        label = f"validation: {n_way}-way one-shot"
        accuracy.plot(epochs, one_shot, color=ORANGE, linestyle="--", marker="o", markersize=4, label=label)
        best = int(np.nanargmax(one_shot))
        label = f"best: epoch {epochs[best]}, {one_shot[best]:.1f} %"
        ring = {"marker": "o", "markersize": 12, "markerfacecolor": "none", "markeredgewidth": 1.5}
        accuracy.plot(epochs[best], one_shot[best], color="black", linestyle="none", label=label, **ring)
    if loss_name != "n_way":
        accuracy.axhline(50, color=BLUE, linestyle=":", linewidth=1.5, label="chance level in training: 1/2")
    accuracy.axhline(
        100 / n_way, color=ORANGE, linestyle=":", linewidth=1.5, label=f"chance level in validation: 1/{n_way}"
    )
    accuracy.set_title("Accuracy", fontsize=11)
    accuracy.set(ylabel="right answers (%)", ylim=(0, 102))
    entitle_laid_out(figure, "Training")

    for axes in (loss, accuracy):
        axes.set_xlabel("epoch" if finished else "step (before the end of the first epoch)")
        axes.set_xlim(left=0)
        axes.xaxis.get_major_locator().set_params(integer=True)
        plain(axes)
    legend_below(loss)
    legend_below(accuracy, columns=2)
    return figure


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    return np.array([row.get(name) for row in rows], float)  # None becomes nan
