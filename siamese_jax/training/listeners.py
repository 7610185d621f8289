"""Who listens to the training of a run: the log, validation, health, checkpoints, the display. Each acts at a pause."""

import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from siamese_jax.errors import Stopped, UserError
from siamese_jax.learning.batches import pairs_per_step, steps_per_epoch
from siamese_jax.learning.health import at_the_start, diagnosis
from siamese_jax.learning.optimizers import kept_params, rates
from siamese_jax.learning.optimizers.adamw import rate_at
from siamese_jax.learning.steps import Metrics
from siamese_jax.network.siamese import Params
from siamese_jax.records import TrainState
from siamese_jax.results import Ending, Environment, to_json
from siamese_jax.specs import AdamW, Experiment
from siamese_jax.storage.checkpoint import Checkpoints
from siamese_jax.storage.log import MetricsLog, Progress
from siamese_jax.training.loop import Pause
from siamese_jax.training.programs import all_finite, copied

Listener = Callable[[Pause], Any]

HOUR = 3600.0
SETTLED = 3
"""Steps after which the speed is worth an estimate."""


@dataclasses.dataclass
class History:
    """What has happened so far, over all sessions. It is kept with each checkpoint.

    Attributes:
      epochs: epochs that have ended.
      best_epoch: the epoch with the highest validation accuracy, from 1; 0 is the start.
      best_accuracy: its one-shot accuracy on validation trials, in [0, 1].
      seconds: wall-clock time, with validation, compilation and checkpoints (except the last of each session).
      timed_pairs: pairs trained in steps that did not compile.
      timed_seconds: wall-clock time of these steps.
    """

    epochs: int = 0
    best_epoch: int = 0
    best_accuracy: float = 0.0
    seconds: float = 0.0
    timed_pairs: int = 0
    timed_seconds: float = 0.0

    def stopped_by(self, experiment: Experiment) -> Ending:
        """Return why training ended."""
        if self.epochs >= experiment.max_epochs:
            return "max_epochs"
        return "patience" if self.epochs - self.best_epoch >= experiment.patience else "not finished"

    @property
    def pairs_per_second(self) -> float:
        """Training speed; NaN before it is known."""
        return self.timed_pairs / self.timed_seconds if self.timed_seconds else float("nan")


class Kept(NamedTuple):
    """What a checkpoint stores: the state, and the parameters of the best epoch."""

    state: TrainState
    best: Params


class Record:
    """What the listeners of one run share: its history, the best parameters, and the means over the current epoch."""

    def __init__(self, experiment: Experiment, history: History, best: Params):
        self.history, self.best = history, best
        self.loss = experiment.loss.name
        self.start_epoch()

    def start_epoch(self) -> None:
        """Forget the means of the epoch that has ended."""
        self.steps, self._sums = 0, dict.fromkeys((self.loss, "guessing"), 0.0)

    def add(self, rows: Sequence[Metrics]) -> None:
        """Count the metrics of steps towards the means of their epoch."""
        self.steps += len(rows)
        for name in self._sums.keys() & rows[0].keys():
            self._sums[name] += sum(float(row[name]) for row in rows)

    @property
    def means(self) -> dict[str, float]:
        """The loss, and for `n_way` the loss of guessing, over the steps of this epoch in this session."""
        return {name: total / self.steps for name, total in self._sums.items() if total}


class LogLines:
    """Writes one line of metrics at each pause. Raises UserError where a loss is not finite, after the good steps."""

    def __init__(self, experiment: Experiment, record: Record, log: MetricsLog, checkpoints: Checkpoints):
        self._experiment, self._record, self._log, self._checkpoints = experiment, record, log, checkpoints
        self._pairs = pairs_per_step(experiment)

    def __call__(self, pause: Pause) -> None:
        loss = self._record.loss
        rows = list(itertools.takewhile(lambda row: np.isfinite(row[loss]), pause.metrics))
        first = pause.step - len(pause.metrics)
        if rows:
            rate = math.nan
            if pause.compiled:
                self._record.history.timed_pairs += len(rows) * self._pairs
                self._record.history.timed_seconds += pause.seconds
                rate = len(rows) * self._pairs / pause.seconds
            self._record.add(rows)
            means = {name: float(np.mean([float(row[name]) for row in rows])) for name in rows[0]}
            self._log.write(first + len(rows), pause.epoch, **means, pairs_per_second=rate)
        if len(rows) < len(pause.metrics):
            raise diverged(self._experiment, first + len(rows) + 1, self._checkpoints.latest)


