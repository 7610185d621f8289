import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import brentq
from sklearn import metrics

from siamese_jax.errors import UserError
from siamese_jax.statistics.scores import (
    area,
    best_threshold,
    credit,
    curves,
    equal_error_rate,
    operating_point,
    thinned,
    ties,
    verified,
)

# Pairs of both kinds, whose few possible logits often tie.
PAIRS = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=25).filter(
    lambda points: {same for _, same in points} == {True, False}
)


def arrays(points):
    return np.array([p[0] for p in points], float), np.array([p[1] for p in points])


def normal_pairs(count=1000, apart=1.5):
    same = np.arange(count) % 2 == 0
    return np.random.default_rng(0).normal(size=count) + apart * same, same


def test_a_constant_network_scores_one_nth():
    logits = np.zeros((400, 20))
    answer = np.tile(np.arange(20), 20)
    np.testing.assert_allclose(credit(logits, answer).mean(), 1 / 20)
    assert ties(logits) == 400


def test_credit_goes_to_the_single_best_is_shared_by_ties_and_denied_to_others():
    logits = np.array([[1.0, 3, 2], [3, 3, 1], [3, 3, 1], [2, 2, 2]])
    np.testing.assert_allclose(credit(logits, np.array([1, 0, 2, 1])), [1, 0.5, 0, 1 / 3])
    assert ties(logits) == 3


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=25))
def test_no_other_threshold_is_more_accurate(points):
    logits, same = arrays(points)
    found = verified(logits, same, best_threshold(logits, same)).mean()
    tried = [np.mean((logits > t) == same) for t in np.arange(-1, 8, 0.5)]
    assert found == max(tried)


def test_a_logit_at_the_threshold_means_same():
    np.testing.assert_array_equal(verified(np.array([0.5, 0.5, 0.4]), np.array([True, False, False]), 0.5), [1, 0, 1])


def test_the_curves_of_four_pairs_are_those_drawn_by_hand():
    curve = curves(np.array([4.0, 3.0, 2.0, 1.0]), np.array([True, False, True, False]))
    np.testing.assert_array_equal(curve.thresholds, [np.inf, 4, 3, 2, 1])
    np.testing.assert_array_equal(curve.false_accept, [0, 0, 0.5, 0.5, 1])
    np.testing.assert_array_equal(curve.true_accept, [0, 0.5, 0.5, 1, 1])
    assert area(curve) == 0.75
    assert equal_error_rate(curve) == 0.5
    assert operating_point(curve, 0.0) == (4, 0, 0.5)
    assert operating_point(curve, 0.49) == (4, 0, 0.5)
    assert operating_point(curve, 0.5) == (2, 0.5, 1)
    assert operating_point(curve, 1.0) == (2, 0.5, 1)  # to accept more would only add errors


def test_perfect_constant_and_upside_down_scores_have_the_areas_and_errors_that_they_must():
    same = np.array([True, True, False, False])
    for logits, expected in (([2, 3, 0, 1], (1, 0)), ([1, 1, 1, 1], (0.5, 0.5)), ([0, 1, 2, 3], (0, 1))):
        curve = curves(np.array(logits), same)
        assert (area(curve), equal_error_rate(curve)) == expected


@given(PAIRS)
def test_the_area_is_the_share_of_won_comparisons(points):
    logits, same = arrays(points)
    won = [(p > n) + (p == n) / 2 for p in logits[same] for n in logits[~same]]
    np.testing.assert_allclose(area(curves(logits, same)), np.mean(won))
    np.testing.assert_allclose(area(curves(logits, same)), metrics.roc_auc_score(same, logits))


@given(PAIRS)
def test_every_point_of_the_curve_is_what_counting_at_its_threshold_gives(points):
    logits, same = arrays(points)
    curve = curves(logits, same)
    for false_accept, true_accept, threshold in zip(*curve, strict=True):
        right = verified(logits, same, threshold)
        np.testing.assert_allclose([1 - false_accept, true_accept], [right[~same].mean(), right[same].mean()])


@given(PAIRS)
def test_no_threshold_within_the_false_accept_rate_accepts_more(points):
    logits, same = arrays(points)
    for rate in (0.0, 0.2, 0.5, 1.0):
        point = operating_point(curves(logits, same), rate)
        tried = [(np.mean(logits[~same] >= t), np.mean(logits[same] >= t)) for t in np.arange(-4, 5)]
        assert point.true_accept == max(accepted for wrong, accepted in tried if wrong <= rate)
        assert point.false_accept == min(wrong for wrong, accepted in tried if accepted == point.true_accept)
        assert point.true_accept == np.mean(logits[same] >= point.threshold)


