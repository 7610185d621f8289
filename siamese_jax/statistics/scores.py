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
    """Rates of accepted pairs by threshold, from the strictest threshold to the laxest.

    Attributes:
      false_accept: float64 [K], share of different pairs called same; rises from 0 to 1.
      true_accept: float64 [K], share of same pairs called same; rises from 0 to 1.
      thresholds: float64 [K], falling; the first is infinite.
    """

    false_accept: np.ndarray
    true_accept: np.ndarray
    thresholds: np.ndarray

    @property
    def false_reject(self) -> np.ndarray:
        """Share [K] of same pairs called different. Against `false_accept` it is the DET curve."""
        return 1 - self.true_accept


class OperatingPoint(NamedTuple):
    """A threshold, with the rates of wrongly and rightly accepted pairs at it."""

    threshold: float
    false_accept: float
    true_accept: float


def credit(logits: np.ndarray, answer: np.ndarray) -> np.ndarray:
    """Return the credit of each query: 1 or 0, or 1/m if m classes share the highest score.

    So a network with constant output earns the chance level, 1/n_way.

    Args:
      logits: Scores [..., n_way].
      answer: The right classes [...], in [0, n_way).

    Returns:
      float64 [...].
    """
    logits, answer = np.asarray(logits), np.asarray(answer)
    chex.assert_equal_shape_prefix([logits, answer], answer.ndim)
    best = logits == logits.max(axis=-1, keepdims=True)
    return np.take_along_axis(best, answer[..., None], axis=-1)[..., 0] / np.maximum(best.sum(axis=-1), 1)


def ties(logits: np.ndarray) -> int:
    """Count the queries of `logits` [..., n_way] whose highest score several classes share."""
    logits = np.asarray(logits)
    return int(np.sum(np.sum(logits == logits.max(axis=-1, keepdims=True), axis=-1) > 1))


def best_threshold(logits: np.ndarray, same: np.ndarray) -> float:
    """Return the threshold with the highest accuracy, the lowest one if several are equally good.

    Args:
      logits: Logits of pairs [N].
      same: Whether each pair is of one class, bool [N].
    """
    chex.assert_equal_shape([logits, same])
    order = np.argsort(logits, kind="stable")
    scores, positive = np.asarray(logits, np.float64)[order], np.asarray(same, bool)[order]
    # A cut below position i calls the pairs from i on "same". Right are the positives from i on, the negatives before.
    right = np.concatenate([[0], np.cumsum(~positive)]) + np.concatenate([np.cumsum(positive[::-1])[::-1], [0]])
    possible = np.concatenate([[True], scores[1:] > scores[:-1], [True]])  # a cut cannot separate equal scores
    cut = int(np.argmax(np.where(possible, right, -1)))
    edges = np.concatenate([[scores[0] - 1], scores, [scores[-1] + 1]])
    return float((edges[cut] + edges[cut + 1]) / 2)


def verified(logits: np.ndarray, same: np.ndarray, threshold: float) -> np.ndarray:
    """Return whether each decision is right, float64 [N], 1 or 0.

    Args:
      logits: Logits of pairs [N].
      same: Whether each pair is of one class, bool [N].
      threshold: Logit from which a pair is called same.
    """
    chex.assert_equal_shape([logits, same])
    return ((np.asarray(logits, np.float64) >= threshold) == np.asarray(same, bool)).astype(np.float64)


def curves(logits: np.ndarray, same: np.ndarray, weights: np.ndarray | None = None) -> Curves:
    """Return the rates of accepted pairs at every threshold at which they change.

    Args:
      logits: Logits of pairs [N], finite.
      same: Whether each pair is of one class, bool [N].
      weights: How often each pair counts [N]; None counts each once.

    Raises:
      UserError: Only one kind of pair counts.
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
    thresholds = np.append(logits[1:] != logits[:-1], True)  # no threshold separates equal logits
    false_accepts = np.concatenate([[0.0], np.cumsum(counted * ~same)[thresholds]])
    true_accepts = np.concatenate([[0.0], np.cumsum(counted * same)[thresholds]])
    return Curves(
        false_accepts / false_accepts[-1],
        true_accepts / true_accepts[-1],
        np.concatenate([[np.inf], logits[thresholds]]),
    )


def area(curve: Curves) -> float:
    """Return the area under the ROC curve.

    It is the probability that a same pair has a higher logit than a different pair, where ties count half.
    """
    return float(np.trapezoid(curve.true_accept, curve.false_accept))


def equal_error_rate(curve: Curves) -> float:
    """Return the rate at which false accepts and false rejects are equal, interpolated linearly on the ROC curve."""
    # It is where false_accept + true_accept = 1; that sum rises from 0 to 2.
    return float(np.interp(1, curve.false_accept + curve.true_accept, curve.false_accept))


def operating_point(curve: Curves, false_accept_rate: float) -> OperatingPoint:
    """Return the point with the most true accepts within a rate of false accepts, the strictest one if several tie.

    Args:
      curve: Rates by threshold.
      false_accept_rate: The largest rate of false accepts, in [0, 1].

    Raises:
      UserError: The rate is not in [0, 1].
    """
    if not 0 <= false_accept_rate <= 1:
        raise UserError(
            f"false_accept_rate={false_accept_rate} is out of range: give a fraction from 0 to 1, for example 0.01"
        )
    allowed = curve.true_accept[np.searchsorted(curve.false_accept, false_accept_rate, side="right") - 1]
    place = np.searchsorted(curve.true_accept, allowed)
    return OperatingPoint(*(float(part[place]) for part in (curve.thresholds, curve.false_accept, curve.true_accept)))


def thinned(curve: Curves, tolerance: float = 0.002, deviates: float = 0.02) -> Curves:
    """Return a curve with fewer points that looks the same (Douglas and Peucker 1973).

    Args:
      curve: Rates by threshold.
      tolerance: The largest distance from the whole ROC curve.
      deviates: The largest distance from the whole DET curve, in normal deviates. Small rates take most room there.
    """
    rates = np.stack([curve.false_accept, curve.true_accept], axis=1)
    normal = stats.norm.ppf(rates)
    drawn = np.flatnonzero(np.isfinite(normal).all(axis=1))  # other points are infinitely far away on a DET curve
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
    """Return the distance of each of the points [K, 2] from the chord between the first and the last."""
    x, y = (points - points[0]).T
    return np.abs(x * y[-1] - y * x[-1]) / np.hypot(x[-1], y[-1])
