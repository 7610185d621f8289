"""The ablation study: what each change of a recipe adds."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from siamese_jax.plots.style import BLUE, GREY, MARKERS, blank, entitle_laid_out, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def ladder_figure(by_rung: Mapping[str, Sequence[Mapping[str, Any]]], chance: float = 0.05) -> "Figure":
    """Plot accuracy by change, the first on top: each seed with its 95 % interval, and a line through the means.

    Args:
      by_rung: Rows of docs/ladder.jsonl by what they change; `accuracy` and `ci95` are in [0, 1].
      chance: The chance level, in [0, 1].
    """
    figure = blank(8.0, 1.4 + 0.55 * len(by_rung), layout="constrained")
    axes = figure.subplots()
    means = [100 * np.mean([row["accuracy"] for row in of_rung]) for of_rung in by_rung.values()]
    axes.plot(means, range(len(means)), color=GREY, linewidth=1.2, zorder=1)
    for place, of_rung in enumerate(by_rung.values()):
        for number, row in enumerate(of_rung):
            low, high = row["ci95"]
            accuracy = row["accuracy"]
            axes.errorbar(
                100 * accuracy,
                place + 0.22 * (number - (len(of_rung) - 1) / 2),
                xerr=[[100 * (accuracy - low)], [100 * (high - accuracy)]],
                color=BLUE,
                marker=MARKERS[number % len(MARKERS)],
                markersize=5,
                capsize=3,
                label=f"seed {row['seed']}" if place == 0 else None,
            )
    axes.axvline(100 * chance, color=GREY, linestyle=":", linewidth=1.5, label="chance level")
    axes.set_yticks(range(len(by_rung)), [textwrap.fill(f"{n}  {rung}", 44) for n, rung in enumerate(by_rung)])
    axes.invert_yaxis()
    entitle_laid_out(figure, "What each change is worth")
    axes.set(xlabel="right answers on validation trials (%)", xlim=(0, 102))
    plain(axes)
    axes.legend(frameon=False, loc="lower left")
    return figure
