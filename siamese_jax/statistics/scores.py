"""Scores and their intervals: one-shot credit, verification by threshold, bootstrap by cluster, two methods compared.

Everywhere, a pair is called "same" when its logit is at or above the threshold.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import chex
import numpy as np
from scipy import stats

from siamese_jax.errors import UserError

Interval = tuple[float, float]


class Curves(NamedTuple):
    """Two kinds of error against each other, [K] float64 each, from the strictest threshold (infinite) to the laxest.

    `false_accept` is the share of different pairs called same, `true_accept` that of same pairs; both rise from 0 to 1.
    """

    false_accept: np.ndarray
    true_accept: np.ndarray
    thresholds: np.ndarray

    @property
    def false_reject(self) -> np.ndarray:
        """The share [K] of same pairs called different; against `false_accept` it draws the DET curve."""
        return 1 - self.true_accept


class OperatingPoint(NamedTuple):
    """A threshold, and the rates of wrongly and rightly accepted pairs there."""

    threshold: float
    false_accept: float
    true_accept: float


def credit(logits: np.ndarray, answer: np.ndarray) -> np.ndarray:
    """Returns the expected correctness of each query: 1 or 0, or 1/m when m classes tie for the highest score.

    `logits` [..., n_way], `answer` [...] in [0, n_way); the result [...] is float64. A constant network earns 1/n_way.
    """
    logits, answer = np.asarray(logits), np.asarray(answer)
    chex.assert_equal_shape_prefix([logits, answer], answer.ndim)
    best = logits == logits.max(axis=-1, keepdims=True)
    return np.take_along_axis(best, answer[..., None], axis=-1)[..., 0] / np.maximum(best.sum(axis=-1), 1)


def ties(logits: np.ndarray) -> int:
    """Counts the queries whose highest score is shared by several classes; `logits` [..., n_way]."""
    logits = np.asarray(logits)
    return int(np.sum(np.sum(logits == logits.max(axis=-1, keepdims=True), axis=-1) > 1))


def clustered_interval(
    values: np.ndarray, clusters: np.ndarray, resamples: int = 9999, unknown: Interval | None = (0.0, 1.0)
) -> Interval | None:
    """Returns the 95 % bootstrap interval of the mean of `values` [N] when whole clusters are drawn, not values.

    Trials of one run, or pairs of one alphabet, are alike: to count them as independent would make the interval too
    narrow (Efron and Tibshirani 1993, chapter 13: percentile interval). `clusters` [N] says which belong together. One
    cluster alone says nothing about the spread: the interval is then `unknown`, all that the mean can be. Where all
    values are as low, or as high, as they can be, every resample is the same; the interval is then that of as many
    independent trials (Clopper and Pearson 1934).
    """
    chex.assert_equal_shape([values, clusters])
    members = np.unique(clusters, return_inverse=True)[1]
    totals, sizes = np.bincount(members, weights=values), np.bincount(members)
    if len(sizes) < 2:
        return unknown
    lowest, highest = unknown or (0.0, 1.0)
    if np.all(values == lowest) or np.all(values == highest):
        exact = stats.binomtest(int(np.sum(values == highest)), len(values)).proportion_ci(method="exact")
        return tuple(float(lowest + share * (highest - lowest)) for share in exact)
    result = stats.bootstrap(
        (totals, sizes),
        lambda total, size, axis: total.sum(axis=axis) / size.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=resamples,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def weighted_intervals(
    statistics: Callable[[np.ndarray], Sequence[float]], clusters: np.ndarray, resamples: int = 499
) -> list[Interval]:
    """Returns 95 % bootstrap intervals of statistics in [0, 1] that are no means, when whole clusters are drawn.

    `statistics` takes the weight of each of `clusters` [N], how often it was drawn, and returns [S] numbers. Otherwise
    as `clustered_interval`, but with fewer resamples, since each is worked out anew.
    """
    members = np.unique(clusters, return_inverse=True)[1]
    count = members.max() + 1
    if count < 2:
        return [(0.0, 1.0) for _ in statistics(np.ones(len(members)))]
    draws = np.random.default_rng(0).integers(count, size=(resamples, count))
    found = [statistics(np.bincount(draw, minlength=count)[members]) for draw in draws]
    return [(float(low), float(high)) for low, high in np.percentile(found, [2.5, 97.5], axis=0).T]


def paired_difference(first: np.ndarray, second: np.ndarray) -> dict[str, Any]:
    """Compares two methods by their credit [R, Q] on the same trials: `first` minus `second`, in [-1, 1].

    The interval is by bootstrap over runs. The p-value is two-sided: how often a mean at least as far from 0 comes up
    when each run's difference keeps or changes its sign by chance (Fisher 1935, "The Design of Experiments", section
    21); up to 13 runs all sign changes are tried, beyond that 9,999 of them, the same every time. `only_first` and
    `only_second` count the trials in which one earned more than the other.
    """
    chex.assert_rank([first, second], 2)
    chex.assert_equal_shape([first, second])
    difference = np.asarray(first, np.float64) - second
    runs = len(difference)
    of_run = np.repeat(np.arange(runs), difference.shape[1])
    return {
        "trials": difference.size,
        "runs": runs,
        "difference": float(difference.mean()),
        "ci95": clustered_interval(difference.ravel(), of_run, unknown=(-1.0, 1.0)),
        "p_value": _sign_flip(difference.mean(axis=1)),
        "only_first": int((difference > 0).sum()),
        "only_second": int((difference < 0).sum()),
    }


def _sign_flip(differences: np.ndarray) -> float:
    if len(differences) < 2:
        return 1.0  # both signs of one run are equally far from 0
    tested = stats.permutation_test(
        (differences,),
        lambda values, axis: values.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=9999,
        batch=500,  # else thousands of runs would take gigabytes
        rng=np.random.default_rng(0),
    )
    return float(tested.pvalue)


def best_threshold(logits: np.ndarray, same: np.ndarray) -> float:
    """Returns the logit from which on to say "same" for the highest accuracy; of equally good cuts the lowest.

    `logits` [N], `same` [N] bool.
    """
    chex.assert_equal_shape([logits, same])
    order = np.argsort(logits, kind="stable")
    scores, positive = np.asarray(logits, np.float64)[order], np.asarray(same, bool)[order]
    # Cutting below position i calls i.. "same": right are the positives from i on and the negatives before it.
    right = np.concatenate([[0], np.cumsum(~positive)]) + np.concatenate([np.cumsum(positive[::-1])[::-1], [0]])
    possible = np.concatenate([[True], scores[1:] > scores[:-1], [True]])  # equal scores cannot be cut apart
    cut = int(np.argmax(np.where(possible, right, -1)))
    edges = np.concatenate([[scores[0] - 1], scores, [scores[-1] + 1]])
    return float((edges[cut] + edges[cut + 1]) / 2)


def verified(logits: np.ndarray, same: np.ndarray, threshold: float) -> np.ndarray:
    """Returns whether each decision at `threshold` is right: [N] float64, 1 or 0."""
    chex.assert_equal_shape([logits, same])
    return ((np.asarray(logits, np.float64) >= threshold) == np.asarray(same, bool)).astype(np.float64)


def curves(logits: np.ndarray, same: np.ndarray, weights: np.ndarray | None = None) -> Curves:
    """Returns the rates of accepted pairs at every threshold that makes a difference.

    `logits` [N], `same` [N] bool, `weights` [N] how much each pair counts. UserError unless both kinds of pair count.
    """
    from sklearn import metrics  # takes seconds to import

    chex.assert_equal_shape([logits, same])
    same, counted = np.asarray(same, bool), np.ones(len(same)) if weights is None else weights
    if not counted[same].any() or not counted[~same].any():
        raise UserError(
            f"a curve needs same and different pairs, not {same.sum()} same of {len(same)}: draw more pairs"
        )
    logits = np.asarray(logits, np.float64)
    return Curves(*metrics.roc_curve(same, logits, sample_weight=weights, drop_intermediate=False))


def area(curve: Curves) -> float:
    """Returns the area under the ROC curve: how often a same pair's logit beats a different one's, ties as half."""
    return float(np.trapezoid(curve.true_accept, curve.false_accept))


def equal_error_rate(curve: Curves) -> float:
    """Returns the rate where as many different pairs are accepted as same ones are rejected, by the ROC's chords."""
    # Of all points of the curve one has false_accept = 1 - true_accept, since their sum rises from 0 to 2.
    return float(np.interp(1, curve.false_accept + curve.true_accept, curve.false_accept))


