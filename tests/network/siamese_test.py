import typing
from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import make_dataset, make_experiment, make_params

from siamese_jax.errors import UserError
from siamese_jax.experiments import find
from siamese_jax.keys import root_key
from siamese_jax.network.siamese import as_input, build, init_params
from siamese_jax.specs import EvalSpec, with_value

SPEC = make_experiment().network
NET = build(SPEC)
PARAMS = make_params(SPEC)
IMAGES = make_dataset().images.images[::17][:8]


def test_the_paper_network_has_38_951_745_parameters():
    shapes = jax.eval_shape(lambda: init_params(root_key(0), find("omniglot_20way").network, (105, 105, 1)))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 38_951_745


def test_vmapped_pairs_equal_a_loop_over_pairs():
    left, right = as_input(jnp.asarray(IMAGES[:4])), as_input(jnp.asarray(IMAGES[4:]))
    embed = partial(NET.embed, PARAMS)
    one = jax.jit(lambda a, b: NET.compare(PARAMS, embed(a), embed(b)))
    loop = [one(a, b) for a, b in zip(left, right, strict=True)]
    np.testing.assert_allclose(jax.jit(NET.pair_logits)(PARAMS, left, right), jnp.stack(loop), rtol=1e-5, atol=1e-6)


def test_a_pair_scores_the_same_either_way_round():
    left, right = as_input(jnp.asarray(IMAGES[:4])), as_input(jnp.asarray(IMAGES[4:]))
    score = jax.jit(NET.pair_logits)
    there, back = score(PARAMS, left, right), score(PARAMS, right, left)
    np.testing.assert_allclose(there, back, rtol=1e-6, atol=1e-7)


def test_gradients_add_up_over_the_two_twins():
    left, right = (as_input(jnp.asarray(IMAGES[i])) for i in (0, 5))

    def untied(first, second):
        return NET.compare(first, NET.embed(first, left), NET.embed(second, right))

    by_twin = jax.jit(jax.grad(untied, argnums=(0, 1)))(PARAMS, PARAMS)
    tied = jax.jit(jax.grad(lambda params: NET.pair_logits(params, left[None], right[None])[0]))(PARAMS)
    jax.tree.map(lambda a, b, c: np.testing.assert_allclose(a + b, c, rtol=1e-4, atol=1e-6), *by_twin, tied)


def test_comparing_embeddings_equals_comparing_images():
    embeddings = jax.jit(NET.embed_images)(PARAMS, jnp.asarray(IMAGES))
    from_images = jax.jit(NET.pair_logits)(PARAMS, as_input(jnp.asarray(IMAGES[:4])), as_input(jnp.asarray(IMAGES[4:])))
    np.testing.assert_allclose(
        NET.compare_pairs(PARAMS, embeddings[:4], embeddings[4:]), from_images, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("energy", ["weighted_l1", "l1_distance", "euclidean", "cosine"])
def test_what_the_units_contribute_and_the_bias_are_the_logit(energy):
    spec = with_value(SPEC, "energy", energy)
    net, params = build(spec), make_params(spec)
    left, right = jax.jit(net.embed_images)(params, jnp.asarray(IMAGES[:2]))
    contributions, rest = net.contributions(params, left, right)
    assert contributions.shape == left.shape
    assert rest == params["out"]["bias"][0]
    np.testing.assert_allclose(contributions.sum() + rest, net.compare(params, left, right), rtol=1e-5)


def mean_score(shots, query):
    return np.mean([float(NET.compare(PARAMS, shot, query)) for shot in shots])


def best_score(shots, query):
    return max(float(NET.compare(PARAMS, shot, query)) for shot in shots)


def mean_embedding(shots, query):
    return float(NET.compare(PARAMS, (shots[0] + shots[1]) / 2, query))


@pytest.mark.parametrize("combine", [mean_score, best_score, mean_embedding])
def test_a_trial_scores_every_query_against_the_combined_shots_of_every_class(combine):
    embeddings = jax.jit(NET.embed_images)(PARAMS, jnp.asarray(IMAGES))
    support, query = embeddings[:6].reshape(3, 2, -1), embeddings[6:]
    scores = np.asarray(jax.jit(NET.trial_logits, static_argnums=3)(PARAMS, support, query, combine.__name__))
    for q in range(2):
        for way in range(3):
            np.testing.assert_allclose(scores[q, way], combine(support[way], query[q]), rtol=1e-5, atol=1e-6)


def test_every_choice_of_combining_is_one_that_was_compared():
    choices = typing.get_args(typing.get_type_hints(EvalSpec)["combine"])
    assert set(choices) == {"mean_score", "best_score", "mean_embedding"}


def test_ink_is_one_and_paper_zero():
    np.testing.assert_allclose(as_input(jnp.array([[[0, 255, 51]]], jnp.uint8)), [[[0.0, 1.0, 0.2]]])


def test_a_network_too_deep_for_its_images_is_refused():
    with pytest.raises(UserError, match="leaves no pixels"):
        init_params(root_key(0), find("omniglot_20way").network, (35, 35, 1))


@pytest.mark.parametrize("energy", ["weighted_l1", "euclidean", "cosine"])
@pytest.mark.parametrize("at_once", [1, 1 << 22])
def test_all_images_of_a_group_are_compared_with_all_however_many_at_once(energy, at_once, monkeypatch):
    monkeypatch.setattr("siamese_jax.network.siamese.AT_ONCE", at_once)
    net = build(with_value(NET.spec, "energy", energy))
    embeddings = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 2, 8)), jnp.float32)
    params = {"out": net.energy.init(root_key(1), embeddings[0, 0, 0], embeddings[0, 0, 0])["params"]}
    logits, one = np.asarray(jax.jit(net.grid_logits)(params, embeddings)), jax.jit(net.compare)
    for a, i, m, j, n in np.ndindex(2, 3, 2, 3, 2):
        expected = one(params, embeddings[a, i, m], embeddings[a, j, n])
        np.testing.assert_allclose(logits[a, i, m, j, n], expected, rtol=1e-4, atol=1e-3)


