"""Training, from the start or the newest checkpoint: where steps, clock, metrics and checkpoints meet.

All that a step depends on is (experiment, state): a run that was stopped, by whatever means, ends with the same bits.
"""

import contextlib
import dataclasses
import functools
import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from siamese_jax.errors import UserError
from siamese_jax.learning.batches import pairs_per_step, steps_per_epoch
from siamese_jax.learning.health import at_the_start, diagnosis
from siamese_jax.learning.optimizers import adamw_rate, kept_params, rates
from siamese_jax.network.siamese import Params
from siamese_jax.records import Alphabets, TrainState
from siamese_jax.sampling import splits
from siamese_jax.sampling.grids import check_grid
from siamese_jax.sampling.pairs import check_pair_count
from siamese_jax.specs import Experiment
from siamese_jax.storage.checkpoint import Checkpoints, restore
from siamese_jax.storage.log import MetricsLog, Progress
from siamese_jax.training.programs import (
    all_finite,
    compile_examine,
    compile_start,
    compile_update,
    copied,
    inputs_of,
    start_state,
)

HOUR = 3600.0
SETTLED = 3
"""Steps after which the rate is worth an estimate."""


@dataclasses.dataclass
class History:
    """What has happened so far, over all sessions; kept with each checkpoint. Epochs count from 1; 0 is the start."""

    epochs: int = 0
    best_epoch: int = 0
    best_accuracy: float = 0.0
    seconds: float = 0.0
    """Of training, validation, compilation and all checkpoints but the last of each session."""
    timed_pairs: int = 0
    timed_seconds: float = 0.0
    """Pairs trained on, and the seconds that took, but for the step of each session that compiles."""

    def stopped_by(self, experiment: Experiment) -> str:
        """Returns "max_epochs", "patience", or "not finished"."""
        if self.epochs >= experiment.max_epochs:
            return "max_epochs"
        return "patience" if self.epochs - self.best_epoch >= experiment.patience else "not finished"

    @property
    def pairs_per_second(self) -> float:
        """Training speed; NaN before it is known."""
        return self.timed_pairs / self.timed_seconds if self.timed_seconds else float("nan")


class Fitted(NamedTuple):
    """The best epoch's parameters, the step that training is at, and its history."""

    params: Params
    step: int
    history: History


class Stopped(Exception):
    """Training was asked to stop, by SIGINT or SIGTERM, and has saved where it is."""

    def __init__(self, signal_number: int, step: int):
        super().__init__(f"stopped at step {step}, saved")
        self.signal_number = signal_number


class _Kept(NamedTuple):
    """What a checkpoint stores."""

    state: TrainState
    best: Params


def check_training(experiment: Experiment, train: Alphabets) -> None:
    """Raises UserError, before the first step, for anything that training would stumble over."""
    if experiment.loss.of_grids:
        check_grid(experiment.data, splits.layout(train))
    else:
        check_pair_count(experiment.data.train_pairs, len(train.names), "train_pairs")
    steps_per_epoch(experiment)
    _template(experiment, train.images.shape[1])


def read_fitted(experiment: Experiment, side: int, workdir: str | os.PathLike) -> Fitted | None:
    """Returns what the newest checkpoint of a workdir holds, changing nothing there; None where there is none."""
    restored = restore(workdir, _template(experiment, side))
    return restored and Fitted(restored.state.best, restored.step, History(**restored.meta["history"]))


def fit(
    experiment: Experiment,
    train: Alphabets,
    validate: Callable[[Params], float],
    checkpoints: Checkpoints,
    if_slow: str = "",
) -> Fitted:
    """Trains until `max_epochs`, or until `patience` epochs brought no gain; goes on from the newest checkpoint.

    `validate` returns the one-shot accuracy that decides which epoch is best. `if_slow` is said once when the estimate
    passes an hour on a CPU. Metrics are written beside the checkpoints; where a session was stopped they are grouped
    otherwise, but no step is missing or twice. Raises Stopped on SIGINT or SIGTERM, after saving; UserError when the
    loss is not finite or the disk is full.
    """
    restored = checkpoints.restore(_template(experiment, train.images.shape[1]))
    if restored is None:
        state = compile_start(experiment, train)()
        begun, history = _Kept(state, copied(kept_params(state.params, state.opt_state))), History()
    else:
        begun, history = restored.state, History(**restored.meta["history"])
    total_steps = steps_per_epoch(experiment) * experiment.max_epochs
    with (
        MetricsLog(checkpoints.workdir, None if restored is None else restored.step) as log,
        Progress(total_steps, experiment.max_epochs) as progress,
        _asked_to_stop() as asked,
    ):
        session = _Session(experiment, train, begun, history, _Doors(checkpoints, log, progress, asked), if_slow)
        if restored is None:
            session.look()
        while history.stopped_by(experiment) == "not finished":
            session.train_a_while()
            if session.step % session.steps_per_epoch == 0:
                session.end_epoch(validate)
            session.save_if_due()
        return Fitted(session.best, session.step, history)


