"""Bootstrap intervals over clusters, and the comparison of two methods on the same trials.

Trials of one episode, or pairs of one group, resemble each other. Resampling single trials would make intervals too
narrow, so whole clusters are resampled. Every interval is a 95 % percentile interval (Efron and Tibshirani 1993,
chapter 13), and the same data always give the same interval.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import overload

import chex
import numpy as np
from scipy import stats

from siamese_jax.results import Interval


@dataclass(frozen=True)
class PairedDifference:
    """Credit of a first method minus that of a second one on the same trials.

    `difference` in [-1, 1] is the mean difference and `ci95` its interval. `p_value` is two-sided. `only_first` and
    `only_second` count the trials in which one method earned more than the other.
    """

    trials: int
    episodes: int
    difference: float
    ci95: Interval
    p_value: float
    only_first: int
    only_second: int


@overload
def clustered_interval(
    values: np.ndarray, clusters: np.ndarray, resamples: int = 9999, unknown: Interval = (0.0, 1.0)
) -> Interval: ...
@overload
def clustered_interval(
    values: np.ndarray, clusters: np.ndarray, resamples: int = 9999, *, unknown: None
) -> Interval | None: ...
def clustered_interval(
    values: np.ndarray, clusters: np.ndarray, resamples: int = 9999, unknown: Interval | None = (0.0, 1.0)
) -> Interval | None:
    """Return the 95 % bootstrap interval of a mean, resampling whole clusters.

    If all values are at one end of their range, every resample is the same. The interval is then that of as many
    independent trials (Clopper and Pearson 1934).

    Args:
      values: [N], in the range `unknown`.
      clusters: [N], which cluster each value belongs to.
      resamples: Number of bootstrap resamples.
      unknown: The range of the mean, returned if there is only one cluster, which says nothing about the spread. None
        stands for [0, 1], and for an interval that is not known.

    Returns:
      The lower and the upper bound.
    """
    chex.assert_equal_shape([values, clusters])
    members = np.unique(clusters, return_inverse=True)[1]
    totals, sizes = np.bincount(members, weights=values), np.bincount(members)
    if len(sizes) < 2:
        return unknown
    lowest, highest = unknown or (0.0, 1.0)
    if np.all(values == lowest) or np.all(values == highest):
        exact = stats.binomtest(int(np.sum(values == highest)), len(values)).proportion_ci(method="exact")
        low, high = (float(lowest + share * (highest - lowest)) for share in exact)
        return low, high
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
    """Return 95 % bootstrap intervals of statistics that are not means (AUC, equal error rate).

    Args:
      statistics: Takes weights [N], how often each value was resampled, and returns [S] numbers in [0, 1].
      clusters: [N], which cluster each value belongs to.
      resamples: Number of bootstrap resamples. Each one computes all statistics.

    Returns:
      [S] intervals; (0, 1) if there is only one cluster.
    """
    members = np.unique(clusters, return_inverse=True)[1]
    count = members.max() + 1
    if count < 2:
        return [(0.0, 1.0) for _ in statistics(np.ones(len(members)))]
    draws = np.random.default_rng(0).integers(count, size=(resamples, count))
    found = [statistics(np.bincount(draw, minlength=count)[members]) for draw in draws]
    return [(float(low), float(high)) for low, high in np.percentile(found, [2.5, 97.5], axis=0).T]


def paired_difference(first: np.ndarray, second: np.ndarray) -> PairedDifference:
    """Compare two methods on the same trials.

    The interval is by bootstrap over episodes. The p-value is that of a sign-flip test (Fisher 1935, "The Design of
    Experiments", section 21): how often the mean is at least as far from 0 if the sign of each episode's difference is
    random. Up to 13 episodes, all sign changes are tried; with more, 9,999 random ones.

    Args:
      first: Credit [R, Q] of the first method, in [0, 1].
      second: Credit [R, Q] of the second method on the same trials.
    """
    chex.assert_rank([first, second], 2)
    chex.assert_equal_shape([first, second])
    difference = np.asarray(first, np.float64) - second
    episodes = len(difference)
    of_episode = np.repeat(np.arange(episodes), difference.shape[1])
    return PairedDifference(
        trials=difference.size,
        episodes=episodes,
        difference=float(difference.mean()),
        ci95=clustered_interval(difference.ravel(), of_episode, unknown=(-1.0, 1.0)),
        p_value=_sign_flip(difference.mean(axis=1)),
        only_first=int((difference > 0).sum()),
        only_second=int((difference < 0).sum()),
    )


def _sign_flip(differences: np.ndarray) -> float:
    if len(differences) < 2:
        return 1.0  # both signs of one episode are equally far from 0
    tested = stats.permutation_test(
        (differences,),
        lambda values, axis: values.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=9999,
        batch=500,  # bounds the memory: thousands of episodes would take gigabytes
        rng=np.random.default_rng(0),
    )
    return float(tested.pvalue)
