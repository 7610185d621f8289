"""Verification: how often two images of one class are accepted, and images of two classes refused."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import norm

from siamese_jax.plots.style import COLOURS, GREY, LINES, MARKERS, Box, blank, entitle, heading, place, plain
from siamese_jax.results import VerificationResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TICKS = (0.1, 1, 5, 10, 20, 40, 60, 80, 90, 95, 99, 99.9)
"""Labels of a normal-deviate axis, in per cent."""


def roc_figure(by_run: Mapping[str, VerificationResult]) -> "Figure":
    """Plot the ROC curve (left) and the DET curve (right; Martin et al. 1997) of each run.

    The DET curve shows both errors on normal-deviate axes. Normally distributed scores make a straight line there.
    Rates of 0 and 1 are infinitely far away on them and are not plotted.

    Args:
      by_run: Verification on the test set of each run, by its label.
    """
    side = 4.0
    summaries = {label: _summary(label, part) for label, part in by_run.items()}
    lines = sum(summary.count("\n") + 1 for summary in summaries.values())
    title, top = heading("Verification on the test set: do two images show the same class?", 10.4)
    top += 0.4
    figure = blank(10.4, top + side + 0.75 + 0.2 * lines + 0.06 * len(by_run))
    entitle(figure, title)
    roc, det = (place(figure, Box(x, top, side, side)) for x in (0.9, 6.1))
    largest = 0.4
    for i, (label, part) in enumerate(by_run.items()):
        line = {"color": COLOURS[i % len(COLOURS)], "linestyle": LINES[i % len(LINES)]}
        accepted = np.asarray(part.roc.false_accept_rate, float)
        refused = 1 - np.asarray(part.roc.true_accept_rate, float)
        roc.plot(100 * accepted, 100 * (1 - refused), label=summaries[label], **line)
        det.plot(_deviate(accepted), _deviate(refused), **line)
        equal = part.equal_error_rate
        marked = [(equal, equal, "equal error rate")]
        for point in part.operating_points:
            name = f"threshold chosen for {100 * point.false_accept_rate:g} %"
            marked.append((point.measured_false_accept_rate, point.false_reject_rate, name))
        for marker, (x, y, name) in zip(MARKERS, marked, strict=False):
            dot = {"color": line["color"], "markeredgecolor": "black", "markersize": 8, "clip_on": False}
            # The legend explains each marker once.
            det.plot(_deviate([x]), _deviate([y]), marker, label="_" if i else name, **dot)
        largest = max(largest, *(y for _, y, _ in marked))
    roc.plot([0, 100], [0, 100], color=GREY, linestyle=":", linewidth=1.5)
    roc.text(62, 55, "chance level", color=GREY, fontsize=9)
    roc.set_title("ROC", fontsize=11)
    roc.set(xlim=(0, 100), ylim=(0, 100.5))
    roc.set(xlabel="false accepts: different, called same (%)", ylabel="true accepts: same, called same (%)")

    end = next(tick for tick in TICKS if tick >= min(100 * largest, TICKS[-1]))
    bounds = _deviate([0.0005, end / 100])
    det.plot(bounds, bounds, color=GREY, linestyle=":", linewidth=1.5)
    det.set_title("DET: one error against the other", fontsize=11)
    det.set(xlim=bounds, ylim=bounds)
    det.set(xlabel="false accepts: different, called same (%)", ylabel="false rejects: same, called different (%)")
    ticks = [tick for tick in TICKS if tick <= end]
    for axis in (det.xaxis, det.yaxis):
        axis.set_ticks(_deviate(np.array(ticks) / 100), [f"{tick:g}" for tick in ticks])
    for axes in (roc, det):
        plain(axes)
    det.legend(loc="upper right", framealpha=1, edgecolor="white", fontsize=9)
    below = 1 - (top + side + 0.6) / figure.get_size_inches()[1]
    figure.legend(
        *roc.get_legend_handles_labels(), loc="upper left", bbox_to_anchor=(0.06, below), frameon=False, fontsize=9
    )
    return figure


def _summary(label: str, part: VerificationResult) -> str:
    """Return the figures of a run in lines. Thresholds were chosen on validation, rates are those of test."""
    points = [
        f"threshold chosen for {100 * p.false_accept_rate:g} % on validation: "
        f"{100 * p.measured_false_accept_rate:.1f} % false accepts, {100 * p.false_reject_rate:.1f} % false rejects"
        for p in part.operating_points
    ]
    areas = f"AUC {part.auc:.4f}; equal error rate {100 * part.equal_error_rate:.2f} %"
    return "\n".join([label, areas, *points])


def _deviate(rates: Any) -> np.ndarray:
    """Return the normal deviates of rates in [0, 1]; NaN for 0 and 1, which leaves a gap."""
    deviates = norm.ppf(np.asarray(rates, float))
    return np.where(np.isfinite(deviates), deviates, np.nan)
