"""The compiled programs of training.

Seed, learning rates, momenta and penalties are inputs of a program, so experiments that differ only in these share one.
"""

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import Array

from siamese_jax import keys
from siamese_jax.learning.batches import sample_batch, steps_per_epoch
from siamese_jax.learning.health import examine, update_sizes
from siamese_jax.learning.optimizers import make_optimizer, rates_of, with_rates
from siamese_jax.learning.steps import init_state, train_step
from siamese_jax.network.siamese import Params, build
from siamese_jax.records import Images, TrainState
from siamese_jax.sampling.layout import examples, layout_of
from siamese_jax.specs import DESCRIPTION, Experiment, leaves

EXAMINED_CHARACTERS, EXAMINED_DRAWERS = 20, 4
"""Training images that the health of a network is measured on."""

NOT_IN_A_PROGRAM = {*DESCRIPTION, "start_from", "seed", "patience", "checkpoint_minutes", "log_steps"}
"""Fields that no program depends on, beside those of `evaluation` and the inputs of `rates_of`."""

Update = Callable[[TrainState], tuple[TrainState, Any]]
Made = TypeVar("Made")


class Programs:
    """Jitted functions by name and shape. Each is compiled when it is first called; only the `most` last used stay."""

    def __init__(self, most: int = 100) -> None:
        self._most = most
        self._made: dict[tuple[Any, ...], Any] = {}

    def get(self, name: str, shape: tuple[Any, ...], make: Callable[[], Made]) -> Made:
        """Return the function of that name and shape; `make` makes it if there is none yet."""
        made = self._made.pop((name, shape), None) or make()
        self._made[name, shape] = made  # now the last in order
        if len(self._made) > self._most:
            del self._made[next(iter(self._made))]
        return made


SHARED = Programs()
"""The programs of all runs of this process: a second run of the same shape compiles nothing."""


def shape_of(experiment: Experiment, train: Images) -> tuple[Any, ...]:
    """Return what a training program depends on as a constant. Experiments with equal shapes share their programs."""
    inputs = {f"optimizer.{name}" for name in rates_of(experiment.optimizer)} | NOT_IN_A_PROGRAM
    if not experiment.optimizer.over_all_epochs:
        inputs.add("max_epochs")
    fields = [(name, value) for name, value in leaves(experiment) if name not in inputs]
    return (
        tuple((name, value) for name, value in fields if not name.startswith("evaluation.")),
        (*(part is not None and part.tobytes() for part in layout_of(train)), train.images.shape),
    )


def compile_start(experiment: Experiment, train: Images, programs: Programs = SHARED) -> Callable[[], TrainState]:
    """Return a callable that makes the state before the first step, as one program that a cache can keep."""

    def make() -> Callable[..., TrainState]:
        return jax.jit(functools.partial(start_state, experiment, train.images.shape[1:]))

    program = programs.get("start", shape_of(experiment, train), make)
    return functools.partial(program, **inputs_of(experiment))


def compile_update(experiment: Experiment, train: Images, programs: Programs = SHARED) -> Update:
    """Return the jitted update. It samples its batch on the device; the buffers of its argument are overwritten."""

    def make() -> Callable[..., tuple[TrainState, Any]]:
        return jax.jit(make_update(experiment, train), donate_argnums=0)

    program = programs.get("update", shape_of(experiment, train), make)
    # The images are an argument: a constant would be copied into the program.
    return functools.partial(program, **inputs_of(experiment), images=jnp.asarray(train.images))


def compile_examine(
    experiment: Experiment, train: Images, programs: Programs = SHARED
) -> Callable[[TrainState, Update], dict[str, Any]]:
    """Return a callable (state, update) -> health of the state's parameters, and the sizes of the next update.

    The state stays as it is; see `learning.health.examine`.
    """

    def make() -> Callable[..., dict[str, Any]]:
        return jax.jit(functools.partial(examine, build(experiment.network)))

    look = programs.get("examine", shape_of(experiment, train), make)
    images = jnp.asarray(examples(train, EXAMINED_CHARACTERS, EXAMINED_DRAWERS))

    def examined(state: TrainState, update: Update) -> dict[str, Any]:
        after, _ = update(copied(state))
        return look(state.params, images) | _update_sizes(state.params, after.params)

    return examined


def inputs_of(experiment: Experiment) -> dict[str, Any]:
    """Return the inputs of an experiment's programs: its key and its rates."""
    return {"key": keys.root_key(experiment.seed), "rates": rates_of(experiment.optimizer)}


def start_state(experiment: Experiment, shape: tuple[int, int, int], key: Array, rates: dict[str, Array]) -> TrainState:
    """Return the state before the first step, for images of shape [H, W, C]."""
    return init_state(key, experiment, _optimizer(_rated(experiment, rates)), shape)


def state_of(experiment: Experiment, params: Params) -> TrainState:
    """Return the state before the first step, from given parameters."""
    return TrainState(jnp.int32(0), params, _optimizer(experiment).init(params))


def make_update(experiment: Experiment, train: Images) -> Callable[..., tuple[TrainState, dict[str, Array]]]:
    """Return the function of one update, not yet jitted: (state, key, rates, images) -> (state, metrics)."""
    place, net = layout_of(train), build(experiment.network)

    def update(
        state: TrainState, key: Array, rates: dict[str, Array], images: Array
    ) -> tuple[TrainState, dict[str, Array]]:
        rated = _rated(experiment, rates)
        batch = sample_batch(key, state.step, images, place, rated)
        return train_step(state, batch, net, _optimizer(rated), rated)

    return update


@jax.jit
def copied(tree: Any) -> Any:
    """Return a copy of a tree of arrays, which the next step cannot overwrite."""
    return jax.tree.map(jnp.copy, tree)


_update_sizes = jax.jit(update_sizes)


@jax.jit
def all_finite(tree: Any) -> Array:
    """Return whether every number of a tree of arrays is finite, bool []."""
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all()


def _rated(experiment: Experiment, rates: dict[str, Array]) -> Experiment:
    return replace(experiment, optimizer=with_rates(experiment.optimizer, rates))


def _optimizer(experiment: Experiment) -> Any:
    return make_optimizer(experiment, steps_per_epoch(experiment))
