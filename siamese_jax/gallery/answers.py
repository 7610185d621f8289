"""Answers about pictures as dictionaries, which the command prints as JSON and the service sends."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from siamese_jax.errors import UserError
from siamese_jax.gallery.records import Answer
from siamese_jax.pretrained import Model
from siamese_jax.storage.image_files import Picture


def identified(path: str, answer: Answer) -> dict[str, Any]:
    """Return what a gallery says about the picture of a path."""
    return {
        "path": path,
        "unknown": answer.unknown,
        "threshold": answer.threshold,
        "why": answer.why,
        "matches": [match._asdict() for match in answer.matches],
    }


def check_prior(prior: float) -> None:
    """Raise UserError unless `prior` can be the share of pairs that show one class."""
    if not 0 < prior < 1:
        raise UserError(
            f"prior={prior:g} is not between 0 and 1: give the share of pairs that show one class, for example 0.5"
        )


def verified(model: Model, first: np.ndarray, second: np.ndarray, prior: float) -> dict[str, Any]:
    """Return whether two pictures show the same class.

    Args:
      model: The network.
      first: The embedding of one picture, float32 [D].
      second: That of the other.
      prior: The share of pairs that show one class, as `check_prior` allows.
    """
    score, rules = float(model.scores(first[None], second[None])[0, 0]), model.decisions
    threshold = model.threshold if rules is None else rules.same_threshold(prior)
    return {
        "same": score >= threshold,
        "probability": None if rules is None else float(rules.p_same(np.array(score), prior)),
        "score": score,
        "threshold": threshold,
        "prior": prior if rules else None,
        "false_match_rate": rules.measured.pairs.false_match_rate if rules else None,
        "false_non_match_rate": rules.measured.pairs.false_non_match_rate if rules else None,
    }


def remarks(pictures: Sequence[Picture], model: Model) -> list[list[str]]:
    """Return what should be known of each picture: what was done to it, and whether it looks unfamiliar."""
    images, rules = [picture.pixels for picture in pictures], model.decisions
    odd = np.zeros(len(images), bool) if rules is None or not images else rules.unfamiliar(np.stack(images))
    return [
        [*picture.notes, *(["unlike the pictures that the network was trained on"] if strange else [])]
        for picture, strange in zip(pictures, odd.tolist(), strict=True)
    ]
