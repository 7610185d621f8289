"""Where a network errs: margins of trials, the hardest of each alphabet, and which characters are taken for which.

Scores are float [R, Q, n_way] of one-shot runs, the highest of which is chosen. What is found in an alphabet is under
its index in `Images.group_names`; a trial belongs to its query's alphabet, and alphabets without a trial are left out.
"""

from collections import Counter
from typing import NamedTuple

import chex
import numpy as np

from siamese_jax.records import Episodes, Images


class Confusion(NamedTuple):
    """Character `shown` was taken for the character `taken_for` in `times` of the `trials` that showed it.

    Characters as in `Images.class_index`. Queries whose highest score is tied took the character for none.
    """

    shown: int
    taken_for: int
    times: int
    trials: int


def margins(scores: np.ndarray, answer: np.ndarray) -> np.ndarray:
    """Return the right score minus the best wrong one: [R, Q]; below 0 is an error, 0 a tie.

    `scores` [R, Q, n_way], `answer` [R, Q] in [0, n_way).
    """
    scores, place = np.asarray(scores), np.asarray(answer)[..., None]
    chex.assert_rank(scores, 3)
    chex.assert_equal_shape_prefix([scores, place], 2)
    wrong = scores.astype(np.float64)
    np.put_along_axis(wrong, place, -np.inf, axis=-1)
    return np.take_along_axis(scores, place, axis=-1)[..., 0] - wrong.max(axis=-1)


def hardest(
    scores: np.ndarray, episodes: Episodes, alphabet_of_row: np.ndarray, each: int
) -> dict[int, list[tuple[int, int]]]:
    """Return the trials (run, query) of the `each` lowest margins of every alphabet, the hardest first.

    `alphabet_of_row` [N] is `Images.group_index`. Of equal margins the first run, then its first query, comes first.
    """
    margin = margins(scores, np.asarray(episodes.answer)).ravel()
    queries = np.shape(episodes.query)[1]
    return {
        alphabet: [divmod(int(trial), queries) for trial in trials[np.argsort(margin[trials], kind="stable")[:each]]]
        for alphabet, trials in _trials_by_alphabet(episodes, alphabet_of_row).items()
    }


def confusions(scores: np.ndarray, episodes: Episodes, images: Images, each: int) -> dict[int, list[Confusion]]:
    """Return the `each` most frequent confusions of every alphabet, the most frequent first; fewer if fewer occur.

    Of equally frequent ones the character that was shown less often comes first, then the lower number.
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
    for alphabet, trials in _trials_by_alphabet(episodes, images.group_index).items():
        errors = trials[clear[trials] & (taken_for[trials] != shown[trials])]
        times = Counter(zip(shown[errors].tolist(), taken_for[errors].tolist(), strict=True))
        of_it = [Confusion(*pair, count, times_shown[pair[0]]) for pair, count in times.items()]
        found[alphabet] = sorted(of_it, key=lambda c: (-c.times, c.trials, c.shown, c.taken_for))[:each]
    return found


def _trials_by_alphabet(episodes: Episodes, alphabet_of_row: np.ndarray) -> dict[int, np.ndarray]:
    """Return the places of an alphabet's queries among all R·Q of them, in order."""
    of_query = alphabet_of_row[np.ravel(episodes.query)]
    return {int(alphabet): np.flatnonzero(of_query == alphabet) for alphabet in np.unique(of_query)}
