"""Decisions: are probabilities what happens?"""

from typing import TYPE_CHECKING

import numpy as np

from siamese_jax.plots.style import BLUE, GREY, ORANGE, Box, blank, place, plain
from siamese_jax.results import Calibration, Decisions, GalleryDecisions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAST, MOST = 14, 220
"""Areas of the smallest and the largest marker, in square points."""


def shown_gallery(decisions: Decisions, n_way: int) -> GalleryDecisions:
    """Return the galleries whose size is nearest to `n_way`, by ratio."""
    return min(decisions.galleries, key=lambda one: abs(np.log(one.classes / n_way)))


def reliability_figure(decisions: Decisions, n_way: int) -> "Figure":
    """Plot reliability diagrams before and after calibration: of pairs (left), and of choices among classes (right).

    Calibrated probabilities lie on the diagonal. The area of a marker is the share of decisions in its bin. The legend
    has the expected calibration error.

    Args:
      decisions: What was measured.
      n_way: The galleries whose size is nearest to it are shown.
    """
    side, top, gallery = 4.0, 0.5, shown_gallery(decisions, n_way)
    figure = blank(10.4, top + side + 1.5)
    pairs, choices = (place(figure, Box(x, top, side, side)) for x in (0.9, 6.1))
    _diagram(pairs, decisions.pairs.before, decisions.pairs.after, "sigmoid of the score", "Platt scaling")
    pairs.set(title="Pairs: same or different?", xlabel="p(same) (%)", ylabel="pairs that are same (%)")
    after = f"temperature {gallery.temperature:.2f}"
    _diagram(choices, gallery.before, gallery.after, "softmax of the scores", after)
    choices.set(title=f"Choices among {gallery.classes} classes")
    choices.set(xlabel="probability of the best class (%)", ylabel="best classes that are right (%)")
    return figure


def _diagram(axes: "Axes", before: Calibration, after: Calibration, *names: str) -> None:
    axes.plot([0, 100], [0, 100], color=GREY, linestyle=":", linewidth=1.5)
    for part, name, colour, line, marker in (
        (before, names[0], ORANGE, "--", "s"),
        (after, names[1], BLUE, "-", "o"),
    ):
        bins = part.reliability
        error, (low, high) = 100 * part.expected_calibration_error, (100 * bound for bound in part.ci95)
        label = f"{name}: ECE {error:.1f} % ({low:.1f}–{high:.1f})"
        x, y, counts = 100 * np.array(bins.probabilities), 100 * np.array(bins.shares), np.array(bins.counts)
        axes.plot(x, y, color=colour, linestyle=line, marker=marker, markersize=4, label=label)
        axes.scatter(x, y, LEAST + (MOST - LEAST) * counts / counts.sum(), color=colour, marker=marker, alpha=0.6)
    axes.set(xlim=(-3, 103), ylim=(-3, 103))
    plain(axes)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), frameon=False, fontsize=9)