@given(PAIRS)
def test_monotone_changes_of_the_logits_change_no_rate(points):
    logits, same = arrays(points)
    first, second = curves(logits, same), curves(np.exp(logits / 2) - 7, same)
    assert (area(first), equal_error_rate(first)) == (area(second), equal_error_rate(second))


@given(PAIRS)
def test_upside_down_scores_have_what_is_missing_to_one(points):
    logits, same = arrays(points)
    first, second = curves(logits, same), curves(-logits, same)
    np.testing.assert_allclose(area(first), 1 - area(second))
    np.testing.assert_allclose(equal_error_rate(first), 1 - equal_error_rate(second))


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 3)), min_size=1, max_size=12))
def test_the_equal_error_rate_of_scores_that_are_better_than_chance_is_at_most_a_half(points):
    different = np.array([p[0] for p in points])
    logits = np.concatenate([different, different + [p[1] for p in points]])
    curve = curves(logits, np.arange(len(logits)) >= len(points))
    assert 0 <= equal_error_rate(curve) <= 0.5 + 1e-12
    assert area(curve) >= 0.5 - 1e-12


def test_the_equal_error_rate_is_where_a_root_finder_sees_both_errors_meet():
    curve = curves(*normal_pairs())
    root = brentq(lambda rate: 1 - rate - np.interp(rate, curve.false_accept, curve.true_accept), 0, 1)
    np.testing.assert_allclose(equal_error_rate(curve), root, atol=1e-9)
    np.testing.assert_allclose(root, 0.2266, atol=0.03)  # of normal scores: the tail beyond 0.75


def test_false_accepts_and_rejects_draw_the_det_curve():
    logits, same = normal_pairs()
    curve = curves(logits, same)
    accept, reject, thresholds = metrics.det_curve(same, logits)
    ours = {t: (a, r) for t, a, r in zip(curve.thresholds, curve.false_accept, curve.false_reject, strict=True)}
    np.testing.assert_allclose([ours[t] for t in thresholds], np.stack([accept, reject], axis=1), atol=1e-12)


def test_a_weight_counts_as_that_many_pairs():
    logits, same = normal_pairs(40)
    weights = np.arange(40) % 3
    weighted, repeated = curves(logits, same, weights), curves(np.repeat(logits, weights), np.repeat(same, weights))
    for one, other in zip(weighted, repeated, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_pairs_of_one_kind_have_no_curve_and_rates_are_shares():
    with pytest.raises(UserError, match="needs same and different pairs, not 3 same of 3"):
        curves(np.arange(3.0), np.ones(3, bool))
    with pytest.raises(UserError, match="false_accept_rate=1.5"):
        operating_point(curves(*normal_pairs(10)), 1.5)


@pytest.mark.parametrize(("count", "apart"), [(1000, 2.5), (10_000, 2.5), (10_000, 0.0)])
def test_a_thinned_curve_has_few_points_all_corners_and_moves_by_at_most_the_tolerance(count, apart):
    curve = curves(*normal_pairs(count, apart))
    few = thinned(curve)
    assert len(few.thresholds) <= 200 < len(curve.thresholds)
    assert {*zip(*few, strict=True)} <= {*zip(*curve, strict=True)}
    assert (few.false_accept[0], few.true_accept[0], few.false_accept[-1], few.true_accept[-1]) == (0, 0, 1, 1)
    # Rotated by 45 degrees both are functions of false_accept + true_accept; their gap is the distance along that axis.
    rotated, chords = (
        ((c.true_accept + c.false_accept), (c.true_accept - c.false_accept) / np.sqrt(2)) for c in (curve, few)
    )
    assert np.abs(np.interp(rotated[0], *chords) - rotated[1]).max() <= 0.002 * np.sqrt(2)
    square = curves(np.array([2.0, 2, 1, 1]), np.array([True, True, False, False]))
    assert list(zip(*thinned(square), strict=True)) == list(zip(*square, strict=True))


@pytest.mark.parametrize("apart", [0.5, 1.5, 3.0])
def test_a_thinned_curve_is_the_same_det_curve_down_to_the_smallest_rates(apart):
    curve = curves(*normal_pairs(10_000, apart))
    few = thinned(curve)
    assert len(few.thresholds) <= 200
    drawn = []
    for c in (curve, few):
        inner = (c.false_accept > 0) & (c.true_accept < 1) & (c.true_accept > 0) & (c.false_accept < 1)
        accepted, refused = stats.norm.ppf(c.false_accept[inner]), stats.norm.ppf(c.false_reject[inner])
        drawn.append((accepted - refused, (accepted + refused) / np.sqrt(2)))
    (along, away), chords = drawn
    assert np.abs(np.interp(along, *chords) - away).max() <= 0.02 * np.sqrt(2)
