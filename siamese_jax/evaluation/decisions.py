"""Decisions: rules are fitted on validation, and measured on test once.

Probabilities of pairs come from the pairs of verification. Everything else comes from galleries of several sizes, with
queries of enrolled classes and of others. Intervals are by bootstrap over the groups of the queries.
"""

import functools
from collections.abc import Mapping
from typing import NamedTuple

import jax
import numpy as np
from jax import Array
from scipy.special import expit

from siamese_jax import keys
from siamese_jax.errors import UserError
from siamese_jax.evaluation.embedder import Evaluator
from siamese_jax.evaluation.verification import ScoredPairs
from siamese_jax.network.siamese import Params
from siamese_jax.records import Episodes, Images
from siamese_jax.results import (
    Calibration,
    Decisions,
    Familiarity,
    GalleryDecisions,
    OpenSetResult,
    PairDecisions,
    PredictionSetResult,
    Reliability,
)
from siamese_jax.sampling.galleries import most_classes, sample_galleries
from siamese_jax.sampling.layout import layout_of
from siamese_jax.specs import Experiment
from siamese_jax.statistics import calibration, open_set
from siamese_jax.statistics.familiarity import familiar
from siamese_jax.statistics.intervals import clustered_interval, weighted_intervals

SIZES = (5, 20, 50, 200)
"""Enrolled classes of the galleries. Sizes that validation or test have too few classes for are left out."""
UNKNOWN = 4
"""One class in the gallery for so many enrolled ones, and at least one, is not enrolled."""
QUERIES, SCORES = 2_000, 500_000
"""Galleries are sampled until there are so many unknown queries, or so many scores have been computed."""
FPIRS = (0.01, 0.05, 0.1)
"""The false-positive identification rates that thresholds are chosen for."""
COVERAGES = (0.9, 0.95)
"""The coverages that prediction sets are made for."""
FALSE_ALARMS = 0.01
"""The share of images like those of validation that may be called unlike them."""
MADE_UP = 200
"""Images of each kind that are unlike any drawing."""


class Scored(NamedTuple):
    """Scores of galleries: of known queries [R, N, N], where query i is of class i, and of unknown ones [R, U, N].

    `known_group` [R, N] and `unknown_group` [R, U] are the groups of the queries.
    """

    known: np.ndarray
    unknown: np.ndarray
    known_group: np.ndarray
    unknown_group: np.ndarray

    @property
    def best_of_unknown(self) -> tuple[np.ndarray, np.ndarray]:
        """The best scores [R · U] of the unknown queries, and their groups [R · U]."""
        return self.unknown.max(axis=-1).ravel(), self.unknown_group.ravel()

    @property
    def answer(self) -> np.ndarray:
        """The classes [R, N] of the known queries."""
        return np.broadcast_to(np.arange(self.known.shape[-1]), self.known.shape[:2])


def measure_decisions(
    evaluator: Evaluator,
    params: Params,
    experiment: Experiment,
    sets: Mapping[str, Images],
    pairs: Mapping[str, ScoredPairs],
) -> Decisions:
    """Fit every rule on validation, and measure it on test.

    Args:
      evaluator: Embeds and compares the images.
      params: The network's parameters.
      experiment: Says with its seed which galleries are sampled.
      sets: The images of "validation" and "test".
      pairs: Their pairs.

    Raises:
      UserError: There are too few classes, or scikit-learn is not installed.
    """
    validation, test = sets["validation"], sets["test"]
    most = min(most_classes(layout_of(images)) for images in (validation, test))
    sizes = [size for size in SIZES if size + _unknown(size) <= most]
    if not sizes:
        raise UserError(
            f"validation or test has {most} classes with two images, and decisions need "
            f"{SIZES[0] + _unknown(SIZES[0])}: add classes"
        )
    scored = functools.partial(_score_galleries, evaluator, params, experiment)
    return Decisions(
        pairs=_of_pairs(pairs["validation"], pairs["test"]),
        galleries=tuple(
            _of_galleries(scored("validation", validation, size), scored("test", test, size)) for size in sizes
        ),
        familiarity=_familiarity(keys.stream(keys.root_key(experiment.seed), "made-up images"), validation, test),
    )


def made_up_images(key: Array, shape: tuple[int, int, int], count: int = MADE_UP) -> dict[str, np.ndarray]:
    """Return images that are unlike any drawing, by kind: uint8 [count, H, W, C] that use the whole range.

    They are noise, smooth gradients in any direction, and clouds: noise with the spectrum of photographs, whose
    amplitude falls as 1/frequency (Field 1987).
    """
    height, width, _ = shape
    generator = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    noise = generator.random((count, *shape))
    angle = generator.uniform(0, 2 * np.pi, (count, 1, 1, 1))
    rows, columns = np.arange(height)[:, None, None] / height, np.arange(width)[:, None] / width
    gradient = np.broadcast_to(np.sin(angle) * rows + np.cos(angle) * columns, (count, *shape))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))[..., None]
    frequency[0, 0] = 1  # of the mean, which no image keeps
    spectrum = np.fft.fft2(generator.normal(size=(count, *shape)), axes=(1, 2)) / frequency
    clouds = np.fft.ifft2(spectrum, axes=(1, 2)).real
    return {name: _stretched(values) for name, values in (("noise", noise), ("gradient", gradient), ("clouds", clouds))}


def _of_pairs(chosen_on: ScoredPairs, test: ScoredPairs) -> PairDecisions:
    platt = calibration.fit_platt(chosen_on.logits, chosen_on.same)
    scores, same, group = test
    threshold = platt.threshold()
    return PairDecisions(
        slope=platt.slope,
        intercept=platt.intercept,
        threshold=_finite(threshold),
        pairs=len(same),
        before=_calibration(expit(scores.astype(np.float64)), same, group),
        after=_calibration(platt.probability(scores), same, group),
        false_match_rate=open_set.fmr(scores, same, threshold),
        false_non_match_rate=open_set.fnmr(scores, same, threshold),
    )


