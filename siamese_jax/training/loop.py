"""The one training loop: it makes steps, and pauses. Who needs a clock, a file or a pruner acts at the pauses.

A step depends on (experiment, state) alone. So a run that was stopped, by whatever means, ends with the same bits.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax

from siamese_jax.learning.steps import Metrics
from siamese_jax.records import TrainState
from siamese_jax.training.programs import Update


class Pause(NamedTuple):
    """Where training stands after some steps.

    Attributes:
      state: after the last step. The next step overwrites its buffers: copy what is kept.
      step: updates made so far.
      epoch: the epoch of the last step, counted from 1.
      epoch_ended: whether that step was the last of its epoch.
      metrics: of each step since the pause before, on the host, in order.
      seconds: wall-clock time of these steps.
      compiled: whether the update had been compiled before these steps.
    """

    state: TrainState
    step: int
    epoch: int
    epoch_ended: bool
    metrics: Sequence[Metrics]
    seconds: float
    compiled: bool


OnStep = Callable[[int, Metrics], Any]
"""Called with each step's number, counted from 1, and its metrics on the host: one step late."""


def make_steps(
    update: Update,
    state: TrainState,
    step: int,
    steps_per_epoch: int,
    wants_pause: Callable[[int], bool] = lambda step: False,
    on_step: OnStep = lambda step, metrics: None,
    loss: str | None = None,
) -> Iterator[Pause]:
    """Make steps without end. The caller stops by asking for no further pause.

    It pauses after the first step, which compiles the update; at the end of every epoch; and where it is asked to.
    Metrics are fetched one step late, so that the device never waits for the host.

    Args:
      update: the compiled update of `programs.compile_update`; several trials may be stacked in one.
      state: where to begin. Its buffers are overwritten.
      step: updates that `state` has had.
      steps_per_epoch: updates in an epoch.
      wants_pause: called with the number of each step that was made; True pauses there.
      on_step: called with the metrics of every step.
      loss: the metric that ends the steps early, at a pause, where it is not finite; None looks at none.

    Yields:
      A `Pause` after one or more steps.
    """
    compiled = False
    while True:
        began, fetched, pending = time.monotonic(), [], None
        while True:
            state, metrics = update(state)
            step += 1
            if pending is not None:
                fetched.append(jax.device_get(pending))
                on_step(step - 1, fetched[-1])
            pending = metrics
            diverged = loss is not None and fetched and not math.isfinite(fetched[-1][loss])
            if not compiled or step % steps_per_epoch == 0 or diverged or wants_pause(step):
                break
        fetched.append(jax.device_get(pending))
        on_step(step, fetched[-1])
        epoch, ended = (step - 1) // steps_per_epoch + 1, step % steps_per_epoch == 0
        yield Pause(state, step, epoch, ended, fetched, time.monotonic() - began, compiled)
        compiled = True
