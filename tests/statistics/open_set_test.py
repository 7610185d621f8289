"""Rates are counted by hand; guarantees are checked by leaving out each value in turn."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import det_curve

from siamese_jax.statistics import open_set
from siamese_jax.statistics.intervals import clustered_interval

RNG = np.random.default_rng(0)
VALUES = st.lists(st.integers(-5, 5), min_size=2, max_size=40)  # few possible values, which often tie
SHARES = st.integers(1, 99).map(lambda percent: percent / 100)


def test_false_matches_and_non_matches_are_those_of_scikit_learns_det_curve():
    same = np.arange(300) % 3 == 0
    scores = RNG.normal(size=300) + 1.5 * same
    for fmr, fnmr, threshold in zip(*det_curve(same, scores), strict=True):
        np.testing.assert_allclose(open_set.fmr(scores, same, threshold), fmr)
        np.testing.assert_allclose(open_set.fnmr(scores, same, threshold), fnmr)


def test_a_known_query_counts_if_its_class_is_first_alone_and_accepted():
    known = np.array([[3.0, 1], [3, 1], [2, 2], [0.5, 0.1]])
    np.testing.assert_array_equal(open_set.detected(known, [0, 1, 0, 0], 1.0), [True, False, False, False])
    np.testing.assert_array_equal(open_set.detected(known, [0, 1, 0, 0], 0.5), [True, False, False, True])
    np.testing.assert_array_equal(open_set.detected(known[None], [[0, 1, 0, 0]], 3.0), [[True, False, False, False]])


def test_an_unknown_query_is_a_false_positive_if_any_class_reaches_the_threshold():
    unknown = np.array([[[3.0, 1], [0, 2]], [[1, 1], [0, 0]]])
    np.testing.assert_array_equal(open_set.false_positives(unknown, 2.0), [[True, True], [False, False]])
    np.testing.assert_array_equal(open_set.false_positives(unknown, math.inf), np.zeros((2, 2), bool))


@given(VALUES, SHARES)
def test_a_new_exchangeable_value_is_at_most_the_order_statistic_with_the_wanted_probability(values, share):
    values = np.array(values, float)
    held = [v <= open_set.order_statistic(np.delete(values, i), share) for i, v in enumerate(values)]
    assert np.mean(held) >= share - 1e-12


@pytest.mark.parametrize(
    ("count", "share", "place"), [(19, 0.95, 19), (18, 0.95, None), (100, 0.95, 96), (99, 0.99, 99), (9, 0.5, 5)]
)
def test_the_order_statistic_is_the_one_that_the_theorem_names(count, share, place):
    values = RNG.permutation(np.arange(1.0, count + 1))
    assert open_set.order_statistic(values, share) == (place or math.inf)


@given(VALUES, SHARES)
def test_a_new_unknown_query_is_accepted_at_most_as_often_as_asked(best, fpir):
    """Each query in turn is new: at its threshold, chosen on the others, it is rarely accepted, ties or not."""
    unknown = np.stack([np.array(best, np.float32), np.full(len(best), -9, np.float32)], axis=1)
    accepted = [
        open_set.false_positives(row, open_set.threshold_for_fpir(np.delete(unknown, i, axis=0), fpir))
        for i, row in enumerate(unknown)
    ]
    assert np.mean(accepted) <= fpir + 1e-12


def test_of_many_unknown_queries_the_wanted_share_is_accepted():
    chosen_on, new = RNG.normal(size=(2, 50, 400, 20))
    for fpir in (0.01, 0.05, 0.1):
        accepted = open_set.false_positives(new, open_set.threshold_for_fpir(chosen_on, fpir))
        assert abs(accepted.mean() - fpir) < 4 * (2 * fpir / accepted.size) ** 0.5


@given(st.integers(0, 2**32 - 1), SHARES)
def test_prediction_sets_of_exchangeable_queries_hold_the_right_class_as_often_as_asked(seed, coverage):
    rng = np.random.default_rng(seed)
    scores, answer = rng.integers(-3, 4, (30, 4)).astype(np.float32), rng.integers(4, size=30)
    gaps = open_set.gaps(scores, answer)
    sets = np.stack(
        [
            open_set.prediction_set(row, open_set.order_statistic(np.delete(gaps, i), coverage))
            for i, row in enumerate(scores)
        ]
    )
    assert sets[np.arange(30), answer].mean() >= coverage - 1e-12
    assert sets[np.arange(30), scores.argmax(axis=1)].all()


def test_a_gap_is_counted_from_the_best_class():
    scores = np.array([[[1.0, 4, 2], [7, 7, 0]]])
    np.testing.assert_array_equal(open_set.gaps(scores, np.array([[2, 1]])), [[2, 0]])
    np.testing.assert_array_equal(open_set.prediction_set(scores[0], 2.0), [[False, True, True], [True, True, False]])


def test_between_two_sizes_values_are_linear_in_the_logarithm_and_the_nearest_line_goes_on():
    sizes, values = (5, 20, 50), (-4.0, -2.0, -1.5)
    for size, value in zip(sizes, values, strict=True):
        np.testing.assert_allclose(open_set.at_size(size, sizes, values), value)
    np.testing.assert_allclose(open_set.at_size(10, sizes, values), -3)
    np.testing.assert_allclose(open_set.at_size(80, sizes, values), -2 + 0.5 * math.log(4) / math.log(2.5))
    np.testing.assert_allclose(open_set.at_size(1, sizes, values), -4 - math.log(5) / math.log(2))
    assert open_set.at_size(7, (20,), (3.0,)) == 3


def test_for_scores_with_an_exponential_tail_the_extrapolated_threshold_is_right():
    sizes = (5, 20, 50)
    exact = {n: -math.log1p(-(0.95 ** (1 / n))) for n in (*sizes, 500)}
    np.testing.assert_allclose(open_set.at_size(500, sizes, [exact[n] for n in sizes]), exact[500], atol=0.02)


def test_the_interval_of_a_rate_is_wider_where_the_threshold_is_chosen_again():
    """Ten groups a set, whose scores lie around a mean of the group: thresholds owe much to the groups."""

    def made(seed):
        rng = np.random.default_rng(seed)
        return (rng.normal(size=(10, 1)) + rng.normal(size=(10, 200))).ravel(), np.repeat(np.arange(10), 200)

    chosen_on, new = made(0), made(1)
    threshold = open_set.threshold_for_fpir(chosen_on[0][:, None], 0.05)
    accepted = open_set.false_positives(new[0][:, None], threshold)
    fixed = clustered_interval(accepted.astype(float), new[1])
    low, high = open_set.fpir_interval(*chosen_on, *new, 0.05)
    assert 0 <= low < accepted.mean() < high <= 1
    assert high - low > 1.2 * (fixed[1] - fixed[0])
    alone = open_set.fpir_interval(chosen_on[0], np.zeros(2000), new[0], np.zeros(2000), 0.05)
    np.testing.assert_allclose(alone, accepted.mean())  # one group each: every resample is the same


def test_the_interval_of_a_rate_covers_what_was_asked_about_as_often_as_it_says():
    covered = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        scores = rng.normal(size=(2, 25, 1)) / 2 + rng.normal(size=(2, 25, 40))
        group = np.repeat(np.arange(25), 40)
        low, high = open_set.fpir_interval(scores[0].ravel(), group, scores[1].ravel(), group, 0.1, resamples=199)
        covered.append(low <= 0.1 <= high)
    assert np.mean(covered) > 0.85
