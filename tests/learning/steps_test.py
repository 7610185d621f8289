from dataclasses import replace
from functools import cache

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny import SHAPE, SIDE, make_dataset, make_experiment

from siamese_jax.keys import root_key
from siamese_jax.learning.batches import sample_batch, steps_per_epoch
from siamese_jax.learning.losses import grid_loss
from siamese_jax.learning.optimizers import kept_params, make_optimizer
from siamese_jax.learning.steps import init_state, train_step
from siamese_jax.network.siamese import as_input, build
from siamese_jax.records import GridBatch
from siamese_jax.sampling.layout import layout_of
from siamese_jax.sampling.splits import split
from siamese_jax.specs import AdamW, AllPairs, Dense, LossSpec, NetSpec, NWay, Omniglot, Residual, with_value

EXPERIMENT = make_experiment()
GRID = Omniglot(batch_alphabets=2, batch_characters=4, batch_drawers=3)
TRAIN = split(make_dataset(), "paper")["train"]
NET = build(EXPERIMENT.network)
OPTIMIZER = make_optimizer(EXPERIMENT, steps_per_epoch(EXPERIMENT))


# Each of these is one program: operation by operation would compile hundreds.
def start(experiment=EXPERIMENT, optimizer=OPTIMIZER, seed=0):
    return jax.jit(lambda key: init_state(key, experiment, optimizer, SHAPE))(root_key(seed))


def first_batch(experiment=EXPERIMENT):
    sample = jax.jit(lambda images: sample_batch(root_key(0), 0, images, layout_of(TRAIN), experiment))
    return sample(jnp.asarray(TRAIN.images))


def step_once(state, batch, experiment=EXPERIMENT):
    net = build(experiment.network)
    return jax.jit(lambda state, batch: train_step(state, batch, net, OPTIMIZER, experiment))(state, batch)