def _of_galleries(chosen_on: Scored, test: Scored) -> GalleryDecisions:
    classes = test.known.shape[-1]
    temperature = calibration.fit_temperature(chosen_on.known.reshape(-1, classes), chosen_on.answer.ravel())
    best, group = test.known.argmax(axis=-1), test.known_group.ravel()
    right = (best == test.answer).ravel()

    def of_temperature(value: float) -> Calibration:
        probability = calibration.choice_probabilities(test.known, value).max(axis=-1)
        return _calibration(probability.ravel(), right, group)

    return GalleryDecisions(
        classes=classes,
        known=len(right),
        unknown=test.unknown_group.size,
        temperature=temperature,
        before=of_temperature(1.0),
        after=of_temperature(temperature),
        open_set=tuple(_open_set(chosen_on, test, fpir) for fpir in FPIRS),
        prediction_sets=tuple(_prediction_set(chosen_on, test, coverage) for coverage in COVERAGES),
    )


def _open_set(chosen_on: Scored, test: Scored, fpir: float) -> OpenSetResult:
    threshold = open_set.threshold_for_fpir(chosen_on.unknown, fpir)
    accepted = open_set.false_positives(test.unknown, threshold).astype(np.float64).ravel()
    detected = open_set.detected(test.known, test.answer, threshold).astype(np.float64).ravel()
    return OpenSetResult(
        fpir=fpir,
        threshold=_finite(threshold),
        measured_fpir=float(accepted.mean()),
        measured_fpir_ci95=clustered_interval(accepted, test.unknown_group.ravel()),
        chosen_again_ci95=open_set.fpir_interval(*chosen_on.best_of_unknown, *test.best_of_unknown, fpir),
        dir=float(detected.mean()),
        dir_ci95=clustered_interval(detected, test.known_group.ravel()),
    )


def _prediction_set(chosen_on: Scored, test: Scored, coverage: float) -> PredictionSetResult:
    gap = open_set.order_statistic(open_set.gaps(chosen_on.known, chosen_on.answer).ravel(), coverage)
    sets = open_set.prediction_set(test.known, gap)
    covered = np.take_along_axis(sets, test.answer[..., None], axis=-1).astype(np.float64).ravel()
    return PredictionSetResult(
        coverage=coverage,
        gap=_finite(gap),
        measured_coverage=float(covered.mean()),
        measured_coverage_ci95=clustered_interval(covered, test.known_group.ravel()),
        mean_size=float(sets.sum(axis=-1).mean()),
    )


def _familiarity(key: Array, validation: Images, test: Images) -> Familiarity:
    known = familiar(validation.images)
    threshold = open_set.order_statistic(known.distance(validation.images), 1 - FALSE_ALARMS)
    alarms = (known.distance(test.images) > threshold).astype(np.float64)
    made_up = made_up_images(key, validation.images.shape[1:])
    return Familiarity(
        mean=tuple(known.mean.tolist()),
        precision=tuple(tuple(row) for row in known.precision.tolist()),
        threshold=_finite(threshold),
        false_alarm_rate=FALSE_ALARMS,
        measured_false_alarm_rate=float(alarms.mean()),
        measured_false_alarm_rate_ci95=clustered_interval(alarms, test.group_index),
        detected={name: float((known.distance(images) > threshold).mean()) for name, images in made_up.items()},
    )


def _calibration(probability: np.ndarray, happened: np.ndarray, group: np.ndarray) -> Calibration:
    def error(weights: np.ndarray) -> list[float]:
        bins = calibration.reliability(probability, happened, weights=weights)
        return [calibration.expected_calibration_error(bins)]

    bins = calibration.reliability(probability, happened)
    return Calibration(
        expected_calibration_error=calibration.expected_calibration_error(bins),
        ci95=weighted_intervals(error, group)[0],
        brier_score=calibration.brier_score(probability, happened),
        reliability=Reliability(
            counts=tuple(bins.counts.tolist()),
            probabilities=tuple(bins.probabilities.tolist()),
            shares=tuple(bins.shares.tolist()),
        ),
    )


def _score_galleries(
    evaluator: Evaluator, params: Params, experiment: Experiment, name: str, images: Images, enrolled: int
) -> Scored:
    """Sample galleries of a set and score their queries; the same arguments give the same galleries."""
    unknown = _unknown(enrolled)
    galleries = max(1, min(QUERIES // unknown, SCORES // (enrolled * (enrolled + unknown))))
    key = keys.stream(keys.root_key(experiment.seed), f"{name} galleries", enrolled)
    support, query = sample_galleries(key, layout_of(images), galleries, enrolled, unknown)
    episodes = Episodes(support[..., None], query, np.zeros_like(query))  # no class of an unknown query is right
    scores = evaluator.episode_logits(params, images.images, episodes)
    group = images.group_index[query]
    return Scored(scores[:, :enrolled], scores[:, enrolled:], group[:, :enrolled], group[:, enrolled:])


def _unknown(enrolled: int) -> int:
    return max(1, enrolled // UNKNOWN)


def _stretched(values: np.ndarray) -> np.ndarray:
    """Return images [N, H, W, C] as uint8, each from its least value at 0 to its greatest at 255."""
    low, high = (bound(values, axis=(1, 2, 3), keepdims=True) for bound in (np.min, np.max))
    return np.rint(255 * (values - low) / (high - low)).astype(np.uint8)


def _finite(number: float) -> float | None:
    return number if np.isfinite(number) else None
