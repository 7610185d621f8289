"""The evaluation doctor: looks for errors that make a one-shot accuracy wrong, before and after trials are scored.

Trials that cannot be measured honestly raise UserError. What a reader should know is returned as sentences.
"""

import hashlib
import itertools
from collections.abc import Iterable, Mapping

import chex
import numpy as np

from siamese_jax.errors import UserError
from siamese_jax.records import Episodes, Images
from siamese_jax.results import plural
from siamese_jax.statistics.scores import ties

Seen = Mapping[str, Images]
"""What a method has seen before, by use: "trained" or "chosen" on. Empty for an untrained baseline."""


def examine_episodes(images: Images, episodes: Episodes, n_way: int, seen: Seen) -> list[str]:
    """Examine episodes before they are scored.

    Args:
      images: the images that the episodes index.
      episodes: the trials.
      n_way: how many classes a trial should have.
      seen: what the method has seen before.

    Returns:
      Warnings.

    Raises:
      UserError: the number of classes differs from `n_way`, a class stands for two ways, the supports of a way are of
        two classes, an answer is not the query's class, a query is one of its supports, a support is shown twice, or a
        class is in `seen`.
    """
    support, query, answer = (np.asarray(part) for part in episodes)
    chex.assert_rank([support, query, answer], [3, 2, 2])
    chex.assert_equal_shape([query, answer])
    if support.shape[1] != n_way or answer.min() < 0 or answer.max() >= n_way:
        raise UserError(f"these are {support.shape[1]}-way trials with answers to {answer.max() + 1}, not {n_way}-way")
    _examine_classes(images.class_index[support], images.class_index[query], answer, images.words.class_)
    _refuse("the query itself is among the supports", (support[:, None] == query[..., None, None]).any(axis=(2, 3)))
    shown = np.sort(support.reshape(len(support), -1), axis=1)
    _refuse("an image is repeated among the supports", (shown[:, 1:] == shown[:, :-1]).any(axis=1))
    warnings = _sharing(images, np.union1d(support, query), seen)
    copied, repeated = _identical(images.images, support, query)
    if copied:
        warnings.append(f"{copied:,} {_trials(copied)} a support that is, byte for byte, the query's image")
    if repeated:
        warnings.append(f"{repeated:,} {_trials(repeated)} two supports that are, byte for byte, one image")
    return warnings


def examine_sets(sets: Mapping[str, Images]) -> list[str]:
    """Return a warning for each pair of sets that share pictures, byte for byte."""
    digests = {
        name: {hashlib.blake2b(image.tobytes(), digest_size=16).digest(): row for row, image in enumerate(part.images)}
        for name, part in sets.items()
    }
    warnings = []
    for one, other in itertools.combinations(sets, 2):
        if common := digests[one].keys() & digests[other].keys():
            part, row = sets[one], min(digests[one][digest] for digest in common)
            class_ = part.class_index[row]
            name = part.class_names[class_] if part.class_names else f"number {class_}"
            warnings.append(
                f"Warning: {len(common):,} {'picture is' if len(common) == 1 else 'pictures are'} both in {one} and in "
                f"{other}, byte for byte, for example of the {part.words.class_} {name}"
            )
    return warnings


def groups_left_out(images: Images, episodes: Episodes, offered: Images) -> list[str]:
    """Return a warning if trials could not use some groups, because these have too few classes or images.

    Args:
      images: the images that the episodes index.
      episodes: the trials.
      offered: the images that the trials were sampled from.
    """
    used = {images.group_names[i] for i in np.unique(images.group_index[np.asarray(episodes.query)])}
    missing = [name for name in offered.group_names if name not in used]
    if not missing:
        return []
    return [
        f"{len(missing)} of {len(offered.group_names)} {plural(images.words.group)} are left out, as they have too few "
        f"{plural(images.words.class_)} or images for these trials: {_listed(missing)}"
    ]


