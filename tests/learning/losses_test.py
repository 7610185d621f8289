import jax
import jax.numpy as jnp
import numpy as np
import pytest

from siamese_jax.learning.losses import (
    all_pairs,
    contrastive,
    cross_entropy,
    n_way,
    n_way_of_guessing,
    pair_loss,
    triplet,
)
from siamese_jax.specs import Contrastive, CrossEntropy, Triplet


def test_cross_entropy_is_minus_the_log_probability_of_the_truth():
    logits, same = np.array([2.0, -1.0, 0.0, 30.0], np.float32), np.array([1, 1, 0, 0], np.float32)
    p = 1 / (1 + np.exp(-logits.astype(np.float64)))
    expected = np.mean([-np.log(p[0]), -np.log(p[1]), -np.log(1 - p[2]), 30.0])
    np.testing.assert_allclose(cross_entropy(jnp.asarray(logits), jnp.asarray(same)), expected, rtol=1e-6)


def test_logits_that_cannot_tell_cost_ln_2():
    np.testing.assert_allclose(cross_entropy(jnp.zeros(6), jnp.arange(6.0) % 2), np.log(2), rtol=1e-6)


def test_the_contrastive_loss_pulls_same_pairs_together_and_others_apart_up_to_the_margin():
    distances, same = [0.5, 2.0, 0.25, 3.0], [1, 1, 0, 0]
    by_hand = np.mean([0.5**2 / 2, 2.0**2 / 2, (1.5 - 0.25) ** 2 / 2, 0.0])
    np.testing.assert_allclose(contrastive(jnp.array(distances), jnp.array(same, float), 1.5), by_hand, rtol=1e-6)


def test_the_triplet_loss_asks_for_a_margin_between_the_nearer_and_the_farther():
    by_hand = np.mean([max(0, 1 + 0.5 - 2.5), max(0, 1 + 2.0 - 1.0), max(0, 1 + 0.3 - 0.8)])
    np.testing.assert_allclose(triplet(jnp.array([0.5, 2.0, 0.3]), jnp.array([2.5, 1.0, 0.8]), 1.0), by_hand, rtol=1e-6)


DISTANCES = [1.5, 3.0, 0.5, 0.2]


@pytest.mark.parametrize(
    ("spec", "scores", "loss", "accuracy"),
    [
        (CrossEntropy(), [-0.5, -2.0, 0.5, 0.8], np.mean(np.log1p(np.exp([0.5, -2.0, -0.5, 0.8]))), 0.5),
        (Contrastive(2.0), DISTANCES, np.mean([1.5**2, 0, 0.5**2, 1.8**2]) / 2, 0.5),
        (Triplet(2.0), DISTANCES, np.mean([max(0, 2 + 1.5 - 3), max(0, 2 + 0.5 - 0.2)]), 0.5),
    ],
)
def test_each_loss_of_pairs_has_its_own_rule_for_right_decisions(spec, scores, loss, accuracy):
    measured = pair_loss(jnp.array(scores), jnp.array([1.0, 0.0, 1.0, 0.0]), spec)
    np.testing.assert_allclose(measured, (loss, accuracy), rtol=1e-6)


def test_shapes_that_do_not_match_are_refused():
    with pytest.raises(AssertionError):
        cross_entropy(jnp.zeros(6), jnp.zeros((6, 1)))


def grid(shape=(2, 4, 3), missing=((1, 3),)):
    alphabets, characters, drawers = shape
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(*shape, characters, drawers)).astype(np.float32)
    present = np.ones((alphabets, characters), bool)
    for place in missing:
        present[place] = False
    return logits, present


def test_all_pairs_weights_same_and_different_pairs_of_different_images_half_and_half():
    logits, present = grid()
    costs, rights = {True: [], False: []}, {True: [], False: []}
    for a, i, m, j, n in np.ndindex(logits.shape):
        if present[a, i] and present[a, j] and (i, m) != (j, n):
            p = 1 / (1 + np.exp(-float(logits[a, i, m, j, n])))
            costs[i == j].append(-np.log(p if i == j else 1 - p))
            rights[i == j].append((p > 0.5) == (i == j))
    loss, right = all_pairs(jnp.asarray(logits), jnp.asarray(present))
    np.testing.assert_allclose(loss, (np.mean(costs[True]) + np.mean(costs[False])) / 2, rtol=1e-5)
    np.testing.assert_allclose(right, (np.mean(rights[True]) + np.mean(rights[False])) / 2, rtol=1e-5)


def test_n_way_is_the_mean_over_trials_of_one_authors_queries_and_another_authors_supports():
    logits, present = grid()
    costs, rights = [], []
    for a, i, m, n in np.ndindex(2, 4, 3, 3):
        if m != n and present[a, i]:
            scores = np.array([float(logits[a, i, m, j, n]) for j in range(4) if present[a, j]])
            costs.append(np.log(np.exp(scores).sum()) - scores[i])
            rights.append(scores.argmax() == i)
    assert len(costs) == 7 * 6
    loss, right = n_way(jnp.asarray(logits), jnp.asarray(present))
    np.testing.assert_allclose(loss, np.mean(costs), rtol=1e-5)
    np.testing.assert_allclose(right, np.mean(rights), rtol=1e-5)


def test_guessing_has_what_equal_scores_have_in_groups_of_different_sizes():
    logits, present = grid(missing=((1, 3), (1, 2)))
    guessed, _ = n_way(jnp.zeros(logits.shape), jnp.asarray(present))
    np.testing.assert_allclose(n_way_of_guessing(jnp.asarray(present)), guessed, rtol=1e-6)
    np.testing.assert_allclose(guessed, (4 * np.log(4) + 2 * np.log(2)) / 6, rtol=1e-6)


@pytest.mark.parametrize("loss", [all_pairs, n_way])
def test_a_class_that_is_not_there_changes_no_loss_of_grids_and_gets_no_gradient(loss):
    logits, present = grid()
    other = logits.copy()
    other[1, 3], other[1, :, :, 3] = 50.0, -50.0
    values = [loss(jnp.asarray(one), jnp.asarray(present)) for one in (logits, other)]
    np.testing.assert_array_equal(*values)
    gradient = np.asarray(jax.grad(lambda x: loss(x, jnp.asarray(present))[0])(jnp.asarray(logits)))
    assert np.isfinite(gradient).all()
    assert not gradient[1, 3].any()
    assert not gradient[1, :, :, 3].any()
    assert gradient[1, 2].any()
