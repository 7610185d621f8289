"""A worker: asks the study for trials, trains them, tells what came out, until as many are done as were asked for."""

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

from optuna.trial import Trial

from siamese_jax.programs import Programs, shape_of
from siamese_jax.specs import DataSpec, Experiment, UserError
from siamese_jax.sweep.plan import Plan
from siamese_jax.sweep.study import Study, wait
from siamese_jax.sweep.trial import Ended, Sets, problem, train

LoadSets = Callable[[DataSpec], Sets]
"""Loads the training and validation images of a spec, and nothing else."""
Say = Callable[[str], None]

OUT_OF_MEMORY = "RESOURCE_EXHAUSTED"
"""XLA's word for it; the class of the error is not in its interface."""


def work(plan: Plan, study: Study, load: LoadSets, say: Say) -> None:
    """Runs trials until the study has as many as the plan asks for, its own and those of workers that died.

    `load` gives the images of a data spec. A trial that fails is recorded with its reason. Whatever stops the worker,
    the trials that it was at are left to others.
    """
    programs, loaded = Programs(), {}

    def sets_of(spec: DataSpec) -> Sets:
        if spec not in loaded:
            loaded[spec] = load(spec)
        return loaded[spec]

    waiting = False
    while not study.done:
        asked = study.ask(plan.population)
        if not asked:
            if not waiting:
                say("waiting for the trials of other workers")
            waiting = True
            wait()
            continue
        waiting, left = False, {trial.number: trial for trial in asked}
        try:
            for group in _groups(plan, study, asked, sets_of, left, say):
                _run(plan, study, group, sets_of, programs, left, say)
        finally:  # also when interrupted
            study.give_back(list(left.values()))


def _groups(
    plan: Plan,
    study: Study,
    asked: Sequence[Trial],
    sets_of: LoadSets,
    left: dict[int, Trial],
    say: Say,
) -> list[list[tuple[Trial, Experiment]]]:
    """Returns the trials that can be run, those of equal shape together; ends those that cannot."""
    runnable = []
    for trial in asked:
        try:
            experiment = plan.experiment(trial.params)
            reason = problem(experiment, sets_of(experiment.data))
        except UserError as mistake:
            reason = str(mistake)
        if reason:
            _end(study, trial, Ended(reason=reason), left, say)
        else:
            runnable.append((trial, experiment))

    def shape(one: tuple[Trial, Experiment]) -> Any:
        return shape_of(one[1], sets_of(one[1].data)["train"])

    # Sorted by their text, since shapes of different kinds have no order.
    ordered = sorted(runnable, key=lambda one: repr(shape(one)))
    return [list(group) for _, group in itertools.groupby(ordered, shape)]


def _run(
    plan: Plan,
    study: Study,
    group: Sequence[tuple[Trial, Experiment]],
    sets_of: LoadSets,
    programs: Programs,
    left: dict[int, Trial],
    say: Say,
) -> None:
    trials, experiments = zip(*group, strict=True)
    began = time.monotonic()

    def seconds(name: str) -> None:
        for trial in trials:
            study.note(trial, name, round(time.monotonic() - began, 2))

    def goes_on(place: int, epoch: int, accuracy: float) -> bool:
        say(f"trial {trials[place].number}: epoch {epoch}, one-shot {accuracy:.1%}")
        return study.report(trials[place], epoch, accuracy)

    try:
        images = sets_of(experiments[0].data)
        ended = train(
            experiments, images, programs, goes_on, lambda: seconds("seconds_to_first_step"), plan.trial_minutes
        )
    except Exception as error:
        if OUT_OF_MEMORY not in str(error):
            raise
        ended = [Ended(reason="out of memory")] * len(trials)
    seconds("seconds")
    for trial, how in zip(trials, ended, strict=True):
        _end(study, trial, how, left, say)


def _end(study: Study, trial: Trial, how: Ended, left: dict[int, Trial], say: Say) -> None:
    del left[trial.number]
    params = trial.params.items()
    if how.reason:
        study.fail(trial, how.reason)
    elif how.pruned:
        study.prune(trial)
    else:
        study.complete(trial, how.accuracy)
    word = f"failed: {how.reason}" if how.reason else f"{how.accuracy:.1%}{', pruned' if how.pruned else ''}"
    values = (f"{field}={value:.4g}" if isinstance(value, float) else f"{field}={value}" for field, value in params)
    say(f"trial {trial.number} ended: {word}; {', '.join(values)}")
