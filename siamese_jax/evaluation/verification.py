"""Verification: are two images of one character? Thresholds are chosen on validation, and applied to test."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import expit

from siamese_jax import keys
from siamese_jax.evaluation.embedder import Evaluator
from siamese_jax.evaluation.one_shot import Result
from siamese_jax.network.siamese import Params
from siamese_jax.records import Images
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
"""At which verification's operating points are chosen, on validation."""


def verification(
    evaluator: Evaluator, params: Params, experiment: Experiment, validation: Images, test: Images
) -> Result:
    """Measures verification; every threshold is chosen on validation, and applied to test (paper, section 4.2).

    Thresholds are given as p(same). Intervals are by bootstrap over alphabets: 9,999 resamples of a mean, 499 of what
    needs a whole curve, which for two sets of 10,000 pairs takes 2 seconds in all.
    """
    scored = {}
    for name, images, pairs in (
        ("validation", validation, experiment.data.validation_pairs),
        ("test", test, experiment.data.test_pairs),
    ):
        left, right, same = _sample_pairs(experiment, name, images, pairs)
        logits = evaluator.pair_logits(params, images.images, left, right)
        scored[name] = logits, same, images.group_index[left]
    chosen_on = scored["validation"][:2]
    threshold, curve = best_threshold(*chosen_on), curves(*chosen_on)
    points = {rate: operating_point(curve, rate).threshold for rate in FALSE_ACCEPT_RATES}
    return {name: _verification(*pairs, threshold, points) for name, pairs in scored.items()}


def _verification(
    logits: np.ndarray, same: np.ndarray, alphabet: np.ndarray, threshold: float, points: dict[float, float]
) -> Result:
    """Measures pairs [N] at a threshold for accuracy, and at one for each false-accept rate that was asked for."""

    def area_and_error(curve: Curves) -> tuple[float, float]:
        return area(curve), equal_error_rate(curve)

    curve = curves(logits, same)
    auc, error = area_and_error(curve)
    auc_interval, error_interval = weighted_intervals(
        lambda weights: area_and_error(curves(logits, same, weights)), alphabet
    )
    right, drawn = verified(logits, same, threshold), thinned(curve)
    return {
        "pairs": len(right),
        "threshold": float(expit(threshold)),
        "accuracy": float(right.mean()),
        "ci95": clustered_interval(right, alphabet),
        "auc": auc,
        "auc_ci95": auc_interval,
        "equal_error_rate": error,
        "equal_error_rate_ci95": error_interval,
        "operating_points": [
            {"false_accept_rate": asked, **_rates(logits, same, alphabet, point)} for asked, point in points.items()
        ],
        "roc": {"false_accept_rate": drawn.false_accept.tolist(), "true_accept_rate": drawn.true_accept.tolist()},
    }


def _rates(logits: np.ndarray, same: np.ndarray, alphabet: np.ndarray, threshold: float) -> Result:
    wrong = 1 - verified(logits, same, threshold)
    rejected, accepted = wrong[same], wrong[~same]
    return {
        "measured_false_accept_rate": float(accepted.mean()),
        "measured_false_accept_rate_ci95": clustered_interval(accepted, alphabet[~same]),
        "true_accept_rate": float(1 - rejected.mean()),
        "true_accept_rate_ci95": clustered_interval(1 - rejected, alphabet[same]),
        "false_reject_rate": float(rejected.mean()),
        "threshold": float(expit(threshold)),
    }


def _sample_pairs(experiment: Experiment, name: str, images: Images, pairs: int) -> tuple[np.ndarray, ...]:
    key = keys.stream(keys.root_key(experiment.seed), f"{name} pairs")
    place, different = layout_of(images), experiment.data.different_drawers
    draw = jax.jit(jax.vmap(lambda index: sample_pair(key, index, place, different)))
    return jax.device_get(draw(jnp.arange(pairs)))