class Health:
    """Looks at the network, writes what it finds to the log, and says what is wrong."""

    def __init__(
        self,
        experiment: Experiment,
        record: Record,
        log: MetricsLog,
        examine: Callable[[TrainState], dict[str, Any]],
        note: Callable[[str], None],
    ):
        self._experiment, self._record, self._log, self._examine = experiment, record, log, examine
        self._note, self._noted = note, False
        self._total = steps_per_epoch(experiment) * experiment.max_epochs

    def examine(self, state: TrainState, step: int) -> dict[str, float]:
        """Return the health of the parameters, and the relative sizes of the update that would come next."""
        found = {name: float(value) for name, value in jax.device_get(self._examine(state)).items()}
        spec = self._experiment.optimizer
        if isinstance(spec, AdamW) and spec.over_all_epochs:
            found["next_rate"] = float(rate_at(spec, self._total, step))
        return found

    def at_the_start(self, state: TrainState) -> None:
        """Look before the first step."""
        health = self.examine(state, 0)
        self._log.write(0, 1, **health)
        if sentence := at_the_start(self._experiment, health):
            self._note(sentence)

    def within_an_epoch(self, pause: Pause) -> None:
        """Look within an epoch, which may take hours; say what is wrong once an epoch."""
        health = self.examine(pause.state, pause.step)
        self._log.write(pause.step, pause.epoch, **health)
        if not self._noted:
            self._noted = self._diagnose(health)

    def at_an_epochs_end(self, health: dict[str, float]) -> None:
        """Say what is wrong after an epoch."""
        self._diagnose(health)
        self._noted = False

    def _diagnose(self, health: dict[str, float]) -> bool:
        means = self._record.means
        sentence = diagnosis(self._experiment, means.get(self._record.loss, 0.0), health, [means])
        if sentence:
            self._note(sentence)
        return bool(sentence)


class Display:
    """Shows the speed, the loss and the time left; with each step, and at the end of each epoch."""

    def __init__(self, experiment: Experiment, record: Record, progress: Progress, if_slow: str):
        self._record, self._progress = record, progress
        self._per_epoch, self._pairs = steps_per_epoch(experiment), pairs_per_step(experiment)
        self._total = self._per_epoch * experiment.max_epochs
        self._timed, self._seconds = 0, 0.0
        self._compiled, self._since, self._began = False, 0, None
        self._if_slow = if_slow if jax.default_backend() == "cpu" else ""

    def on_step(self, step: int, metrics: Metrics) -> None:
        """Move the bar. The speed is that of this session so far."""
        steps, seconds, now = self._timed, self._seconds, time.monotonic()
        if self._began is None:
            self._began = now
        elif self._compiled:
            self._since += 1
            steps, seconds = steps + self._since, seconds + now - self._began
        rate = steps * self._pairs / seconds if seconds else math.nan
        left = self.seconds_left(step, rate)
        epoch = (step - 1) // self._per_epoch + 1
        self._progress.step(step, epoch, rate, float(metrics[self._record.loss]), left)
        if self._if_slow and steps >= SETTLED and left > HOUR:
            hours = f"{left / HOUR:,.0f} hours"
            self._progress.note(f"At this speed the last epoch would end in about {hours}. {self._if_slow}")
            self._if_slow = ""

    def __call__(self, pause: Pause) -> None:
        if pause.compiled:
            self._timed, self._seconds = self._timed + len(pause.metrics), self._seconds + pause.seconds
        self._compiled, self._since, self._began = True, 0, None

    def epoch(self, pause: Pause, accuracy: float) -> None:
        """Print the line of an epoch."""
        rate = self._record.history.pairs_per_second
        loss = self._record.means.get(self._record.loss, 0.0)
        self._progress.epoch(pause.epoch, loss, accuracy, rate, self.seconds_left(pause.step, rate))

    def note(self, text: str) -> None:
        """Print one line."""
        self._progress.note(text)

    def seconds_left(self, step: int, pairs_per_second: float) -> float:
        """Return the time that the steps after `step` would take at this speed; NaN where it is not known."""
        return (self._total - step) * self._pairs / pairs_per_second


