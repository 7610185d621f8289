"""Scores and their intervals: one-shot credit, verification accuracy at a threshold, bootstrap by cluster."""

import chex
import numpy as np
from scipy import stats

Interval = tuple[float, float]


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


def clustered_interval(values: np.ndarray, clusters: np.ndarray, resamples: int = 9999) -> Interval:
    """Returns the 95 % bootstrap interval of the mean of `values` [N] when whole clusters are drawn, not values.

    Trials of one run, or pairs of one alphabet, are alike: to count them as independent would make the interval too
    narrow (Efron and Tibshirani 1993, chapter 13: percentile interval). `clusters` [N] says which belong together. One
    cluster alone says nothing about the spread: the interval is then [0, 1].
    """
    chex.assert_equal_shape([values, clusters])
    members = np.unique(clusters, return_inverse=True)[1]
    totals, sizes = np.bincount(members, weights=values), np.bincount(members)
    if len(sizes) < 2:
        return 0.0, 1.0
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


def best_threshold(logits: np.ndarray, same: np.ndarray) -> float:
    """Returns the logit above which to say "same" for the highest accuracy; of equally good cuts the lowest.

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
    return ((np.asarray(logits, np.float64) > threshold) == np.asarray(same, bool)).astype(np.float64)