class Judge(nn.Module):
    """An energy that is no sum over units: a layer of its own looks at the differences."""

    @nn.compact
    def __call__(self, left, right):
        return nn.Dense(1)(nn.tanh(nn.Dense(3)(jnp.square(left - right))))[0]


def grid_of(energy):
    """A net, its energy's parameters, and what `fc` gives for 2 alphabets of 5 characters by 2 drawers."""
    net = NET._replace(energy=Judge()) if energy == "judge" else build(with_value(SPEC, "energy", energy))
    units = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 2, 8)), jnp.float32)
    return net, {"out": net.energy.init(root_key(1), units[0, 0, 0], units[0, 0, 0])["params"]}, units


def some_loss(logits):
    """Each pair counts otherwise, and none of an image with itself."""
    weights = np.random.default_rng(1).normal(size=logits.shape).reshape(2, 10, 10) * (1 - np.eye(10))
    return (weights.reshape(logits.shape) * jnp.square(logits)).sum()


def compared_at_once(net, params, units):
    embeddings = jax.nn.sigmoid(units).reshape(2, 10, -1)
    over_left = jax.vmap(net.compare, in_axes=(None, 0, None))
    over_both = jax.vmap(over_left, in_axes=(None, None, 0))
    return some_loss(jax.vmap(over_both, in_axes=(None, 0, 0))(params, embeddings, embeddings))


@pytest.mark.parametrize("energy", ["weighted_l1", "euclidean", "cosine", "judge"])
@pytest.mark.parametrize("rows", [1, 4, 10])
def test_the_gradient_of_a_grid_is_that_of_all_its_pairs_compared_at_once(energy, rows, monkeypatch):
    monkeypatch.setattr("siamese_jax.network.siamese.AT_ONCE", rows * 2 * 10 * 8)
    net, params, units = grid_of(energy)
    expected = jax.jit(jax.grad(partial(compared_at_once, net), argnums=(0, 1)))(params, units)

    def in_pieces(params, units):
        return some_loss(net.grid_logits(params, jax.nn.sigmoid(units)))

    gradient = jax.jit(jax.grad(in_pieces, argnums=(0, 1)))(params, units)
    chex.assert_trees_all_close(gradient, expected, rtol=1e-3, atol=1e-5)


def test_a_population_of_grids_has_the_gradients_of_each_on_its_own(monkeypatch):
    monkeypatch.setattr("siamese_jax.network.siamese.AT_ONCE", 4 * 2 * 10 * 8)
    net, params, units = grid_of("weighted_l1")
    each = [(jax.tree.map(lambda value, by=by: by * value, params), units + by) for by in (1.0, 2.0, 3.0)]

    def gradient(params, units):
        return jax.grad(lambda *of: some_loss(net.grid_logits(of[0], jax.nn.sigmoid(of[1]))), (0, 1))(params, units)

    def stack(*trees):
        return jax.tree.map(lambda *values: jnp.stack(values), *trees)

    together = jax.jit(jax.vmap(gradient))(*stack(*each))
    at_once = jax.jit(jax.grad(partial(compared_at_once, net), argnums=(0, 1)))
    expected = stack(*(at_once(*one) for one in each))
    chex.assert_trees_all_close(together, expected, rtol=1e-3, atol=1e-5)