def operating_point(curve: Curves, false_accept_rate: float) -> OperatingPoint:
    """Returns the point of most true accepts with at most this `false_accept_rate`; of equal ones the strictest."""
    if not 0 <= false_accept_rate <= 1:
        raise UserError(f"false_accept_rate={false_accept_rate} is out of range: it is a share, from 0 to 1")
    allowed = curve.true_accept[np.searchsorted(curve.false_accept, false_accept_rate, side="right") - 1]
    place = np.searchsorted(curve.true_accept, allowed)
    return OperatingPoint(*(float(part[place]) for part in (curve.thresholds, curve.false_accept, curve.true_accept)))


def thinned(curve: Curves, tolerance: float = 0.002, deviates: float = 0.02) -> Curves:
    """Returns the fewer points whose chords stay within `tolerance` of the whole curve (Douglas and Peucker 1973).

    And within `deviates` of it on the normal-deviate axes of a DET curve, on which the smallest rates take most room.
    """
    rates = np.stack([curve.false_accept, curve.true_accept], axis=1)
    normal = stats.norm.ppf(rates)
    drawn = np.flatnonzero(np.isfinite(normal).all(axis=1))  # the others are infinitely far on a DET curve
    ends = sorted({0, *drawn[:1].tolist(), *drawn[-1:].tolist(), len(rates) - 1})
    kept, spans = set(ends), list(itertools.pairwise(ends))
    while spans:
        first, last = spans.pop()
        away = _away(rates[first : last + 1]) / tolerance
        if np.isfinite(normal[[first, last]]).all():
            away = np.maximum(away, _away(normal[first : last + 1]) / deviates)
        furthest = first + int(np.argmax(away))
        if away.max() > 1:
            kept.add(furthest)
            spans += [(first, furthest), (furthest, last)]
    return Curves(*(part[sorted(kept)] for part in curve))


def _away(points: np.ndarray) -> np.ndarray:
    """Returns how far each of the points [K, 2] is from the chord of the first and the last."""
    x, y = (points - points[0]).T
    return np.abs(x * y[-1] - y * x[-1]) / np.hypot(x[-1], y[-1])
