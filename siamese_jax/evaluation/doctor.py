"""The evaluation doctor: looks for the faults that make a one-shot figure wrong, before and after trials are scored.

What cannot be measured honestly raises UserError; what a reader has to know is returned as sentences.
"""

from collections.abc import Iterable, Mapping

import chex
import numpy as np

from siamese_jax.errors import UserError
from siamese_jax.records import Episodes, Images
from siamese_jax.statistics.scores import ties

Seen = Mapping[str, Images]
"""What a method has seen, by how it was used: "trained" and "chosen" on; empty for one that learns nothing."""


def examine_episodes(images: Images, episodes: Episodes, n_way: int, seen: Seen) -> list[str]:
    """Examines runs, whose rows index `alphabets`, before they are scored; returns warnings.

    UserError for another number of ways than `n_way`, a character that stands for two ways or a way of two characters,
    an answer that is not the query's character, a query that is one of its supports, a support shown twice, or an
    alphabet in `seen`.
    """
    support, query, answer = (np.asarray(part) for part in episodes)
    chex.assert_rank([support, query, answer], [3, 2, 2])
    chex.assert_equal_shape([query, answer])
    if support.shape[1] != n_way or answer.min() < 0 or answer.max() >= n_way:
        raise UserError(f"these are {support.shape[1]}-way trials with answers to {answer.max() + 1}, not {n_way}-way")
    _examine_characters(images.class_index[support], images.class_index[query], answer)
    _refuse("the query itself is among the supports", (support[:, None] == query[..., None, None]).any(axis=(2, 3)))
    shown = np.sort(support.reshape(len(support), -1), axis=1)
    _refuse("a drawing is repeated among the supports", (shown[:, 1:] == shown[:, :-1]).any(axis=1))
    warnings = _sharing(images, np.union1d(support, query), seen)
    copied, repeated = _identical(images.images, support, query)
    if copied:
        warnings.append(f"{copied:,} {_trials(copied)} a support that is, byte for byte, the query's image")
    if repeated:
        warnings.append(f"{repeated:,} {_trials(repeated)} two supports that are, byte for byte, one image")
    return warnings


def examine_scores(scores: np.ndarray, episodes: Episodes) -> list[str]:
    """Examines scores [R, Q, n_way]; returns warnings. UserError unless each way of each query has a finite one."""
    expected = (*np.shape(episodes.query), np.shape(episodes.support)[1])
    if scores.shape != expected:
        raise UserError(f"there are scores of shape {scores.shape} for trials of shape {expected}")
    if not np.isfinite(scores).all():
        raise UserError("some scores are not finite, so that no trial can be judged by them")
    if (scores == scores.flat[0]).all():
        return ["the output is constant: all scores are equal, so that every trial counts as chance"]
    tied = ties(scores)
    return [f"{tied:,} {_trials(tied)} equal highest scores; they count as chance"] if tied else []


def _examine_characters(support: np.ndarray, query: np.ndarray, answer: np.ndarray) -> None:
    """Takes the characters of the supports [R, n_way, k_shot] and queries [R, Q]."""
    _refuse("a way has supports of several characters", (support != support[..., :1]).any(axis=(1, 2)))
    ways = np.sort(support[..., 0], axis=1)
    _refuse("a character is repeated: it stands for two ways", (ways[:, 1:] == ways[:, :-1]).any(axis=1))
    _refuse("the answer is not the query's character", np.take_along_axis(support[..., 0], answer, axis=1) != query)


def _sharing(images: Images, rows: np.ndarray, seen: Seen) -> list[str]:
    names = {images.group_names[i] for i in np.unique(images.group_index[rows])}
    drawers = set(np.unique(images.author[rows]).tolist())
    warnings = []
    for used, part in seen.items():
        if common := names & set(part.group_names):
            raise UserError(f"the checkpoint was {used} on alphabets that these trials take: {_listed(common)}")
        shared = drawers & set(part.author.tolist())
        if shared:
            warnings.append(
                f"drawers numbered {_listed(shared)} also drew characters, of other alphabets, that the checkpoint was "
                f"{used} on"
            )
    return warnings


def _identical(images: np.ndarray, support: np.ndarray, query: np.ndarray) -> tuple[int, int]:
    """Counts the queries with a support of the same bytes, and those with two supports of the same bytes."""
    rows, places = np.unique(np.concatenate([support.ravel(), query.ravel()]), return_inverse=True)
    content = np.unique(images[rows].reshape(len(rows), -1), axis=0, return_inverse=True)[1].ravel()[places]
    shown, asked = content[: support.size].reshape(len(support), -1), content[support.size :].reshape(query.shape)
    copied = (asked[..., None] == shown[:, None]).any(axis=-1)
    shown = np.sort(shown, axis=1)
    return int(copied.sum()), int((shown[:, 1:] == shown[:, :-1]).any(axis=1).sum() * query.shape[1])


def _refuse(what: str, faults: np.ndarray) -> None:
    """Raises UserError if any of `faults` [R, ...] is true, naming the first run that has it."""
    if faults.any():
        raise UserError(f"the trials are faulty: {what}, in run {int(np.argwhere(faults)[0, 0]) + 1} of {len(faults)}")


def _trials(count: int) -> str:
    return "trial has" if count == 1 else "trials have"


def _listed(names: Iterable[str | int]) -> str:
    return ", ".join(map(str, sorted(names)))
