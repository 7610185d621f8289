"""Where a network errs: margins of trials, the hardest trials of each group, and which classes it confuses.

Scores are float [R, Q, n_way] of episodes; the class with the highest is chosen. Results are by group index. A trial
belongs to the group of its query, and groups without a trial are left out.
"""

from collections import Counter
from typing import NamedTuple

import chex
import numpy as np

from siamese_jax.records import Episodes, Images


class Confusion(NamedTuple):
    """How often one class was taken for another. A query whose highest score is tied counts as no confusion.

    Attributes:
      shown: Class of the queries, as in `Images.class_index`.
      taken_for: The class that was chosen.
      times: How often.
      trials: How many trials showed the class.
    """

    shown: int
    taken_for: int
    times: int
    trials: int


def margins(scores: np.ndarray, answer: np.ndarray) -> np.ndarray:
    """Return the score of the right class minus the highest wrong score: [R, Q], negative for an error, 0 for a tie.

    Args:
      scores: [R, Q, n_way].
      answer: The right classes [R, Q], in [0, n_way).
    """
    scores, place = np.asarray(scores), np.asarray(answer)[..., None]
    chex.assert_rank(scores, 3)
    chex.assert_equal_shape_prefix([scores, place], 2)
    wrong = scores.astype(np.float64)
    np.put_along_axis(wrong, place, -np.inf, axis=-1)
    return np.take_along_axis(scores, place, axis=-1)[..., 0] - wrong.max(axis=-1)


def hardest(
    scores: np.ndarray, episodes: Episodes, group_of_row: np.ndarray, each: int
) -> dict[int, list[tuple[int, int]]]:
    """Return the trials with the lowest margins of every group, the hardest first.

    Args:
      scores: [R, Q, n_way].
      episodes: Their episodes.
      group_of_row: `Images.group_index` [N].
      each: How many trials of each group.

    Returns:
      By group, (episode, query) of each trial. Equal margins keep their order.
    """
    margin = margins(scores, np.asarray(episodes.answer)).ravel()
    queries = np.shape(episodes.query)[1]
    return {
        group: [divmod(int(trial), queries) for trial in trials[np.argsort(margin[trials], kind="stable")[:each]]]
        for group, trials in _trials_by_group(episodes, group_of_row).items()
    }


def confusions(scores: np.ndarray, episodes: Episodes, images: Images, each: int) -> dict[int, list[Confusion]]:
    """Return the most frequent confusions of every group, the most frequent first.

    Of equally frequent ones, the class that was shown less often comes first, then the lower index.

    Args:
      scores: [R, Q, n_way].
      episodes: Their episodes.
      images: The images that the episodes index.
      each: How many confusions of each group, if there are as many.
    """
    scores = np.asarray(scores)
    chex.assert_rank(scores, 3)
    best = scores == scores.max(axis=-1, keepdims=True)
    clear = (best.sum(axis=-1) == 1).ravel()
    supports = images.class_index[np.asarray(episodes.support)[..., 0]]
    taken_for = np.take_along_axis(supports, best.argmax(axis=-1), axis=-1).ravel()
    shown = images.class_index[np.ravel(episodes.query)]
    times_shown = Counter(shown.tolist())
    found = {}
    for group, trials in _trials_by_group(episodes, images.group_index).items():
        errors = trials[clear[trials] & (taken_for[trials] != shown[trials])]
        times = Counter(zip(shown[errors].tolist(), taken_for[errors].tolist(), strict=True))
        confused = [Confusion(*pair, count, times_shown[pair[0]]) for pair, count in times.items()]
        found[group] = sorted(confused, key=lambda c: (-c.times, c.trials, c.shown, c.taken_for))[:each]
    return found


def _trials_by_group(episodes: Episodes, group_of_row: np.ndarray) -> dict[int, np.ndarray]:
    """Return the places of the queries of each group among all R·Q queries, in order."""
    of_query = group_of_row[np.ravel(episodes.query)]
    return {int(group): np.flatnonzero(of_query == group) for group in np.unique(of_query)}
