"""A worker of a search: it asks the study for candidates, trains them, and records what they reached.

Optuna calls a candidate a trial; so do the flags of the command.
"""

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

from optuna.trial import Trial

from siamese_jax.devices import is_out_of_memory
from siamese_jax.errors import UserError
from siamese_jax.search.candidates import Ended, Sets, problem, train
from siamese_jax.search.plan import Plan
from siamese_jax.search.storage import wait
from siamese_jax.search.study import Study
from siamese_jax.specs import DataSpec, Experiment
from siamese_jax.training.programs import Programs, shape_of
from siamese_jax.training.sizes import sized

LoadSets = Callable[[DataSpec], Sets]
"""Loads only the training and validation images of a spec."""
Say = Callable[[str], None]

KEPT_PROGRAMS = 12
"""Programs of the last shapes that are kept: each one holds weights and embeddings."""


def load_once(load: LoadSets) -> LoadSets:
    """Return `load` with a memory: two specs that give the same pixels share their images."""
    kept: dict[tuple[Any, ...], Sets] = {}

    def sets_of(spec: DataSpec) -> Sets:
        if spec.source not in kept:
            kept[spec.source] = load(spec)
        return kept[spec.source]

    return sets_of


def check_base(plan: Plan, load: LoadSets) -> None:
    """Raise UserError where the base experiment cannot be trained, before a study is made for it."""
    sets = load(plan.base.data)
    if reason := problem(_sized(plan.trial_base, sets), sets):
        raise UserError(reason)


def _sized(experiment: Experiment, sets: Sets) -> Experiment:
    """Return the experiment sized to its images; a search does not read the test images, so these do not count."""
    return sized(experiment, {**sets, "test": sets["validation"]})


def work(plan: Plan, study: Study, load: LoadSets, say: Say) -> None:
    """Train candidates until the study has as many as the plan asks for, with those of workers that died.

    A candidate that fails is recorded with its reason. When the worker is stopped, its candidates go back to the study.

    Args:
      plan: what is searched, and how.
      study: the record that all workers share, opened.
      load: returns the images of a data spec. It is called for every candidate: see `load_once`.
      say: called with each line of progress.
    """
    worker, waiting = _Worker(plan, study, load, say), False
    while not study.done:
        if worker.run_next():
            waiting = False
        else:
            if not waiting:
                say("waiting for the candidates of other workers")
            waiting = True
            wait()


class _Worker:
    """What a worker keeps from candidate to candidate: compiled programs, and the candidates under way."""

    def __init__(self, plan: Plan, study: Study, load: LoadSets, say: Say):
        self._plan, self._study, self._load, self._say = plan, study, load, say
        self._programs = Programs(most=KEPT_PROGRAMS)
        self._at: dict[int, Trial] = {}

    def run_next(self) -> bool:
        """Ask for candidates and train them; return whether there were any."""
        asked = self._study.ask(self._plan.population)
        self._at = {trial.number: trial for trial in asked}
        try:
            for group in self._groups(asked):
                self._run(group)
        except KeyboardInterrupt:
            self._study.give_back(list(self._at.values()))
            raise
        except BaseException:
            self._study.give_back(list(self._at.values()), died=True)
            raise
        return bool(asked)

    def _groups(self, asked: Sequence[Trial]) -> list[list[tuple[Trial, Experiment]]]:
        """Return the candidates that can be trained, grouped by equal shape; end those that cannot."""
        runnable = []
        for trial in asked:
            try:
                experiment = self._plan.experiment(trial.params)
                sets = self._load(experiment.data)
                experiment = _sized(experiment, sets)
                reason = problem(experiment, sets)
            except UserError as mistake:
                reason = str(mistake)
            if reason:
                self._end(trial, Ended(reason=reason))
            else:
                runnable.append((trial, experiment))

        def shape(one: tuple[Trial, Experiment]) -> Any:
            return shape_of(one[1], self._load(one[1].data)["train"])

        # Sorted by their text: shapes of different kinds have no order.
        ordered = sorted(runnable, key=lambda one: repr(shape(one)))
        return [list(group) for _, group in itertools.groupby(ordered, shape)]

    def _run(self, group: Sequence[tuple[Trial, Experiment]]) -> None:
        ended = self._train(group)
        if ended is None and len(group) > 1:  # candidates that do not fit together may fit one by one
            for one in group:
                self._run([one])
            return
        for index, (trial, _) in enumerate(group):
            self._end(trial, ended[index] if ended else Ended(reason="out of memory"))

    def _train(self, group: Sequence[tuple[Trial, Experiment]]) -> list[Ended] | None:
        """Return how the candidates of a group ended; None where they do not fit into memory."""
        trials, experiments = zip(*group, strict=True)
        best, began = [0.0] * len(trials), time.monotonic()

        def note_all(name: str, value: float) -> None:
            for trial in trials:
                self._study.note(trial, name, value)

        def seconds() -> float:
            return round(time.monotonic() - began, 2)

        def goes_on(index: int, epoch: int, accuracy: float) -> bool:
            self._say(f"candidate {trials[index].number}: epoch {epoch}, one-shot {accuracy:.1%}")
            best[index] = max(best[index], accuracy)
            return self._study.report(trials[index], epoch, best[index])

        def started() -> None:
            note_all("seconds_to_first_step", seconds())

        try:
            images = self._load(experiments[0].data)
            ended = train(experiments, images, self._programs, goes_on, started, self._plan.trial_minutes)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            ended = None  # the arrays that the traceback holds are freed with the error
        note_all("seconds", seconds())
        note_all("together", len(group))
        return ended

    def _end(self, trial: Trial, how: Ended) -> None:
        params = trial.params.items()
        if how.reason:
            self._study.fail(trial, how.reason)
        elif how.pruned:
            self._study.prune(trial)
        else:
            self._study.complete(trial, how.accuracy)
        del self._at[trial.number]
        word = f"failed: {how.reason}" if how.reason else f"{how.accuracy:.1%}{', pruned' if how.pruned else ''}"
        values = (f"{field}={value:.4g}" if isinstance(value, float) else f"{field}={value}" for field, value in params)
        self._say(f"candidate {trial.number} ended: {word}; {', '.join(values)}")
