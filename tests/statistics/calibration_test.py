"""Probabilities are compared with scikit-learn's, with scipy's and with loops."""

import math
import sys

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax
from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import brier_score_loss
from sklearn.svm import LinearSVC

from siamese_jax.errors import UserError
from siamese_jax.statistics.calibration import (
    Platt,
    brier_score,
    choice_probabilities,
    expected_calibration_error,
    fit_platt,
    fit_temperature,
    reliability,
)

RNG = np.random.default_rng(0)


def pairs(count=4000, share=0.5):
    """Scores whose log odds of "same" are 0.7 · score + 12 for a prior of ½."""
    odds = RNG.normal(size=2 * count) * 3
    same = RNG.random(2 * count) < expit(odds)
    scores = (odds - 12) / 0.7
    wanted = np.concatenate([np.flatnonzero(same)[: int(share * count)], np.flatnonzero(~same)[: count // 2]])
    return scores[wanted], same[wanted]


def test_the_log_odds_that_made_the_pairs_are_found():
    found = fit_platt(*pairs(40_000))
    np.testing.assert_allclose(found, (0.7, 12.0), rtol=0.05)


def test_the_fit_is_that_of_scikit_learns_calibrator():
    scores, same = pairs()
    line = LinearSVC().fit(scores[:, None], same)
    line.coef_, line.intercept_ = np.ones((1, 1)), np.zeros(1)  # its decision is the score
    theirs = CalibratedClassifierCV(FrozenEstimator(line), method="sigmoid").fit(scores[:, None], same)
    assert same.sum() == (~same).sum()
    np.testing.assert_allclose(
        fit_platt(scores, same).probability(scores), theirs.predict_proba(scores[:, None])[:, 1], atol=2e-3
    )


def test_the_prior_is_a_half_however_many_pairs_are_same():
    np.testing.assert_allclose(fit_platt(*pairs(40_000, share=0.1)), (0.7, 12.0), rtol=0.07)


@pytest.mark.parametrize("scores", [[-3.0, -2, 2, 3], [1.0, 1, 1, 1], [3e4, 4e4, 5e4, 6e4]])
def test_scores_that_separate_the_pairs_or_say_nothing_have_finite_log_odds(scores):
    found = fit_platt(np.array(scores), np.array([False, False, True, True]))
    assert np.isfinite(found).all()
    p = found.probability(np.array(scores))
    assert (p[:2] <= 0.5).all()
    assert (p[2:] >= 0.5).all()
    assert (p < 0.9).all()  # Platt's targets for two pairs of each kind are 1/4 and 3/4


def test_a_prior_shifts_the_odds_by_bayes_rule():
    platt, scores = Platt(0.7, 12.0), np.linspace(-25, -10, 7).reshape(7, 1)
    p, prior = platt.probability(scores), 0.01
    assert p.shape == (7, 1)
    np.testing.assert_allclose(platt.probability(scores, prior), p * prior / (p * prior + (1 - p) * (1 - prior)))
    np.testing.assert_allclose(platt.probability(platt.threshold(prior), prior), 0.5)
    with pytest.raises(UserError, match=r"prior=1 is out of range: give the share of pairs that are same"):
        platt.probability(scores, prior=1)


def test_no_pair_is_called_same_where_higher_scores_do_not_mean_it():
    assert Platt(0.0, 1.0).threshold() == Platt(-1.0, 1.0).threshold() == math.inf


def test_one_kind_of_pair_cannot_be_calibrated():
    with pytest.raises(UserError, match="not 0 same of 3"):
        fit_platt(np.arange(3.0), np.zeros(3, bool))


def test_calibration_without_scikit_learn_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"siamese_jax\[report\]"):
        fit_platt(*pairs(100))


def test_the_temperature_that_made_the_answers_is_found():
    scores = RNG.normal(size=(20_000, 5)) * 8
    answer = np.array([RNG.choice(5, p=softmax(row / 4)) for row in scores])
    found = fit_temperature(scores, answer)
    np.testing.assert_allclose(found, 4, rtol=0.05)

    def loss(t):
        return -log_softmax(scores / t, axis=1)[np.arange(len(answer)), answer].mean()

    np.testing.assert_allclose(found, minimize(loss, x0=1.0, method="Nelder-Mead").x, rtol=1e-3)


def test_the_unit_of_scores_does_not_matter():
    scores, answer = RNG.normal(size=(500, 4)), RNG.integers(4, size=500)
    scores[np.arange(500), answer] += 1
    np.testing.assert_allclose(fit_temperature(1e4 * scores, answer), 1e4 * fit_temperature(scores, answer), rtol=1e-3)
    np.testing.assert_allclose(choice_probabilities(scores, 2.0), softmax(scores / 2, axis=1))


def by_hand(probability, happened, bins):
    error = 0.0
    for b in range(bins):
        inside = [i for i, p in enumerate(probability) if b / bins <= p < (b + 1) / bins or (p == 1 and b == bins - 1)]
        if inside:
            mean = sum(probability[i] for i in inside) / len(inside)
            share = sum(happened[i] for i in inside) / len(inside)
            error += len(inside) / len(probability) * abs(mean - share)
    return error


@pytest.mark.parametrize("bins", [1, 8, 16])
def test_the_calibration_error_is_that_of_a_loop_and_the_bins_are_scikit_learns(bins):
    p = RNG.random(500) ** 3
    p[:2] = 0, 1
    happened = RNG.random(500) < p**0.5
    found = reliability(p, happened, bins)
    assert found.counts.sum() == 500
    np.testing.assert_allclose(expected_calibration_error(found), by_hand(p, happened, bins))
    share, mean = calibration_curve(happened, p, n_bins=bins)
    np.testing.assert_allclose((found.shares, found.probabilities), (share, mean))


def test_calibrated_probabilities_have_almost_no_error_and_the_opposite_has_the_most():
    p = RNG.random(100_000)
    happened = RNG.random(100_000) < p
    assert expected_calibration_error(reliability(p, happened)) < 0.01
    assert expected_calibration_error(reliability(1.0 * ~happened, happened)) == 1


def test_weights_count_values_several_times():
    p, happened, weights = RNG.random(60), RNG.random(60) < 0.5, RNG.integers(0, 3, 60)
    weighted = reliability(p, happened, weights=weights)
    repeated = reliability(np.repeat(p, weights), np.repeat(happened, weights))
    for one, other in zip(weighted, repeated, strict=True):
        np.testing.assert_allclose(one, other)


def test_the_brier_score_is_scikit_learns():
    p, happened = RNG.random(100), RNG.random(100) < 0.3
    np.testing.assert_allclose(brier_score(p, happened), brier_score_loss(happened, p))