def examine_scores(scores: np.ndarray, episodes: Episodes) -> list[str]:
    """Examine scores [R, Q, n_way] of episodes; return warnings.

    Raises:
      UserError: a way of a query has no score, or one that is not finite.
    """
    expected = (*np.shape(episodes.query), np.shape(episodes.support)[1])
    if scores.shape != expected:
        raise UserError(f"there are scores of shape {scores.shape} for trials of shape {expected}")
    if not np.isfinite(scores).all():
        raise UserError("some scores are not finite, so that no trial can be judged by them")
    if (scores == scores.flat[0]).all():
        return ["the output is constant: all scores are equal, so that every trial counts as chance"]
    tied = ties(scores)
    return [f"{tied:,} {_trials(tied)} equal highest scores; they count as chance"] if tied else []


def _examine_classes(support: np.ndarray, query: np.ndarray, answer: np.ndarray, word: str) -> None:
    """Examine the classes of the supports [R, n_way, k_shot] and queries [R, Q]."""
    _refuse(f"a way has supports of several {plural(word)}", (support != support[..., :1]).any(axis=(1, 2)))
    ways = np.sort(support[..., 0], axis=1)
    _refuse(f"a {word} is repeated: it stands for two ways", (ways[:, 1:] == ways[:, :-1]).any(axis=1))
    _refuse(f"the answer is not the query's {word}", np.take_along_axis(support[..., 0], answer, axis=1) != query)


def _sharing(images: Images, rows: np.ndarray, seen: Seen) -> list[str]:
    words = images.words
    authors = set(np.unique(images.author[rows]).tolist()) - {-1}
    warnings = []
    for used, part in seen.items():
        of_classes = bool(images.class_names and part.class_names)
        kind = plural(words.class_ if of_classes else words.group)
        if common := _names(images, rows, of_classes) & _names(part, np.arange(len(part.images)), of_classes):
            raise UserError(f"the checkpoint was {used} on {kind} that these trials take: {_listed(common)}")
        shared = authors & set(part.author.tolist())
        if shared:
            named = [images.author_names[author] for author in shared] if images.author_names else []
            who = _listed(named) if named else f"numbered {_listed(shared)}"
            warnings.append(
                f"{plural(words.author)} {who} also made images of other {kind} that the checkpoint was {used} on"
            )
    return warnings


def _names(images: Images, rows: np.ndarray, of_classes: bool) -> set[str]:
    """Return the names of the classes of these rows, with their groups, or of the groups alone."""
    if not of_classes:
        return {images.group_names[i] for i in np.unique(images.group_index[rows])}
    both = np.unique(np.stack([images.group_index[rows], images.class_index[rows]]), axis=1)
    return {f"{images.group_names[group]}/{images.class_names[class_]}" for group, class_ in both.T}


def _identical(images: np.ndarray, support: np.ndarray, query: np.ndarray) -> tuple[int, int]:
    """Count the queries with a support of the same bytes, and those with two supports of the same bytes."""
    rows, places = np.unique(np.concatenate([support.ravel(), query.ravel()]), return_inverse=True)
    content = np.unique(images[rows].reshape(len(rows), -1), axis=0, return_inverse=True)[1].ravel()[places]
    shown, asked = content[: support.size].reshape(len(support), -1), content[support.size :].reshape(query.shape)
    copied = (asked[..., None] == shown[:, None]).any(axis=-1)
    shown = np.sort(shown, axis=1)
    return int(copied.sum()), int((shown[:, 1:] == shown[:, :-1]).any(axis=1).sum() * query.shape[1])


def _refuse(what: str, faults: np.ndarray) -> None:
    """Raise UserError if any of `faults` [R, ...] is true, naming the first episode that has it."""
    if faults.any():
        episode = int(np.argwhere(faults)[0, 0]) + 1
        raise UserError(f"the trials are faulty: {what}, in episode {episode} of {len(faults)}")


def _trials(count: int) -> str:
    return "trial has" if count == 1 else "trials have"


def _listed(names: Iterable[str | int]) -> str:
    return ", ".join(map(str, sorted(names)))
