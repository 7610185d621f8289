"""Decisions that may be "unknown", by the terms of ISO/IEC 19795-1:2021, and sets of classes with a coverage.

A gallery has N enrolled classes. A query is known if its class is one of them. Scores are float [Q, N] of queries and
classes; a query is accepted if its best score is at or above a threshold.

Thresholds are order statistics. They hold for a new value that is exchangeable with those they were chosen on, whatever
the distribution (Vovk et al. 2005, "Algorithmic Learning in a Random World"). Queries of one group resemble each other,
so for new groups the rate that was asked is met on average and not in each group.
"""

import math
from collections.abc import Sequence

import chex
import numpy as np

from siamese_jax.results import Interval


def fmr(scores: np.ndarray, same: np.ndarray, threshold: float) -> float:
    """Return the false match rate: the share of different pairs at or above the threshold.

    Args:
      scores: Scores of pairs [N].
      same: Whether each pair is of one class, bool [N].
      threshold: The score from which a pair is called same.
    """
    chex.assert_equal_shape([scores, same])
    return float((np.asarray(scores)[~np.asarray(same, bool)] >= threshold).mean())


def fnmr(scores: np.ndarray, same: np.ndarray, threshold: float) -> float:
    """Return the false non-match rate: the share of same pairs below the threshold; arguments as in `fmr`."""
    chex.assert_equal_shape([scores, same])
    return float((np.asarray(scores)[np.asarray(same, bool)] < threshold).mean())


def false_positives(unknown: np.ndarray, threshold: float) -> np.ndarray:
    """Return which unknown queries are accepted, bool [Q]. Their mean is the false-positive identification rate, FPIR.

    Args:
      unknown: Scores [..., Q, N] of queries whose classes are not enrolled.
      threshold: The best score from which a query is accepted.
    """
    return np.asarray(unknown).max(axis=-1) >= threshold


def detected(known: np.ndarray, answer: np.ndarray, threshold: float) -> np.ndarray:
    """Return which known queries are accepted with the right class first, bool [Q]; a tie for the first is an error.

    Their mean is the detection and identification rate, DIR = 1 − FNIR(N, R = 1, threshold).

    Args:
      known: Scores [..., Q, N] of queries whose classes are enrolled.
      answer: Their classes [..., Q], in [0, N).
      threshold: The best score from which a query is accepted.
    """
    known, place = np.asarray(known), np.asarray(answer)[..., None]
    chex.assert_equal_shape_prefix([known, place], known.ndim - 1)
    right = np.take_along_axis(known, place, axis=-1)
    first = (known >= right).sum(axis=-1) == 1
    return first & (right[..., 0] >= threshold)


def order_statistic(values: np.ndarray, share: float) -> float:
    """Return the value that a new exchangeable one does not exceed with a probability of at least `share`.

    It is the ⌈share · (n + 1)⌉-th smallest of n values, or infinity if n is too small for that share.

    Args:
      values: [n].
      share: In (0, 1).
    """
    chex.assert_rank(values, 1)
    place = math.ceil(share * (len(values) + 1) - 1e-9)  # 0.95 · 20 is a little more than 19 in floating point
    return float(np.sort(values)[place - 1]) if place <= len(values) else math.inf


def threshold_for_fpir(unknown: np.ndarray, fpir: float) -> float:
    """Return the threshold with a wanted false-positive identification rate, in galleries of the same size.

    Args:
      unknown: Scores [..., N] of unknown queries, floating point.
      fpir: The rate, in (0, 1).

    Returns:
      The next number of the scores' dtype above an order statistic of the queries' best scores; infinity if there are
      too few queries.
    """
    best = np.asarray(unknown).max(axis=-1).ravel()
    return float(np.nextafter(best.dtype.type(order_statistic(best, 1 - fpir)), best.dtype.type(np.inf)))


def fpir_interval(
    chosen_on: np.ndarray,
    chosen_group: np.ndarray,
    new: np.ndarray,
    new_group: np.ndarray,
    fpir: float,
    resamples: int = 499,
) -> Interval:
    """Return the 95 % interval of the measured rate, if both sets had other groups, by bootstrap.

    In each resample the threshold is chosen again, on resampled groups of the first set, and measured on resampled
    groups of the second. So the interval holds what a threshold owes to the groups that it was chosen on.

    Args:
      chosen_on: Best scores [n] of the unknown queries that thresholds are chosen on.
      chosen_group: Their groups [n].
      new: Best scores [m] of the unknown queries that the rate is measured on.
      new_group: Their groups [m].
      fpir: The rate that is asked for.
      resamples: Number of bootstrap resamples.
    """
    chex.assert_equal_shape([chosen_on, chosen_group])
    chex.assert_equal_shape([new, new_group])
    generator, rates = np.random.default_rng(0), []
    for _ in range(resamples):
        first, second = (_resampled(generator, *part) for part in ((chosen_on, chosen_group), (new, new_group)))
        rates.append(false_positives(second[:, None], threshold_for_fpir(first[:, None], fpir)).mean())
    low, high = np.percentile(rates, [2.5, 97.5])
    return float(low), float(high)


def _resampled(generator: np.random.Generator, values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return the values of as many groups as there are, sampled with replacement."""
    members = np.unique(group, return_inverse=True)[1]
    count = members.max() + 1
    return np.repeat(values, np.bincount(generator.integers(count, size=count), minlength=count)[members])


def gaps(scores: np.ndarray, answer: np.ndarray) -> np.ndarray:
    """Return how far the right class is below the best one, float64 [..., Q]; 0 if it is the best.

    Args:
      scores: Scores [..., Q, N].
      answer: The right classes [..., Q], in [0, N).
    """
    scores, place = np.asarray(scores, np.float64), np.asarray(answer)[..., None]
    chex.assert_equal_shape_prefix([scores, place], scores.ndim - 1)
    return scores.max(axis=-1) - np.take_along_axis(scores, place, axis=-1)[..., 0]


def prediction_set(scores: np.ndarray, gap: float) -> np.ndarray:
    """Return which classes are at most `gap` below the best one, bool [..., N]. A set is never empty.

    With `gap` the order statistic of `gaps` of other queries for a share, a set holds the right class of a known query
    with at least that probability (split conformal prediction).

    Args:
      scores: Scores [..., N].
      gap: 0 or more.
    """
    scores = np.asarray(scores, np.float64)
    return scores >= scores.max(axis=-1, keepdims=True) - gap


def at_size(classes: int, sizes: Sequence[int], values: Sequence[float]) -> float:
    """Return what was measured for galleries of some sizes, for any size.

    It is linear in log N between two sizes. Beyond them the nearest line goes on, because the best of N scores grows
    about as log N where the scores have an exponential tail. One size gives its value for all.

    Args:
      classes: N, the number of enrolled classes, 1 or more.
      sizes: The sizes that were measured, rising.
      values: What was measured, for each size.
    """
    if len(sizes) == 1:
        return float(values[0])
    place = int(np.clip(np.searchsorted(sizes, classes), 1, len(sizes) - 1))
    (low, high), (first, second) = np.log(sizes[place - 1 : place + 1]), values[place - 1 : place + 1]
    return float(first + (second - first) * (np.log(classes) - low) / (high - low))
