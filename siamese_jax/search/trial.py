"""Trials, trained: one, or several of equal shape as one program, and judged on validation after every epoch.

Nothing is kept of a trial but what it reached: a trial that is cut short is begun again.
"""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from siamese_jax import checks
from siamese_jax.errors import UserError
from siamese_jax.evaluation import embedder, one_shot
from siamese_jax.learning.batches import steps_per_epoch
from siamese_jax.learning.optimizers import kept_params
from siamese_jax.network.siamese import build
from siamese_jax.records import Alphabets, Runs, TrainState
from siamese_jax.specs import Experiment
from siamese_jax.training.loop import make_steps
from siamese_jax.training.programs import (
    Programs,
    all_finite,
    compile_start,
    compile_update,
    inputs_of,
    make_update,
    shape_of,
    start_state,
)

Sets = dict[str, Alphabets]
"""The "train" and "validation" images."""


class Ended(NamedTuple):
    """How a trial ended: `accuracy` is the highest on validation at any epoch, unless it was `pruned`, or failed for a
    `reason`.
    """

    accuracy: float = 0.0
    pruned: bool = False
    reason: str = ""


def problem(experiment: Experiment, sets: Sets) -> str:
    """Returns why an experiment cannot be trained and validated; "" if nothing is known to be wrong with it."""
    try:
        checks.check_experiment(experiment)
        checks.check_training(experiment, sets)
    except UserError as reason:
        return str(reason)
    return ""


def train(
    experiments: Sequence[Experiment],
    sets: Sets,
    programs: Programs,
    goes_on: Callable[[int, int, float], bool],
    started: Callable[[], None] = lambda: None,
    minutes: float = 0.0,
    now: Callable[[], float] = time.monotonic,
) -> list[Ended]:
    """Trains experiments of equal shape together, until each has ended: after its epochs, `patience` epochs without
    gain, or `minutes`, if any.

    `goes_on(place, epoch, accuracy)` hears of every validation, and says whether that one is worth going on with; with
    the others it is still computed, and no longer heard. After the last epoch, or when the minutes are over in the
    middle of one, there is nothing to go on with, and a trial is complete. `started` is called after the first step.
    """
    first = experiments[0]
    began, best, gained = now(), [0.0] * len(experiments), [0] * len(experiments)
    ended: dict[int, Ended] = {}

    def over() -> bool:
        return bool(minutes) and now() - began > 60 * minutes

    def wants_pause(step: int) -> bool:
        return over()

    states, update = begin(experiments, sets["train"], programs)
    for pause in make_steps(update, states, 0, steps_per_epoch(first), wants_pause):
        if pause.step == 1:
            jax.block_until_ready(pause.state.step)
            started()
        time_is_up = over()
        if not (pause.epoch_ended or time_is_up):
            continue
        epoch, last = pause.epoch, pause.epoch == first.max_epochs or time_is_up
        for place, experiment in enumerate(experiments):
            if place in ended:
                continue
            state = _member(pause.state, place) if len(experiments) > 1 else pause.state
            params = kept_params(state.params, state.opt_state)
            if not all_finite(params):
                ended[place] = Ended(reason=f"the loss is not finite in epoch {epoch}: training has diverged")
                continue
            try:
                accuracy = validate(experiment, params, sets["validation"], programs)
            except UserError as reason:  # the parameters are finite, and the scores are not
                ended[place] = Ended(reason=f"{reason} (epoch {epoch})")
                continue
            if accuracy > best[place] or epoch == 1:
                best[place], gained[place] = accuracy, epoch
            worth, patient = goes_on(place, epoch, accuracy), epoch - gained[place] < experiment.patience
            if not last and not (worth and patient):
                ended[place] = Ended(best[place], pruned=patient)
        if last or len(ended) == len(experiments):
            break
    return [ended.get(place, Ended(best[place])) for place in range(len(experiments))]


def validate(experiment: Experiment, params: Any, validation: Alphabets, programs: Programs) -> float:
    """Returns the one-shot accuracy in [0, 1] on the validation trials, the same in every epoch."""
    spec = experiment.evaluation
    evaluator = programs.get(
        "evaluator",
        (experiment.network, spec.embed_batch, spec.combine),
        lambda: embedder.Evaluator(build(experiment.network), spec.embed_batch, spec.combine),
    )
    return one_shot.validation_accuracy(evaluator, params, validation, _trials(experiment, validation, programs))


def _trials(experiment: Experiment, validation: Alphabets, programs: Programs) -> Runs:
    """Returns the validation trials, drawn once: to draw them is to compile a program."""
    runs = programs.get(
        "validation trials",
        (experiment.seed, experiment.evaluation, experiment.data),
        lambda: functools.cache(lambda: one_shot.validation_runs(experiment, validation)),
    )
    return runs()


def begin(experiments: Sequence[Experiment], images: Alphabets, programs: Programs) -> tuple[TrainState, Any]:
    """Returns the state before the first step, and the update; of several trials stacked, as one program."""
    first = experiments[0]
    if len(experiments) == 1:
        return compile_start(first, images, programs)(), compile_update(first, images, programs)
    inputs = jax.tree.map(lambda *each: jnp.stack(each), *map(inputs_of, experiments))
    shape, side = (len(experiments), *shape_of(first, images)), images.images.shape[1]

    def start_all(key: Array, rates: dict[str, Array]) -> TrainState:
        return jax.vmap(functools.partial(start_state, first, side))(key, rates)

    def update_all(states: TrainState, key: Array, rates: dict[str, Array], images: Array) -> Any:
        return jax.vmap(one, in_axes=(0, 0, 0, None))(states, key, rates, images)

    one = make_update(first, images)
    start = programs.get("start together", shape, lambda: jax.jit(start_all))
    update = programs.get("update together", shape, lambda: jax.jit(update_all, donate_argnums=0))
    return start(**inputs), functools.partial(update, **inputs, images=jnp.asarray(images.images))


@jax.jit
def _member(states: TrainState, place: int) -> TrainState:
    return jax.tree.map(lambda stacked: stacked[place], states)
