"""Rules give what was measured, where it was measured, and refuse what was not."""

import dataclasses
import math
import pickle

import numpy as np
import pytest
from example_results import DECISIONS
from scipy.special import expit, softmax

from siamese_jax.errors import UserError
from siamese_jax.results import FPIR
from siamese_jax.statistics.rules import DecisionRules

RULES = DecisionRules(DECISIONS)
SCORES = np.array([[-9.0, -6.0, -12, -20, -7], [-30, -40, -31, -50, -60]], np.float32)


def without(**parts):
    """The rules where these parts of every gallery are None."""

    def changed(gallery):
        return dataclasses.replace(
            gallery,
            **{
                name: tuple(dataclasses.replace(one, **{part: None}) for one in getattr(gallery, name))
                for name, part in parts.items()
            },
        )

    return DecisionRules(dataclasses.replace(DECISIONS, galleries=tuple(map(changed, DECISIONS.galleries))))


def test_a_pair_has_the_fitted_probability():
    np.testing.assert_allclose(RULES.p_same(SCORES), expit(0.5 * SCORES.astype(float) + 4))
    assert RULES.same_threshold() == DECISIONS.pairs.threshold == -8
    assert RULES.same_threshold(prior=0.01) > -8


def test_a_choice_has_the_fitted_temperature_and_adds_up_to_one():
    np.testing.assert_allclose(RULES.probabilities(SCORES), softmax(SCORES.astype(float) / 2, axis=1))
    np.testing.assert_array_equal(RULES.probabilities(SCORES[:, :1]), [[1], [1]])


def test_thresholds_are_those_that_were_measured_and_lie_between_them_elsewhere():
    assert [RULES.threshold(5, fpir) for fpir in (0.01, 0.05, 0.1)] == [-8, -10, -11]
    assert [RULES.threshold(20, fpir) for fpir in (0.01, 0.05, 0.1)] == [-7, -9, -10]
    np.testing.assert_allclose(RULES.threshold(10, 0.05), -9.5)
    np.testing.assert_allclose(RULES.threshold(80, 0.05), -8)
    np.testing.assert_allclose(RULES.threshold(5, (0.05 * 0.1) ** 0.5), -10.5)
    assert -10 < RULES.threshold(5, 0.03) < -8


@pytest.mark.parametrize("fpir", [0.001, 0.2, 0, -1])
def test_rates_that_were_not_measured_are_refused(fpir):
    with pytest.raises(UserError, match=rf"fpir={fpir} is out of range: thresholds were measured from 0.01 to 0.1"):
        RULES.threshold(5, fpir)


def test_a_query_is_accepted_from_the_threshold_on():
    scores = np.array([[-8.0, -9, -9, -9, -9], [-8.01, -9, -9, -9, -9]], np.float32)
    assert RULES.accepted(scores, fpir=0.01).tolist() == [True, False]
    assert RULES.accepted(scores, fpir=0.1).tolist() == [True, True]
    assert RULES.accepted(scores).tolist() == RULES.accepted(scores, fpir=FPIR).tolist()


def test_sets_hold_what_is_near_the_best_class():
    assert RULES.prediction_set(SCORES).tolist() == [
        [False, True, False, False, True],
        [True, False, True, False, False],
    ]
    assert RULES.prediction_set(SCORES, 0.9).sum() == 2
    with pytest.raises(UserError, match=r"coverage=0.99 was not measured: give 0.9 or 0.95"):
        RULES.prediction_set(SCORES, 0.99)


def test_a_gap_is_never_extrapolated_below_nothing():
    falling = DecisionRules(dataclasses.replace(DECISIONS, galleries=DECISIONS.galleries[:1]))
    assert falling.prediction_set(SCORES[:, :1]).all()
    assert RULES.prediction_set(SCORES[:, :2], 0.9).any(axis=1).all()  # linear in log N, the gap would be negative


def test_where_no_threshold_was_found_nothing_is_accepted_and_every_class_is_in_the_set():
    rules = without(open_set="threshold", prediction_sets="gap")
    assert rules.threshold(7, 0.02) == rules.threshold(7) == math.inf
    assert not rules.accepted(SCORES).any()
    assert rules.prediction_set(SCORES).all()


def test_a_gallery_without_classes_is_refused():
    with pytest.raises(UserError, match="a gallery of 0 classes has nothing to choose from"):
        RULES.threshold(0)


def test_an_image_is_unlike_the_others_above_the_distance():
    paper = np.zeros((1, 12, 12, 1), np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (1, 12, 12, 1)).astype(np.uint8)
    images = np.concatenate([paper, noise])
    distance = 20 * (0.1**2 + 0.05**2 + 0.1**2) ** 0.5  # of nothing to the means; each deviation is 1 / 20
    np.testing.assert_allclose(RULES.unfamiliarity(images)[0], distance)
    assert RULES.unfamiliar(images).tolist() == [distance > 2.5, True]


def test_rules_can_be_pickled():
    assert pickle.loads(pickle.dumps(RULES)) == RULES
