"""Scores: the credit of one-shot trials, and verification by a threshold on the logit of a pair.

A pair is called "same" if its logit is at or above the threshold.
"""

import itertools
from typing import NamedTuple

import chex
import numpy as np
from scipy import stats

from siamese_jax.errors import UserError


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
    """Return the expected correctness of each query: 1 or 0, or 1/m when m classes tie for the highest score.

    `logits` [..., n_way], `answer` [...] in [0, n_way); the result [...] is float64. A constant network earns 1/n_way.
    """
    logits, answer = np.asarray(logits), np.asarray(answer)
    chex.assert_equal_shape_prefix([logits, answer], answer.ndim)
    best = logits == logits.max(axis=-1, keepdims=True)
    return np.take_along_axis(best, answer[..., None], axis=-1)[..., 0] / np.maximum(best.sum(axis=-1), 1)


def ties(logits: np.ndarray) -> int:
    """Count the queries whose highest score is shared by several classes; `logits` [..., n_way]."""
    logits = np.asarray(logits)
    return int(np.sum(np.sum(logits == logits.max(axis=-1, keepdims=True), axis=-1) > 1))


def best_threshold(logits: np.ndarray, same: np.ndarray) -> float:
    """Return the logit from which on to say "same" for the highest accuracy; of equally good cuts the lowest.

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
    """Return whether each decision at `threshold` is right: [N] float64, 1 or 0."""
    chex.assert_equal_shape([logits, same])
    return ((np.asarray(logits, np.float64) >= threshold) == np.asarray(same, bool)).astype(np.float64)


def curves(logits: np.ndarray, same: np.ndarray, weights: np.ndarray | None = None) -> Curves:
    """Return the rates of accepted pairs at every threshold that makes a difference.

    `logits` [N], `same` [N] bool, `weights` [N] how much each pair counts. UserError unless both kinds of pair count.
    """
    chex.assert_equal_shape([logits, same])
    same = np.asarray(same, bool)
    counted = np.ones(len(same)) if weights is None else np.asarray(weights, np.float64)
    if not counted[same].any() or not counted[~same].any():
        raise UserError(
            f"a curve needs same and different pairs, not {same.sum()} same of {len(same)}: draw more pairs"
        )
    logits = np.asarray(logits, np.float64)
    if not np.isfinite(logits).all():
        raise ValueError("logits must be finite")
    kept = np.flatnonzero(counted)
    strictest_first = kept[np.argsort(-logits[kept], kind="stable")]
    logits, same, counted = logits[strictest_first], same[strictest_first], counted[strictest_first]
    thresholds = np.append(logits[1:] != logits[:-1], True)  # equal logits cannot be told apart by a threshold
    false_accepts = np.concatenate([[0.0], np.cumsum(counted * ~same)[thresholds]])
    true_accepts = np.concatenate([[0.0], np.cumsum(counted * same)[thresholds]])
    return Curves(
        false_accepts / false_accepts[-1],
        true_accepts / true_accepts[-1],
        np.concatenate([[np.inf], logits[thresholds]]),
    )


def area(curve: Curves) -> float:
    """Return the area under the ROC curve: how often a same pair's logit beats a different one's, ties as half."""
    return float(np.trapezoid(curve.true_accept, curve.false_accept))


def equal_error_rate(curve: Curves) -> float:
    """Return the rate where as many different pairs are accepted as same ones are rejected, by the ROC's chords."""
    # Of all points of the curve one has false_accept = 1 - true_accept, since their sum rises from 0 to 2.
    return float(np.interp(1, curve.false_accept + curve.true_accept, curve.false_accept))


def operating_point(curve: Curves, false_accept_rate: float) -> OperatingPoint:
    """Return the point of most true accepts with at most this `false_accept_rate`; of equal ones the strictest."""
    if not 0 <= false_accept_rate <= 1:
        raise UserError(f"false_accept_rate={false_accept_rate} is out of range: it is a share, from 0 to 1")
    allowed = curve.true_accept[np.searchsorted(curve.false_accept, false_accept_rate, side="right") - 1]
    place = np.searchsorted(curve.true_accept, allowed)
    return OperatingPoint(*(float(part[place]) for part in (curve.thresholds, curve.false_accept, curve.true_accept)))


def thinned(curve: Curves, tolerance: float = 0.002, deviates: float = 0.02) -> Curves:
    """Return the fewer points whose chords stay within `tolerance` of the whole curve (Douglas and Peucker 1973).

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
    """Return how far each of the points [K, 2] is from the chord of the first and the last."""
    x, y = (points - points[0]).T
    return np.abs(x * y[-1] - y * x[-1]) / np.hypot(x[-1], y[-1])