def test_the_first_update_is_the_rate_times_the_gradient_of_cross_entropy_plus_penalty():
    state, batch = start(), first_batch()

    def objective(params):
        p = jax.nn.sigmoid(NET.pair_logits(params, batch.left, batch.right))
        entropy = -jnp.mean(batch.same * jnp.log(p) + (1 - batch.same) * jnp.log(1 - p))
        kernels = [value for layer in params.values() for name, value in layer.items() if name != "bias"]
        return entropy + 1e-4 * sum(jnp.sum(kernel**2) for kernel in kernels)

    loss, gradients = jax.jit(jax.value_and_grad(objective))(state.params)
    after, metrics = step_once(state, batch)
    expected = jax.tree.map(lambda w, g: w - 0.05 * g, state.params, gradients)
    chex.assert_trees_all_close(after.params, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(metrics["cross_entropy"] + metrics["penalty"], loss, rtol=1e-5)
    assert int(after.step) == 1


def test_a_choice_between_equal_scores_has_the_loss_of_guessing_where_a_class_is_missing():
    experiment = replace(EXPERIMENT, data=GRID, loss=NWay())
    batch = first_batch(experiment)
    batch = batch._replace(present=jnp.array([[True] * 4, [True, True, False, False]]))
    state = start(experiment)
    blind = state._replace(params={**state.params, "out": jax.tree.map(jnp.zeros_like, state.params["out"])})
    _, metrics = step_once(blind, batch, experiment)
    np.testing.assert_allclose(metrics["n_way"], (4 * np.log(4) + 2 * np.log(2)) / 6, rtol=1e-6)
    np.testing.assert_allclose(metrics["guessing"], metrics["n_way"], rtol=1e-6)


@pytest.mark.parametrize("energy", ["weighted_l1", "l1_distance", "euclidean", "cosine"])
@pytest.mark.parametrize("loss", ["cross_entropy", "contrastive", "triplet"])
def test_the_loss_falls_when_one_batch_is_learned_by_heart(loss, energy):
    network = with_value(EXPERIMENT.network, "energy", energy)
    experiment = replace(EXPERIMENT, loss=LossSpec.variants[loss](), network=network)
    state, net = start(experiment), build(network)
    batch = first_batch(experiment)
    step = jax.jit(lambda state: train_step(state, batch, net, OPTIMIZER, experiment))
    losses = []
    for _ in range(60):
        state, metrics = step(state)
        losses.append(float(metrics[loss]))
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_parameters_updates_and_metrics_are_float32_whatever_the_twins_compute_in(dtype):
    experiment = replace(EXPERIMENT, network=with_value(EXPERIMENT.network, "compute_dtype", dtype))
    state = start(experiment)
    after, metrics = step_once(state, first_batch(), experiment)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
    floats = {leaf.dtype for leaf in jax.tree.leaves((after, metrics)) if leaf.dtype != jnp.int32}
    assert floats == {jnp.dtype("float32")}
    reference, _ = step_once(state, first_batch())
    moved, wanted = (
        np.concatenate([np.ravel(a - b) for a, b in zip(*map(jax.tree.leaves, (s.params, state.params)), strict=True)])
        for s in (after, reference)
    )
    assert np.linalg.norm(moved - wanted) < 0.25 * np.linalg.norm(wanted)  # a pool may choose otherwise


def test_the_step_is_compiled_once():
    chex.clear_trace_counter()

    @jax.jit
    @chex.assert_max_traces(n=1)
    def step(state):
        batch = sample_batch(root_key(0), state.step, jnp.asarray(TRAIN.images), layout_of(TRAIN), EXPERIMENT)
        return train_step(state, batch, NET, OPTIMIZER, EXPERIMENT)

    state = start()
    for _ in range(12):  # beyond the end of an epoch
        state, _ = step(state)
    assert int(state.step) == 12


def test_the_same_seed_gives_the_same_parameters_and_another_seed_others():
    first, again, other = (start(seed=seed) for seed in (0, 0, 1))
    chex.assert_trees_all_equal(first, again)
    assert bool(jnp.any(first.params["fc"]["kernel"] != other.params["fc"]["kernel"]))


def test_the_gradient_of_a_grid_batch_is_that_of_its_pairs_compared_one_by_one():
    experiment = replace(EXPERIMENT, loss=AllPairs(), data=GRID)
    batch = first_batch(experiment)
    state = start(experiment)
    after, metrics = jax.jit(lambda state: train_step(state, batch, NET, OPTIMIZER, experiment))(state)
    images = batch.images.reshape(2, 12, SIDE, SIDE, 1)
    first, second = np.triu_indices(12, 1)
    same = first // 3 == second // 3

    def objective(params):
        p = [jax.nn.sigmoid(NET.pair_logits(params, of_it[first], of_it[second])) for of_it in images]
        p = jnp.stack(p)
        entropy = -jnp.where(same[None], jnp.log(p), jnp.log(1 - p))
        return (entropy[:, same].mean() + entropy[:, ~same].mean()) / 2

    loss, gradients = jax.jit(jax.value_and_grad(objective))(state.params)
    np.testing.assert_allclose(metrics["all_pairs"], loss, rtol=1e-5)
    kernels = jax.tree.map(lambda w: 2e-4 * w, state.params)
    for layer, values in gradients.items():
        for name, gradient in values.items():
            slope = gradient + (kernels[layer][name] if name != "bias" else 0.0)
            moved = state.params[layer][name] - 0.05 * slope
            np.testing.assert_allclose(after.params[layer][name], moved, rtol=1e-3, atol=1e-5)


TOWERS = {
    "convolutional": with_value(EXPERIMENT.network, "head", "linear"),
    "dense": NetSpec(Dense(hidden=16, units=8, head="linear")),
    "residual": NetSpec(Residual(width=8, stages=1, units=8, head="linear")),
}
PLAIN = replace(EXPERIMENT, optimizer=AdamW())  # whose decay of weights is no part of a loss
IMAGES = as_input(jnp.asarray(TRAIN.images)).reshape(2, 5, 12, SIDE, SIDE, 1)[:, :, :2]
KEEPS_GRADIENT = optax.trace(decay=0.0)


@cache
def embedded(tower):
    """A state at its start, what `fc` gives for IMAGES [20, D], and the function that takes a gradient back from it."""
    net = build(TOWERS[tower])
    experiment = replace(PLAIN, network=TOWERS[tower])
    state = jax.jit(lambda: init_state(root_key(0), experiment, KEEPS_GRADIENT, SHAPE))()
    embed = jax.jit(jax.vmap(net.embed, in_axes=(None, 0)))
    return state, *jax.vjp(lambda params: embed(params, IMAGES.reshape(-1, SIDE, SIDE, 1)), state.params)


@pytest.mark.parametrize("tower", TOWERS)
@pytest.mark.parametrize("head", ["sigmoid", "linear"])
@pytest.mark.parametrize("loss", ["all_pairs", "n_way"])
def test_a_compiled_step_on_a_grid_cut_into_pieces_has_the_gradient_of_the_whole_not_compiled(
    loss, head, tower, monkeypatch
):
    monkeypatch.setattr("siamese_jax.network.siamese.AT_ONCE", 4 * 2 * 10 * 8)  # 4 rows, 4 more, and the last 2
    network = with_value(TOWERS[tower], "head", head)
    experiment = replace(PLAIN, loss=LossSpec.variants[loss](), network=network)
    net, (state, units, back) = build(experiment.network), embedded(tower)
    batch = GridBatch(IMAGES, jnp.array([[True] * 5, [True] * 4 + [False]]))
    after, metrics = jax.jit(lambda state: train_step(state, batch, net, KEEPS_GRADIENT, experiment))(state)

    def objective(params, units):
        over_left = jax.vmap(net.compare, in_axes=(None, 0, None))
        over_both = jax.vmap(over_left, in_axes=(None, None, 0))
        embeddings = jax.nn.sigmoid(units) if head == "sigmoid" else units
        logits = jnp.stack([over_both(params, e, e) for e in embeddings.reshape(2, 10, -1)])
        return grid_loss(logits.reshape(2, 5, 2, 5, 2), batch.present, experiment.loss)[0]

    value, (of_energy, of_units) = jax.value_and_grad(objective, argnums=(0, 1))(state.params, units)
    expected = jax.tree.map(jnp.add, of_energy, *back(of_units))
    np.testing.assert_allclose(metrics[loss], value, rtol=1e-5)
    for layer, values in expected.items():
        for name, gradient in values.items():
            found = after.opt_state.trace[layer][name]
            np.testing.assert_allclose(found, gradient, rtol=1e-3, atol=1e-4 * float(jnp.abs(gradient).max()) + 1e-7)


@pytest.mark.parametrize("loss", ["all_pairs", "n_way"])
def test_a_grid_batch_is_learned_by_heart_with_averaged_weights_that_follow(loss):
    network = NetSpec(Residual(width=8, stages=2, units=8, head="linear"))
    adamw = AdamW(rate=0.01, schedule="constant", average=0.9)
    experiment = replace(
        EXPERIMENT, loss=LossSpec.variants[loss](), data=GRID, network=network, optimizer=adamw, max_epochs=60
    )
    optimizer, net = make_optimizer(experiment, 1), build(network)
    state = start(experiment, optimizer)
    batch = first_batch(experiment)
    step = jax.jit(lambda state: train_step(state, batch, net, optimizer, experiment))
    losses = []
    for _ in range(60):
        state, metrics = step(state)
        losses.append(float(metrics[loss]))
    assert losses[-1] < 0.5 * losses[0]
    mean = kept_params(state.params, state.opt_state)
    _, of_mean = step(state._replace(params=mean))
    assert float(of_mean[loss]) < 0.5 * losses[0]
