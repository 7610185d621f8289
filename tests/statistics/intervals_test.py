import itertools

import numpy as np
import pytest
from scipy import stats

from siamese_jax.statistics.intervals import clustered_interval, paired_difference, weighted_intervals


def test_the_interval_of_unrelated_values_is_that_of_a_mean():
    values = np.random.default_rng(0).integers(0, 2, 2000).astype(float)
    low, high = clustered_interval(values, np.arange(2000))
    half = 1.96 * values.std() / np.sqrt(2000)
    np.testing.assert_allclose([low, high], [values.mean() - half, values.mean() + half], atol=0.002)


def test_the_interval_widens_when_the_trials_of_a_run_are_alike():
    run_means = np.random.default_rng(0).integers(0, 2, 20).astype(float)
    values, runs = np.repeat(run_means, 20), np.repeat(np.arange(20), 20)
    low, high = clustered_interval(values, runs)
    half = 1.96 * run_means.std() / np.sqrt(20)
    np.testing.assert_allclose([low, high], [run_means.mean() - half, run_means.mean() + half], atol=0.05)
    narrow = clustered_interval(values, np.arange(400))
    assert high - low > 3 * (narrow[1] - narrow[0])


def test_the_interval_is_the_same_every_time_and_weighs_clusters_by_their_size():
    values, clusters = np.array([1.0, 1, 1, 1, 1, 1, 0, 0]), np.array([0, 0, 0, 0, 0, 0, 1, 2])
    assert clustered_interval(values, clusters) == clustered_interval(values, clusters)
    assert clustered_interval(values, clusters) == (0.0, 1.0)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_single_clusters_have_an_interval_too(value):
    assert clustered_interval(np.full(40, value), np.zeros(40)) == (0.0, 1.0)


def test_results_without_a_mistake_could_still_be_less_than_perfect():
    runs = np.repeat(np.arange(20), 20)
    low, high = clustered_interval(np.ones(400), runs)
    assert high == 1.0
    np.testing.assert_allclose(low**400, 0.025)  # if they were right so often, 400 of 400 come up once in 40
    np.testing.assert_allclose(clustered_interval(np.zeros(400), runs), (0.0, 1 - low))


def test_a_difference_without_spread_has_an_end_only_where_it_cannot_be_larger():
    runs = np.repeat(np.arange(20), 20)
    assert clustered_interval(np.zeros(400), runs, unknown=(-1.0, 1.0)) == (0.0, 0.0)
    low, high = clustered_interval(np.full(400, -1.0), runs, unknown=(-1.0, 1.0))
    assert low == -1.0
    np.testing.assert_allclose(((1 - high) / 2) ** 400, 0.025)


def test_the_weighted_bootstrap_of_a_mean_is_the_bootstrap_of_a_mean():
    rng = np.random.default_rng(1)
    clusters = np.repeat(np.arange(10), 30)
    values = (rng.random(300) < rng.random(10)[clusters]).astype(float)
    found = weighted_intervals(lambda weights: (np.average(values, weights=weights), 0.25), clusters, resamples=4000)
    np.testing.assert_allclose(found[0], clustered_interval(values, clusters), atol=0.01)
    assert found[1] == (0.25, 0.25)
    assert weighted_intervals(lambda weights: (0.3, 0.4), np.zeros(5)) == [(0.0, 1.0), (0.0, 1.0)]


def test_a_paired_difference_is_that_of_the_means_with_trials_only_one_got_right():
    first = np.array([[1, 1, 0], [1, 0.5, 0], [1, 1, 1]])
    second = np.array([[1, 0, 0], [0, 1.0, 0], [0, 1, 1]])
    found = paired_difference(first, second)
    assert (found.trials, found.episodes, found.only_first, found.only_second) == (9, 3, 3, 1)
    np.testing.assert_allclose(found.difference, 2.5 / 9)
    low, high = found.ci95  # by run 1/3, 1/6, 1/3: the lowest mean comes up once in 27 times, the highest in 8 of 27
    np.testing.assert_allclose([low, high], [1 / 6, 1 / 3])
    opposite = paired_difference(second, first)
    np.testing.assert_allclose(opposite.ci95, (-high, -low))
    assert opposite.p_value == found.p_value


@pytest.mark.parametrize("runs", [2, 3, 7, 10])
def test_with_few_runs_the_p_value_is_that_of_all_sign_changes(runs):
    rng = np.random.default_rng(runs)
    first, second = (rng.random((2, runs, 4)) < [[[0.7]], [[0.4]]]).astype(float)
    differences = first.mean(axis=1) - second.mean(axis=1)
    flipped = [np.mean(differences * signs) for signs in itertools.product([1, -1], repeat=runs)]
    expected = np.mean(np.abs(flipped) >= abs(differences.mean()) - 1e-12)
    np.testing.assert_allclose(paired_difference(first, second).p_value, expected)


def test_with_many_runs_the_p_value_is_near_that_of_the_normal_law_and_always_the_same():
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 400, 5))  # not 1 or 0, whose means would jump
    differences = first.mean(axis=1) - second.mean(axis=1)
    z = abs(differences.sum()) / np.sqrt(np.square(differences).sum())
    found = paired_difference(first, second)
    np.testing.assert_allclose(found.p_value, 2 * stats.norm.sf(z), atol=0.02)
    assert 0.01 < found.p_value < 0.99
    assert paired_difference(first, second) == found


def test_one_run_says_nothing_about_a_difference_and_equal_methods_have_none():
    one = paired_difference(np.ones((1, 5)), np.zeros((1, 5)))
    assert (one.difference, one.ci95, one.p_value) == (1.0, (-1.0, 1.0), 1.0)
    none = paired_difference(np.ones((20, 5)), np.ones((20, 5)))
    assert (none.difference, none.ci95, none.p_value, none.only_first) == (0.0, (0.0, 0.0), 1.0, 0)
