import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamese_jax.scores import best_threshold, clustered_interval, credit, ties, verified


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
    logits, same = np.array([p[0] for p in points], float), np.array([p[1] for p in points])
    found = verified(logits, same, best_threshold(logits, same)).mean()
    tried = [np.mean((logits > t) == same) for t in np.arange(-1, 8, 0.5)]
    assert found == max(tried)


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
def test_results_without_spread_and_single_clusters_have_an_interval_too(value):
    assert clustered_interval(np.full(40, value), np.arange(40)) == (value, value)
    assert clustered_interval(np.full(40, value), np.zeros(40)) == (0.0, 1.0)
