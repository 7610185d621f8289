"""The compiled programs of training: what they share, what they do, and what they leave alone."""

from dataclasses import replace

import chex
import jax
import jax.numpy as jnp
import pytest
from other_values import with_another_value
from tiny import make_dataset, make_experiment

from siamese_jax.keys import root_key
from siamese_jax.learning.batches import sample_batch, steps_per_epoch
from siamese_jax.learning.optimizers import make_optimizer
from siamese_jax.learning.steps import train_step
from siamese_jax.network.siamese import build
from siamese_jax.sampling.layout import layout_of
from siamese_jax.sampling.splits import split
from siamese_jax.specs import DESCRIPTION, AdamW, LayerSpec, NWay, leaves, with_value
from siamese_jax.training.programs import SHARED, Programs, compile_start, compile_update, shape_of

TRAIN = split(make_dataset(), "paper")["train"]
EXPERIMENT = make_experiment()
RULES = {name: LayerSpec(0.01 * n, 0.5 + 0.05 * n, 1e-3 * n) for n, name in enumerate(EXPERIMENT.optimizer.layers, 1)}
OTHER = replace(EXPERIMENT, seed=3, optimizer=replace(EXPERIMENT.optimizer, layers=RULES, decay=0.5))
ADAMW = replace(
    EXPERIMENT,
    loss=NWay(),
    data=replace(EXPERIMENT.data, batch_characters=3, batch_drawers=2, epoch_steps=4),
    optimizer=AdamW(clip=1.0, average=0.9),
)
OTHER_ADAMW = replace(ADAMW, seed=4, optimizer=replace(ADAMW.optimizer, rate=1e-2, fc_rate=0.2, weight_decay=0.3))


def trained(experiment, steps, programs=SHARED):
    state, update = compile_start(experiment, TRAIN, programs)(), compile_update(experiment, TRAIN, programs)
    for _ in range(steps):
        state, metrics = update(state)
    return state, metrics


@pytest.mark.parametrize(("first", "second"), [(EXPERIMENT, OTHER), (ADAMW, OTHER_ADAMW)])
def test_experiments_that_differ_in_seed_and_rates_share_their_programs(first, second):
    programs = Programs()
    trained(first, 2, programs)
    shared, _ = trained(second, 2, programs)
    alone, _ = trained(second, 2, Programs())
    chex.assert_trees_all_equal(shared.params, alone.params)
    assert compile_update(first, TRAIN, programs).func is compile_update(second, TRAIN, programs).func
    assert compile_update(first, TRAIN, programs).func._cache_size() == 1


@pytest.mark.parametrize("experiment", [OTHER, OTHER_ADAMW])
def test_rates_as_inputs_make_the_updates_that_rates_as_constants_make(experiment):
    place, net = layout_of(TRAIN), build(experiment.network)
    optimizer = make_optimizer(experiment, steps_per_epoch(experiment))

    @jax.jit
    def constant(state):
        batch = sample_batch(root_key(experiment.seed), state.step, jnp.asarray(TRAIN.images), place, experiment)
        return train_step(state, batch, net, optimizer, experiment)

    state = compile_start(experiment, TRAIN)()
    for _ in range(12):  # beyond the first epoch, so that rates have changed
        state, metrics = constant(state)
    ours, our_metrics = trained(experiment, 12)
    atol = 1e-6
    if experiment.loss.name == "n_way":  # a choice has no use for a bias: AdamW makes steps of what is rounding
        del ours.params["out"]["bias"], state.params["out"]["bias"]
        atol = 1e-5
    chex.assert_trees_all_close(ours.params, state.params, rtol=1e-5, atol=atol)
    chex.assert_trees_all_close(our_metrics, metrics, rtol=1e-5)


def test_experiments_that_differ_in_anything_else_have_programs_of_their_own():
    inputs = {"seed", "patience", "checkpoint_minutes", "log_steps", "max_epochs", "start_from", *DESCRIPTION}
    inputs |= {"optimizer.decay", "optimizer.initial_momentum"}
    for name, _ in leaves(EXPERIMENT):
        changed = with_another_value(EXPERIMENT, name)
        of_layer = name.startswith("optimizer.layers.")
        same = shape_of(changed, TRAIN) == shape_of(EXPERIMENT, TRAIN)
        assert same == (name in inputs or of_layer or name.startswith("evaluation.")), name
    assert shape_of(replace(ADAMW, max_epochs=9), TRAIN) != shape_of(ADAMW, TRAIN)  # its schedule would be another
    fewer = split(make_dataset(characters=4), "paper")["train"]
    assert shape_of(EXPERIMENT, fewer) != shape_of(EXPERIMENT, TRAIN)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_compiled_step_draws_on_the_device_talks_to_no_host_and_overwrites_its_state(dtype):
    experiment = with_value(EXPERIMENT, "network.compute_dtype", dtype)
    update = compile_update(experiment, TRAIN)
    state = jax.eval_shape(compile_start(experiment, TRAIN))
    program = update.func.lower(state, **update.keywords)
    for word in ("callback", "infeed", "outfeed", "send", "recv"):
        assert word not in program.as_text()
    of_params = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state.params))
    assert program.compile().memory_analysis().alias_size_in_bytes >= 2 * of_params  # they and their velocities


def test_no_step_moves_anything_between_host_and_device():
    update = compile_update(EXPERIMENT, TRAIN)
    start = compile_start(EXPERIMENT, TRAIN)()
    state, _ = update(start)
    with jax.transfer_guard("disallow"):
        state, _ = update(state)
    assert int(state.step) == 2
    assert start.params["fc"]["kernel"].is_deleted()
