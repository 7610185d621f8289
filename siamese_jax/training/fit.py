"""Training of one run, from the start or the newest checkpoint: the loop, and those who listen to it."""

import functools
import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax

from siamese_jax.environment import differences, environment
from siamese_jax.interrupts import asked_to_stop, unbroken
from siamese_jax.learning.batches import steps_per_epoch
from siamese_jax.learning.optimizers import kept_params
from siamese_jax.network.siamese import Params
from siamese_jax.records import Images
from siamese_jax.specs import Experiment
from siamese_jax.storage.checkpoint import Checkpoints, restore
from siamese_jax.storage.log import MetricsLog, Progress
from siamese_jax.training.listeners import (
    Display,
    Health,
    History,
    Kept,
    Listener,
    LogLines,
    Record,
    Saving,
    Validation,
)
from siamese_jax.training.loop import make_steps
from siamese_jax.training.programs import (
    compile_examine,
    compile_start,
    compile_update,
    copied,
    inputs_of,
    start_state,
    state_of,
)


class Fitted(NamedTuple):
    """The best epoch's parameters, the step that training is at, and its history."""

    params: Params
    step: int
    history: History


def fit(
    experiment: Experiment,
    images: Images,
    validate: Callable[[Params], float],
    checkpoints: Checkpoints,
    listeners: Sequence[Listener] = (),
    if_slow: str = "",
    start: Params | None = None,
) -> Fitted:
    """Train until `max_epochs`, or until `patience` epochs brought no gain. Continue from the newest checkpoint.

    Metrics are written beside the checkpoints. After a resume, lines may average over other steps, but each step is
    logged exactly once.

    Args:
      experiment: what to train.
      images: the training images.
      validate: parameters to the one-shot accuracy, in [0, 1], that decides which epoch is best.
      checkpoints: the open checkpoints of the workdir.
      listeners: called at each pause, after the run's own.
      if_slow: a hint, printed once if a run on a CPU will take more than an hour.
      start: the parameters to start from, for fine-tuning; None samples them.

    Returns:
      The best epoch's parameters, with the step and the history.

    Raises:
      Stopped: after a signal (see `interrupts.SIGNALS`), when the state has been saved.
      interrupts.Interrupted: after a signal before the first step, or after the last one.
      UserError: the loss is not finite, or the disk is full.
    """
    restored = checkpoints.restore(template(experiment))
    with asked_to_stop() as asked:
        if restored is None:
            state = compile_start(experiment, images)() if start is None else state_of(experiment, start)
            begun, history = Kept(state, copied(kept_params(state.params, state.opt_state))), History()
        else:
            begun, history = restored.state, History(**restored.meta["history"])
        asked.check()
        here = environment()
        step, per_epoch, record = (
            int(begun.state.step),
            steps_per_epoch(experiment),
            Record(experiment, history, begun.best),
        )
        with (
            MetricsLog(checkpoints.workdir, None if restored is None else restored.step) as log,
            Progress(per_epoch * experiment.max_epochs, experiment.max_epochs) as progress,
        ):
            update, look = compile_update(experiment, images), compile_examine(experiment, images)
            health = Health(experiment, record, log, lambda state: look(state, update), progress.note)
            display = Display(experiment, record, progress, if_slow)
            saving = Saving(experiment, record, health, checkpoints, asked, here)
            lines = LogLines(experiment, record, log, checkpoints)
            validation = Validation(experiment, validate, record, log, health, display, checkpoints)
            if restored is None:
                health.at_the_start(begun.state)
            asked.check()  # as above: after a compile, and before there is something to save

            def wants_pause(step: int) -> bool:
                return step % per_epoch % experiment.log_steps == 0 or saving.due

            if history.stopped_by(experiment) == "not finished":
                if differing := restored and differences(restored.meta.get("environment", {}), here):
                    progress.note(f"Bits will differ from those of a run that was never stopped: {differing}.")
                for pause in make_steps(
                    update, begun.state, step, per_epoch, wants_pause, display.on_step, record.loss
                ):
                    for listen in (lines, display, validation):
                        listen(pause)
                    with unbroken():
                        saving(pause)
                    for listen in listeners:
                        listen(pause)
                    step = pause.step
                    if history.stopped_by(experiment) != "not finished":
                        break
    return Fitted(record.best, step, history)


def read_fitted(experiment: Experiment, workdir: str | os.PathLike) -> Fitted | None:
    """Return what the newest checkpoint of a workdir holds, without a change there; None where there is none."""
    restored = restore(workdir, template(experiment))
    return restored and Fitted(restored.state.best, restored.step, History(**restored.meta["history"]))


def template(experiment: Experiment) -> Kept:
    """Return the shapes of what a checkpoint stores."""
    shape = experiment.data.image_shape
    state = jax.eval_shape(functools.partial(start_state, experiment, shape), **inputs_of(experiment))
    return Kept(state, state.params)
