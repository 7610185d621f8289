"""Parity: an exported network is read back and compared with JAX on one-shot trials."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from siamese_jax.errors import UserError
from siamese_jax.export.exported import Exported
from siamese_jax.export.trials import Trials
from siamese_jax.pretrained import Model

TOLERANCE = 1e-4
"""The largest difference that is allowed, of values up to 1; of larger ones this part of the largest value."""
TOGETHER = 32
"""Images embedded at a time."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How far two computations of the same numbers are apart.

    Attributes:
      largest: The largest absolute difference.
      range: The largest absolute value that JAX computes.
    """

    largest: float
    range: float

    @property
    def relative(self) -> float:
        """The largest difference as a part of the largest value, or of 1 if that is larger."""
        return self.largest / max(1.0, self.range)


@dataclass(frozen=True, kw_only=True)
class Parity:
    """What one format was found to compute, beside JAX.

    Attributes:
      runtime: What computed it, with its version.
      embeddings: Differences of all embeddings.
      scores: Differences of the scores of all queries and supports, computed from each side's own embeddings.
      choices: Trials with the same choice. A choice is the same, too, if JAX's scores of the two classes chosen are
        nearer to each other than the tolerance: a tie.
      ties: How many of these are ties.
      accuracy: Share of trials that the exported network decides right.
    """

    runtime: str
    embeddings: Difference
    scores: Difference
    choices: int
    ties: int
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What JAX computes on the trials.

    Attributes:
      trials: The trials.
      embeddings: Of their images [N, D].
      scores: Of their queries and supports [R, Q, n_way].
      paired: The same, with the support of the next class beside each support.
      compare: As `Exported.scores`.
    """

    trials: Trials
    embeddings: np.ndarray
    scores: np.ndarray
    paired: np.ndarray
    compare: Callable[[np.ndarray, np.ndarray], np.ndarray]


def wanted(model: Model, trials: Trials) -> Wanted:
    """Compute with JAX what exports are compared with."""
    jax_itself = Exported(model.embed, model.scores, "")
    embeddings = _embed(jax_itself, trials.images)
    return Wanted(
        trials=trials,
        embeddings=embeddings,
        scores=_scores(jax_itself, embeddings, trials),
        paired=_scores(jax_itself, embeddings, trials, paired=True),
        compare=model.scores,
    )


def compare(found: Exported, expected: Wanted) -> Parity:
    """Compare an exported network with JAX.

    Scores are compared as the trials have them, and with the support of the next class beside each support, so that
    combining several supports is compared, too.
    """
    trials, answer = expected.trials, np.asarray(expected.trials.episodes.answer)
    embeddings = _embed(found, trials.images)
    scores = _scores(found, embeddings, trials)
    paired = _scores(found, embeddings, trials, paired=True)
    of_scores = difference(np.stack([scores, paired]), np.stack([expected.scores, expected.paired]))
    chosen, theirs = scores.argmax(axis=-1), expected.scores.argmax(axis=-1)
    below_best = expected.scores.max(axis=-1) - np.take_along_axis(expected.scores, chosen[..., None], -1)[..., 0]
    same = below_best <= TOLERANCE * max(1.0, of_scores.range)
    return Parity(
        runtime=found.runtime,
        embeddings=difference(embeddings, expected.embeddings),
        scores=of_scores,
        choices=int(same.sum()),
        ties=int((same & (chosen != theirs)).sum()),
        accuracy=float((chosen == answer).mean()),
    )


def difference(found: np.ndarray, expected: np.ndarray) -> Difference:
    """Return how far numbers are from those that are expected, both of one shape."""
    apart = np.abs(np.asarray(found, np.float64) - np.asarray(expected, np.float64))
    return Difference(largest=float(apart.max()), range=float(np.abs(expected).max()))


def check(name: str, parity: Parity, trials: int) -> None:
    """Raise UserError unless an export does what JAX does."""
    for what, apart in (("embeddings", parity.embeddings), ("scores", parity.scores)):
        if not apart.relative <= TOLERANCE:  # NaN is above it, too
            raise UserError(
                f"the {name} export was not written, its {what} differ from JAX's by up to {apart.largest:.2g} of "
                f"{apart.range:.3g}, and {TOLERANCE * max(1.0, apart.range):.2g} is allowed: leave {name} out of "
                "--format"
            )
    if parity.choices != trials:
        raise UserError(
            f"the {name} export was not written, {trials - parity.choices} of its {trials} choices differ from JAX's: "
            f"leave {name} out of --format"
        )


def _embed(network: Exported, images: np.ndarray) -> np.ndarray:
    parts = [network.embed(images[first : first + TOGETHER]) for first in range(0, len(images), TOGETHER)]
    return np.concatenate(parts)


def _scores(network: Exported, embeddings: np.ndarray, trials: Trials, paired: bool = False) -> np.ndarray:
    """Return the scores [R, Q, n_way] of all episodes."""
    rows, queries = np.asarray(trials.episodes.support), np.asarray(trials.episodes.query)
    if paired:
        rows = np.concatenate([rows, np.roll(rows, 1, axis=1)], axis=2)
    return np.stack([network.scores(embeddings[q], embeddings[s]) for q, s in zip(queries, rows, strict=True)])
