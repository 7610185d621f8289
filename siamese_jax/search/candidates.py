"""Candidates of a search, trained and validated after every epoch: one, or several of equal shape as one program.

Only what a candidate reached is kept: a candidate that was cut short is trained again from the start.
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
from siamese_jax.records import Episodes, Images, TrainState
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

Sets = dict[str, Images]
"""The "train" and "validation" images."""


class Ended(NamedTuple):
    """How a candidate ended.

    Attributes:
      accuracy: the highest one-shot accuracy on validation at any epoch, in [0, 1].
      pruned: whether it was ended early, since it was not worth continuing.
      reason: why it failed; "" where it did not.
    """

    accuracy: float = 0.0
    pruned: bool = False
    reason: str = ""


def problem(experiment: Experiment, sets: Sets) -> str:
    """Return why an experiment cannot be trained and validated; "" if nothing is known to be wrong with it."""
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
    """Train experiments of equal shape together, until each has ended.

    A candidate ends after its epochs, after `patience` epochs without gain, when it is pruned, or after `minutes`.

    Args:
      experiments: the candidates; they differ only in what a program takes as input (see `programs.shape_of`).
      sets: the training and validation images.
      programs: compiled programs, kept from candidate to candidate.
      goes_on: called after each validation with (index, epoch, accuracy); returns whether that candidate continues. A
        candidate that does not is still computed together with the others, and no longer validated.
      started: called once, after the first step.
      minutes: longest training time; 0 is no bound. A candidate that reaches it is complete.
      now: the clock, in seconds.

    Returns:
      How each candidate ended, in the order of `experiments`.
    """
    first = experiments[0]
    began, best, gained = now(), [0.0] * len(experiments), [0] * len(experiments)
    ended: dict[int, Ended] = {}

    def is_over() -> bool:
        return bool(minutes) and now() - began > 60 * minutes

    update, states = begin(experiments, sets["train"], programs)
    for pause in make_steps(update, states, 0, steps_per_epoch(first), lambda step: is_over()):
        if pause.step == 1:
            started()
        time_is_up = is_over()
        if not (pause.epoch_ended or time_is_up):
            continue
        epoch, last = pause.epoch, pause.epoch == first.max_epochs or time_is_up
        for index, experiment in enumerate(experiments):
            if index in ended:
                continue
            state = _member(pause.state, index) if len(experiments) > 1 else pause.state
            params = kept_params(state.params, state.opt_state)
            if not all_finite(params):
                ended[index] = Ended(reason=f"the loss is not finite in epoch {epoch}: training has diverged")
                continue
            try:
                accuracy = validate(experiment, params, sets["validation"], programs)
            except UserError as reason:  # the parameters are finite, and the scores are not
                ended[index] = Ended(reason=f"{reason} (epoch {epoch})")
                continue
            if accuracy > best[index] or epoch == 1:
                best[index], gained[index] = accuracy, epoch
            worth, patient = goes_on(index, epoch, accuracy), epoch - gained[index] < experiment.patience
            if not last and not (worth and patient):
                ended[index] = Ended(best[index], pruned=patient)
        if last or len(ended) == len(experiments):
            break
    return [ended.get(index, Ended(best[index])) for index in range(len(experiments))]


def validate(experiment: Experiment, params: Any, validation: Images, programs: Programs) -> float:
    """Return the one-shot accuracy, in [0, 1], on the validation trials. They are the same in every epoch."""
    spec = experiment.evaluation
    evaluator = programs.get(
        "evaluator",
        (experiment.network, spec.embed_batch, spec.combine),
        lambda: embedder.Evaluator(build(experiment.network), spec.embed_batch, spec.combine),
    )
    return one_shot.validation_accuracy(evaluator, params, validation, _trials(experiment, validation, programs))


def _trials(experiment: Experiment, validation: Images, programs: Programs) -> Episodes:
    """Return the validation trials, sampled once: sampling them compiles a program."""
    trials = programs.get(
        "validation trials",
        (experiment.seed, experiment.evaluation, experiment.data),
        lambda: functools.cache(lambda: one_shot.validation_episodes(experiment, validation)),
    )
    return trials()


def begin(experiments: Sequence[Experiment], images: Images, programs: Programs) -> tuple[Any, TrainState]:
    """Return the update, and the state before the first step; of several candidates stacked, as one program."""
    first = experiments[0]
    if len(experiments) == 1:
        return compile_update(first, images, programs), compile_start(first, images, programs)()
    inputs = jax.tree.map(lambda *each: jnp.stack(each), *map(inputs_of, experiments))
    shape, image_shape = (len(experiments), *shape_of(first, images)), images.images.shape[1:]

    def start_all(key: Array, rates: dict[str, Array]) -> TrainState:
        return jax.vmap(functools.partial(start_state, first, image_shape))(key, rates)

    def update_all(states: TrainState, key: Array, rates: dict[str, Array], images: Array) -> Any:
        return jax.vmap(one, in_axes=(0, 0, 0, None))(states, key, rates, images)

    one = make_update(first, images)
    start = programs.get("start together", shape, lambda: jax.jit(start_all))
    update = programs.get("update together", shape, lambda: jax.jit(update_all, donate_argnums=0))
    return functools.partial(update, **inputs, images=jnp.asarray(images.images)), start(**inputs)


@jax.jit
def _member(states: TrainState, index: int) -> TrainState:
    return jax.tree.map(lambda stacked: stacked[index], states)