class Validation:
    """Validates at the end of each epoch, and keeps the parameters that are the best so far."""

    def __init__(
        self,
        experiment: Experiment,
        validate: Callable[[Params], float],
        record: Record,
        log: MetricsLog,
        health: Health,
        display: Display,
        checkpoints: Checkpoints,
    ):
        self._experiment, self._validate, self._record = experiment, validate, record
        self._log, self._health, self._display, self._checkpoints = log, health, display, checkpoints

    def __call__(self, pause: Pause) -> None:
        if not pause.epoch_ended:
            return
        if not all_finite(pause.state.params):
            raise diverged(self._experiment, pause.step, self._checkpoints.latest)
        params = kept_params(pause.state.params, pause.state.opt_state)
        accuracy, record, history = self._validate(params), self._record, self._record.history
        history.epochs = pause.epoch
        if not 0 <= accuracy <= 1:
            self._display.note(
                f"Epoch {pause.epoch}: the validation accuracy is {accuracy}, which is not a number from 0 to 1. All "
                "parameters are finite, so the function that validates is wrong; this epoch cannot be the best one."
            )
            accuracy = math.nan
        if accuracy > history.best_accuracy:
            history.best_epoch, history.best_accuracy, record.best = pause.epoch, accuracy, copied(params)
        at_its_end = rates(self._experiment, pause.epoch - 1, steps_per_epoch(self._experiment))
        health = self._health.examine(pause.state, pause.step)
        self._log.write(pause.step, pause.epoch, validation_one_shot=accuracy, **at_its_end, **health)
        self._display.epoch(pause, accuracy)
        self._health.at_an_epochs_end(health)
        record.start_epoch()


class Saving:
    """Saves at the end of each epoch, and when the last checkpoint is old; raises Stopped where it is asked to."""

    def __init__(
        self,
        experiment: Experiment,
        record: Record,
        health: Health,
        checkpoints: Checkpoints,
        asked: list,
        here: Environment,
    ):
        self._experiment, self._record, self._health = experiment, record, health
        self._checkpoints, self._asked, self._here = checkpoints, asked, to_json(here)
        self._saved_at = self._counted_to = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether a checkpoint is to be made within an epoch."""
        old = time.monotonic() - self._saved_at > 60 * self._experiment.checkpoint_minutes
        return old or bool(self._asked)

    def __call__(self, pause: Pause) -> None:
        if pause.epoch_ended or self.due:
            if not all_finite(pause.state.params):
                raise diverged(self._experiment, pause.step, self._checkpoints.latest)
            now, history = time.monotonic(), self._record.history
            history.seconds += now - self._counted_to
            self._counted_to = now
            kept = Kept(pause.state, self._record.best)
            meta = {"history": dataclasses.asdict(history), "environment": self._here}
            self._checkpoints.save(pause.step, kept, meta)
            self._saved_at = time.monotonic()
            if not pause.epoch_ended and not self._asked:
                self._health.within_an_epoch(pause)
        if self._asked:
            raise Stopped(self._asked[0], pause.step)


def diverged(experiment: Experiment, step: int, last_good: int | None) -> UserError:
    """Return the error for a loss or parameters that are not finite at `step`."""
    kept = "there is no checkpoint yet" if last_good is None else f"the last good checkpoint is step {last_good}"
    field = "optimizer.rate" if experiment.optimizer.name == "adamw" else "optimizer.layers.LAYER.learning_rate"
    return UserError(
        f"the loss is not finite at step {step} (epoch {(step - 1) // steps_per_epoch(experiment) + 1}): training has "
        f"diverged; {kept}. Lower the learning rates (--{field}) and start with a new --workdir"
    )