class _Doors(NamedTuple):
    """Where a session reaches the world: what it writes to, and who may ask it to stop."""

    checkpoints: Checkpoints
    log: MetricsLog
    progress: Progress
    asked: list[int]


class _Session:
    """One process's part of the training: all that changes from step to step, and where it is written."""

    def __init__(
        self, experiment: Experiment, train: Alphabets, begun: _Kept, history: History, doors: _Doors, if_slow: str
    ):
        self.experiment, self.history = experiment, history
        self._loss = experiment.loss.name
        self.steps_per_epoch, self._pairs = steps_per_epoch(experiment), pairs_per_step(experiment)
        self.state, self.best = begun
        self.step = int(self.state.step)
        self._doors = doors
        self._update, self._examine = compile_update(experiment, train), compile_examine(experiment, train)
        self._compiled = False
        self._steps, self._seconds = 0, 0.0  # of this session, since it compiled
        self._if_slow = if_slow if jax.default_backend() == "cpu" else ""
        self._saved_at = self._counted_to = time.monotonic()
        self._epoch_steps, self._epoch_sums = 0, dict.fromkeys((self._loss, "guessing"), 0.0)
        self._noted = False  # within this epoch, that it sits at chance

    @property
    def epoch(self) -> int:
        """The epoch that the last step was of, from 1."""
        return max(self.step - 1, 0) // self.steps_per_epoch + 1

    def train_a_while(self) -> None:
        """Makes the steps of one line of metrics: to a multiple of log_steps, the epoch's end, or a request to stop."""
        began, rows, pending = time.monotonic(), [], None
        try:
            while True:
                self.state, metrics = self._update(self.state)
                self.step += 1
                if pending is not None:  # fetched one step late, so that the device never waits for the host
                    rows.append(self._fetched(pending, self.step - 1))
                    self._show(rows[-1][self._loss], len(rows), time.monotonic() - began)
                pending = metrics
                in_epoch = self.step % self.steps_per_epoch
                if (
                    in_epoch == 0
                    or in_epoch % self.experiment.log_steps == 0
                    or not self._compiled
                    or self._must_save()
                ):
                    break
            rows.append(self._fetched(pending, self.step))
        finally:
            if rows:  # even if the next one has diverged
                self._count(rows, time.monotonic() - began)
        self._show(rows[-1][self._loss], 0, 0.0)

    def _count(self, rows: list[dict[str, float]], seconds: float) -> None:
        """Counts what has been trained, and writes a line: the means over `rows`, and the rate (NaN when compiling)."""
        rate = math.nan
        if self._compiled:
            self._steps, self._seconds = self._steps + len(rows), self._seconds + seconds
            self.history.timed_pairs += len(rows) * self._pairs
            self.history.timed_seconds += seconds
            rate = len(rows) * self._pairs / seconds
        self._compiled = True
        self._epoch_steps += len(rows)
        for name in self._epoch_sums.keys() & rows[0].keys():
            self._epoch_sums[name] += sum(row[name] for row in rows)
        means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        self._doors.log.write(self.step, self.epoch, **means, pairs_per_second=rate)

    def examine(self) -> dict[str, float]:
        """Returns the health of the parameters, and the sizes of the update that would be made next, with its rate."""
        found = {name: float(value) for name, value in jax.device_get(self._examine(self.state, self._update)).items()}
        spec, total = self.experiment.optimizer, self.steps_per_epoch * self.experiment.max_epochs
        return found | ({"next_rate": float(adamw_rate(spec, total, self.step))} if spec.over_all_epochs else {})

    def look(self) -> None:
        """Writes the health of the parameters, and says what is wrong: before the first step, and within an epoch."""
        health = self.examine()
        self._doors.log.write(self.step, self.epoch, **health)
        if self.step == 0:
            self._note(at_the_start(self.experiment, health))
        elif not self._noted:  # once will do
            self._noted = self._note(self._diagnosis(health))

    def _diagnosis(self, health: dict[str, float]) -> str:
        means = {name: total / self._epoch_steps for name, total in self._epoch_sums.items() if total}
        return diagnosis(self.experiment, means.get(self._loss, 0.0), health, [means])

    def _note(self, sentence: str) -> bool:
        if sentence:
            self._doors.progress.note(sentence)
        return bool(sentence)

    def end_epoch(self, validate: Callable[[Params], float]) -> None:
        """Validates, and keeps the parameters if they are the best so far."""
        self._check_finite()
        params = kept_params(self.state.params, self.state.opt_state)
        accuracy = validate(params)
        history, epoch = self.history, self.epoch
        history.epochs = epoch
        if accuracy > history.best_accuracy:
            history.best_epoch, history.best_accuracy, self.best = epoch, accuracy, copied(params)
        spec, epochs = self.experiment.optimizer, self.experiment.max_epochs
        at_its_end = rates(spec, epoch - 1, self.steps_per_epoch, epochs)
        health = self.examine()
        self._doors.log.write(self.step, epoch, validation_one_shot=accuracy, **at_its_end, **health)
        loss, rate = self._epoch_sums[self._loss] / self._epoch_steps, history.pairs_per_second
        self._doors.progress.epoch(epoch, loss, accuracy, rate, self._seconds_left(rate))
        self._note(self._diagnosis(health))
        self._epoch_steps, self._epoch_sums = 0, dict.fromkeys(self._epoch_sums, 0.0)
        self._noted = False

    def save_if_due(self) -> None:
        """Saves at an epoch's end, and when the last checkpoint is old; if asked to stop, saves and raises Stopped.

        Within an epoch, which may take hours, it also looks at the network.
        """
        if self.step % self.steps_per_epoch == 0 or self._must_save():
            self._check_finite()
            now = time.monotonic()
            self.history.seconds += now - self._counted_to
            self._counted_to = now
            kept = _Kept(self.state, self.best)
            self._doors.checkpoints.save(self.step, kept, {"history": dataclasses.asdict(self.history)})
            self._saved_at = time.monotonic()
            if self.step % self.steps_per_epoch and not self._doors.asked:
                self.look()
        if self._doors.asked:
            raise Stopped(self._doors.asked[0], self.step)

    def _must_save(self) -> bool:
        old = time.monotonic() - self._saved_at > 60 * self.experiment.checkpoint_minutes
        return old or bool(self._doors.asked)

    def _fetched(self, metrics: dict[str, Any], step: int) -> dict[str, float]:
        values = {name: float(value) for name, value in jax.device_get(metrics).items()}
        if not np.isfinite(values[self._loss]):
            raise self._diverged(step)
        return values

    def _check_finite(self) -> None:
        if not all_finite(self.state.params):
            raise self._diverged(self.step)

    def _diverged(self, step: int) -> UserError:
        good = self._doors.checkpoints.latest
        kept = "there is no checkpoint yet" if good is None else f"the last good checkpoint is step {good}"
        field = (
            "optimizer.rate" if self.experiment.optimizer.name == "adamw" else "optimizer.layers.LAYER.learning_rate"
        )
        return UserError(
            f"the loss is not finite at step {step} (epoch {(step - 1) // self.steps_per_epoch + 1}): training has "
            f"diverged; {kept}. Lower the learning rates (--{field}) and start with a new --workdir"
        )

    def _show(self, loss: float, more_steps: int, more_seconds: float) -> None:
        """Moves the bar; the rate is that of the session so far, with steps that are not counted yet."""
        steps, seconds = self._steps + more_steps, self._seconds + more_seconds
        rate = steps * self._pairs / seconds if seconds else math.nan
        left = self._seconds_left(rate)
        self._doors.progress.step(self.step, self.epoch, rate, loss, left)
        if self._if_slow and steps >= SETTLED and left > HOUR:
            hours = f"{left / HOUR:,.0f} hours"
            self._doors.progress.note(f"At this rate the last epoch would end in about {hours}. {self._if_slow}")
            self._if_slow = ""

    def _seconds_left(self, pairs_per_second: float) -> float:
        steps = self.steps_per_epoch * self.experiment.max_epochs - self.step
        return steps * self._pairs / pairs_per_second


def _template(experiment: Experiment, side: int) -> _Kept:
    """Returns the shapes of what a checkpoint stores."""
    state = jax.eval_shape(functools.partial(start_state, experiment, side), **inputs_of(experiment))
    return _Kept(state, state.params)


@contextlib.contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """Yields a list that SIGINT or SIGTERM puts its number into; a second one interrupts at once, without saving."""
    asked: list[int] = []

    def ask(number: int, _: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
