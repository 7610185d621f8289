"""Calibration: probabilities from scores, and how far probabilities are from what happens.

A score is a logit. Its sigmoid is a probability only if the network was trained for that, and on the same mixture of
pairs. So two numbers (Platt scaling) or one (a temperature) are fitted on validation.
"""

import math
from typing import NamedTuple

import chex
import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit, softmax

from siamese_jax import extras
from siamese_jax.errors import UserError

BINS = 15
"""Bins of equal width that reliability is measured in."""


class Platt(NamedTuple):
    """Platt scaling (Platt 1999): the log odds of "same" are slope · score + intercept, where half of the pairs are."""

    slope: float
    intercept: float

    def probability(self, scores: np.ndarray, prior: float = 0.5) -> np.ndarray:
        """Return p(same), float64 of the shape of `scores`.

        Args:
          scores: Logits of pairs, of any shape.
          prior: The share of pairs that are "same" before they are seen, in (0, 1).

        Raises:
          UserError: The prior is out of range.
        """
        return expit(self.slope * np.asarray(scores, np.float64) + self.intercept + _log_odds(prior))

    def threshold(self, prior: float = 0.5) -> float:
        """Return the score from which p(same) is ½ or more; `prior` as in `probability`.

        It is infinite where higher scores do not mean "same": no pair is then called same.
        """
        return -(self.intercept + _log_odds(prior)) / self.slope if self.slope > 0 else math.inf


class Reliability(NamedTuple):
    """Probabilities beside what happened, in bins of equal width; empty bins are left out.

    Attributes:
      counts: float64 [K], how many probabilities each bin has.
      probabilities: float64 [K], their mean.
      shares: float64 [K], the share of them whose event happened.
    """

    counts: np.ndarray
    probabilities: np.ndarray
    shares: np.ndarray


def fit_platt(scores: np.ndarray, same: np.ndarray) -> Platt:
    """Fit Platt scaling to pairs by maximum likelihood, with Platt's targets, so that it is finite for any scores.

    Same and different pairs weigh the same, however many there are of each; so p(same) holds for a prior of ½.

    Args:
      scores: Logits of pairs [N], finite.
      same: Whether each pair is of one class, bool [N]; both kinds must occur.

    Raises:
      UserError: One kind of pair is missing, or scikit-learn is not installed.
    """
    chex.assert_rank(scores, 1)
    chex.assert_equal_shape([scores, same])
    extras.require("report")
    from sklearn.linear_model import LogisticRegression  # the import takes a second

    scores, same = np.asarray(scores, np.float64), np.asarray(same, bool)
    counts = np.array([(~same).sum(), same.sum()])
    if not counts.all():
        raise UserError(f"a calibration needs same and different pairs, not {counts[1]} same of {len(same)}: draw more")
    # Platt's targets are soft: each pair counts as "same" by its target, and as "different" by the rest.
    target = np.where(same, (counts[1] + 1) / (counts[1] + 2), 1 / (counts[0] + 2))
    weight = (len(same) / 2 / counts)[same.astype(int)]
    mean, deviation = scores.mean(), scores.std() or 1.0
    standard = np.concatenate([scores, scores])[:, None]
    model = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000)
    model.fit(
        (standard - mean) / deviation,
        np.repeat([1, 0], len(scores)),
        sample_weight=np.concatenate([weight * target, weight * (1 - target)]),
    )
    slope = np.ravel(model.coef_)[0] / deviation
    return Platt(float(slope), float(np.ravel(model.intercept_)[0] - slope * mean))


def fit_temperature(scores: np.ndarray, answer: np.ndarray) -> float:
    """Fit the temperature T of softmax(scores / T) by maximum likelihood (Guo et al. 2017, section 4.2).

    Args:
      scores: Scores [Q, N], finite.
      answer: The right classes [Q], in [0, N).

    Returns:
      The temperature, above 0.
    """
    chex.assert_rank([scores, answer], [2, 1])
    chex.assert_equal_shape_prefix([scores, answer], 1)
    scores, answer = np.asarray(scores, np.float64), np.asarray(answer)
    wrong = scores - np.take_along_axis(scores, answer[:, None], axis=1)
    scale = wrong.std() or 1.0  # so that the bounds hold for scores in any unit

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp.reduce(wrong / (scale * np.exp(log_temperature)), axis=1).mean())

    best = minimize_scalar(loss, bounds=(-10.0, 10.0), method="bounded")
    return float(scale * np.exp(best.x))  # pyright: ignore[reportAttributeAccessIssue]  # SciPy declares no result


def choice_probabilities(scores: np.ndarray, temperature: float) -> np.ndarray:
    """Return softmax(scores / temperature) over the last axis, float64 of the shape of `scores`."""
    return softmax(np.asarray(scores, np.float64) / temperature, axis=-1)


def reliability(
    probability: np.ndarray, happened: np.ndarray, bins: int = BINS, weights: np.ndarray | None = None
) -> Reliability:
    """Compare probabilities with what happened, as a reliability diagram shows it.

    Args:
      probability: Probabilities [N] in [0, 1].
      happened: Whether the event happened, bool [N].
      bins: Number of bins of equal width. A value between two bins belongs to the upper one.
      weights: How often each value counts [N]; None counts each once.
    """
    chex.assert_rank(probability, 1)
    chex.assert_equal_shape([probability, happened])
    probability, happened = np.asarray(probability, np.float64), np.asarray(happened, bool)
    counted = np.ones(len(probability)) if weights is None else np.asarray(weights)
    place = np.minimum((probability * bins).astype(int), bins - 1)
    count, total, happening = (
        np.bincount(place, counted * value, minlength=bins) for value in (1, probability, happened)
    )
    filled = count > 0
    return Reliability(count[filled], total[filled] / count[filled], happening[filled] / count[filled])


def expected_calibration_error(bins: Reliability) -> float:
    """Return the mean distance of probability and share over the bins, weighted by count (Naeini et al. 2015)."""
    return float(np.average(np.abs(bins.probabilities - bins.shares), weights=bins.counts))


def brier_score(probability: np.ndarray, happened: np.ndarray) -> float:
    """Return the mean squared difference of probabilities [N] and what happened, bool [N] (Brier 1950)."""
    chex.assert_equal_shape([probability, happened])
    return float(np.mean((np.asarray(probability, np.float64) - np.asarray(happened)) ** 2))


def _log_odds(prior: float) -> float:
    if not 0 < prior < 1:
        raise UserError(f"prior={prior} is out of range: give the share of pairs that are same, for example 0.5")
    return float(logit(prior))
