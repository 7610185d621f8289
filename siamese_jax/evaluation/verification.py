"""Verification: do two images show one class? Thresholds are chosen on validation and applied to test."""

import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from siamese_jax import keys
from siamese_jax.evaluation.embedder import Evaluator
from siamese_jax.network.siamese import Params
from siamese_jax.records import Images
from siamese_jax.results import OperatingPoint, Roc, Verification, VerificationResult
from siamese_jax.sampling.layout import layout_of
from siamese_jax.sampling.pairs import sample_pair
from siamese_jax.specs import Experiment
from siamese_jax.statistics.intervals import clustered_interval, weighted_intervals
from siamese_jax.statistics.scores import (
    Curves,
    area,
    best_threshold,
    curves,
    equal_error_rate,
    operating_point,
    thinned,
    verified,
)

FALSE_ACCEPT_RATES = (0.01, 0.001)
"""For each of them, an operating point is chosen on validation."""


class ScoredPairs(NamedTuple):
    """Pairs of a set: logits float32 [N], whether each is of one class, bool [N], and the group of each, int [N]."""

    logits: np.ndarray
    same: np.ndarray
    group: np.ndarray


def score_pairs(
    evaluator: Evaluator, params: Params, experiment: Experiment, name: Literal["validation", "test"], images: Images
) -> ScoredPairs:
    """Sample the pairs of a set and compare them.

    Args:
      evaluator: Embeds and compares the images.
      params: The network's parameters.
      experiment: Says how many pairs, and with its seed which.
      name: Which set.
      images: Its images.
    """
    key = keys.stream(keys.root_key(experiment.seed), f"{name} pairs")
    place, different = layout_of(images), experiment.data.different_drawers
    draw = jax.jit(jax.vmap(lambda index: sample_pair(key, index, place, different)))
    left, right, same = jax.device_get(draw(jnp.arange(getattr(experiment.data, f"{name}_pairs"))))
    return ScoredPairs(evaluator.pair_logits(params, images.images, left, right), same, images.group_index[left])


def verification(validation: ScoredPairs, test: ScoredPairs) -> Verification:
    """Measure verification; every threshold is chosen on validation and applied to test (paper, section 4.2).

    Intervals are by bootstrap over groups: 9,999 resamples for means, 499 for what needs a whole curve.

    Args:
      validation: Pairs of the validation set.
      test: Pairs of the test set.
    """
    threshold = best_threshold(validation.logits, validation.same)
    curve = curves(validation.logits, validation.same)
    points = {rate: operating_point(curve, rate).threshold for rate in FALSE_ACCEPT_RATES}
    return Verification(
        **{name: _of_set(*pairs, threshold, points) for name, pairs in (("validation", validation), ("test", test))}
    )


def _of_set(
    logits: np.ndarray, same: np.ndarray, group: np.ndarray, threshold: float, points: dict[float, float]
) -> VerificationResult:
    """Measure pairs [N] at the threshold for accuracy, and at that of each false-accept rate in `points`."""

    def area_and_error(curve: Curves) -> tuple[float, float]:
        return area(curve), equal_error_rate(curve)

    curve = curves(logits, same)
    auc, error = area_and_error(curve)
    auc_interval, error_interval = weighted_intervals(
        lambda weights: area_and_error(curves(logits, same, weights)), group
    )
    right, few = verified(logits, same, threshold), thinned(curve)
    return VerificationResult(
        pairs=len(right),
        threshold=threshold,
        accuracy=float(right.mean()),
        ci95=clustered_interval(right, group),
        auc=auc,
        auc_ci95=auc_interval,
        equal_error_rate=error,
        equal_error_rate_ci95=error_interval,
        operating_points=tuple(_at(logits, same, group, rate, point) for rate, point in points.items()),
        roc=Roc(false_accept_rate=tuple(few.false_accept.tolist()), true_accept_rate=tuple(few.true_accept.tolist())),
    )


def _at(logits: np.ndarray, same: np.ndarray, group: np.ndarray, rate: float, threshold: float) -> OperatingPoint:
    """Measure pairs [N] at the threshold that was chosen for a false-accept rate; infinity accepts none."""
    wrong = 1 - verified(logits, same, threshold)
    rejected, accepted = wrong[same], wrong[~same]
    return OperatingPoint(
        false_accept_rate=rate,
        measured_false_accept_rate=float(accepted.mean()),
        measured_false_accept_rate_ci95=clustered_interval(accepted, group[~same]),
        true_accept_rate=float(1 - rejected.mean()),
        true_accept_rate_ci95=clustered_interval(1 - rejected, group[same]),
        false_reject_rate=float(rejected.mean()),
        threshold=threshold if math.isfinite(threshold) else None,
    )
