"""The record of a search, an Optuna study, which all workers share. A candidate is one of its trials.

Optuna's own loop is replaced by `ask` and `tell`, so that one worker can train several candidates at once. Workers ask
under a lock, one after the other, so that all agree on what comes next and on who is dead.
"""

import contextlib
import uuid
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import fail_stale_trials
from optuna.trial import FrozenTrial, Trial, TrialState

from siamese_jax.errors import UserError
from siamese_jax.search.plan import Plan, described
from siamese_jax.search.space import Choices, Space, grid, point_of
from siamese_jax.search.storage import JOURNAL, Pulse, alive, insist, is_dead, locked, open_storage, quietly, reached

RETRIES = 3
"""How often a candidate is trained again after its worker died."""
CANDIDATES = "trials.csv"
"""All candidates of a study, for people; written whenever a worker ends."""
REASON, WORKER, DEATHS, BACK = "reason", "worker", "deaths", "given back"
"""Attributes of a trial: why it failed; its worker; how many workers died on it before; that its worker was stopped."""

NOTES = {
    REASON: str, WORKER: str, DEATHS: int, BACK: bool, "seconds": float | int, "seconds_to_first_step": float | int,
    "together": int,
}  # fmt: skip
"""The attributes of a trial that a search writes, and their kinds."""


class Study:
    """One worker's access to a study: `with Study(plan, folder, storage) as study:`.

    It opens the study of that name, or creates it. UserError where it cannot be reached, or belongs to another search.
    """

    def __init__(self, plan: Plan, folder: Path, storage: str | None = None):
        self.plan, self._folder, self._url = plan, folder, storage
        self.worker = uuid.uuid4().hex[:12]
        self._distributions = {space.field: distribution(space) for space in plan.spaces}

    def __enter__(self) -> "Study":
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with contextlib.ExitStack() as stack:
            stack.enter_context(reached(self._url))
            storage = open_storage(self._folder, self._url, begin_again)
            if self._url is None:
                stack.enter_context(alive(self._folder, self.worker))
            with self._one_by_one():
                self.study = optuna.create_study(
                    study_name=self.plan.name,
                    storage=storage,
                    sampler=Numbered(self.plan),
                    pruner=make_pruner(self.plan),
                    direction="maximize",
                    load_if_exists=True,
                )
                self._agree()
                check_candidates(self.study)
            self._pulse = stack.enter_context(Pulse(storage))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error) -> bool | None:
        return self._stack.__exit__(*error)

    def _one_by_one(self) -> contextlib.AbstractContextManager[None]:
        return locked(self._folder, self._url, self.plan.name)

    def _agree(self) -> None:
        """Write the plan, or compare it with the one that is written."""
        ours, written = described(self.plan), plan_of(self.study)
        if not written:
            if (self._folder / CANDIDATES).exists():
                raise UserError(
                    f"{self._folder} holds the {CANDIDATES} of an earlier search, whose record is not there: restore "
                    f"{JOURNAL if self._url is None else 'the database'}, or choose another --study"
                )
            self.study.set_user_attr("plan", ours)
            return
        for name in ours:
            if ours[name] != written.get(name):
                raise UserError(
                    f"the study {self.plan.name} belongs to a search with {name}={written.get(name)}, not "
                    f"{ours[name]}: choose another --study, or give the flags it was begun with"
                )

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials that count, in the order of their numbers: without those that wait or were started again."""
        kept = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
        return [trial for trial in self.study.get_trials(deepcopy=False) if trial.state in kept or reason_of(trial)]

    @property
    def done(self) -> bool:
        """Whether as many trials as the plan asks for have ended."""
        return sum(trial.state.is_finished() for trial in insist(lambda: self.trials)) >= self.plan.trials

    def ask(self, most: int) -> list[Trial]:
        """Return up to `most` trials to run next; none where other workers run all that are missing."""
        asked: list[Trial] = []
        insist(self._ask, most, asked)
        return asked

    def _ask(self, most: int, asked: list[Trial]) -> None:
        with self._one_by_one(), quietly():
            self._begin_dead_ones_again()
            while len(asked) < most and len(self.trials) < self.plan.trials:
                self._queue_next_point()
                trial = self.study.ask(self._distributions)
                self._pulse.add(trial)
                trial.set_user_attr(WORKER, self.worker)  # last: a running trial without a worker belongs to nobody
                asked.append(trial)

    def report(self, trial: Trial, epoch: int, best: float) -> bool:
        """Record the highest validation accuracy so far; return whether the trial is worth continuing."""
        try:
            insist(trial.report, best, epoch)
            return not insist(trial.should_prune)
        except UpdateFinishedTrialError:  # it was silent for too long, and was started again elsewhere
            return False

    def note(self, trial: Trial, name: str, value: Any) -> None:
        """Record an attribute of a trial, unless it was started again elsewhere."""
        with contextlib.suppress(UpdateFinishedTrialError):
            insist(trial.set_user_attr, name, value)

    def complete(self, trial: Trial, accuracy: float) -> None:
        """End a trial with its objective, the highest validation accuracy at any epoch."""
        self._tell(trial, accuracy)

    def prune(self, trial: Trial) -> None:
        """End a trial that is not worth continuing."""
        self._tell(trial, state=TrialState.PRUNED)

    def fail(self, trial: Trial, reason: str) -> None:
        """End a trial that could not be run. The search continues.

        For Optuna it counts as pruned: its sampler learns from pruned trials what to avoid, and ignores failed ones.
        """
        self.note(trial, REASON, reason)
        self._tell(trial, state=TrialState.PRUNED)

    def give_back(self, trials: Sequence[Trial], died: bool = False) -> None:
        """Return trials to the study, for whoever asks next; `died=True` counts this as a crash caused by the trial."""
        for trial in trials:
            if not died:
                self.note(trial, BACK, True)
            if self._tell(trial, state=TrialState.FAIL):
                begin_again(self.study, self._frozen(trial.number))

    def claims_winner(self, number: int, seed: int) -> bool:
        """Return whether this worker is the one that trains the winner, a trial's number, with a seed.

        It is the first worker that asks; with a journal file, the first live worker on this machine.
        """
        return insist(self._claim, f"worker of winner {number}, seed {seed}")

    def _claim(self, name: str) -> bool:
        with self._one_by_one():
            worker = self.study.user_attrs.get(name)
            if worker not in (None, self.worker) and not (self._url is None and is_dead(self._folder, worker)):
                return False
            self.study.set_user_attr(name, self.worker)
            return True

    def _tell(self, trial: Trial, accuracy: float | None = None, state: TrialState | None = None) -> bool:
        """End a trial; return whether it still belonged to this worker. After a long silence it belongs to another."""
        self._pulse.remove(trial)
        try:
            insist(self.study.tell, trial, accuracy, state=state)
        except (ValueError, UpdateFinishedTrialError):
            if not self._frozen(trial.number).state.is_finished():
                raise
            return False
        return True

    def _frozen(self, number: int) -> FrozenTrial:
        return next(trial for trial in self.study.get_trials() if trial.number == number)

    def _begin_dead_ones_again(self) -> None:
        if self._url is not None:
            fail_stale_trials(self.study)
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            worker = trial.user_attrs.get(WORKER)
            if worker is None or (self._url is None and is_dead(self._folder, worker)):
                self.study.tell(trial.number, state=TrialState.FAIL)
                begin_again(self.study, self._frozen(trial.number))

    def _queue_next_point(self) -> None:
        """Queue the next point that is given by the plan, if no trial has it yet.

        A grid gives all of its points. A Bayesian search gives the base itself, so that the sampler learns from values
        that are known to be good. A trial that waits to be started again comes first.
        """
        trials = self.study.get_trials(deepcopy=False)
        if any(trial.state is TrialState.WAITING for trial in trials):
            return
        taken = [_point(trial) for trial in self.trials]
        for point in _given_points(self.plan):
            if point not in taken:
                self.study.enqueue_trial(point)
                return


def begin_again(study: optuna.Study, trial: FrozenTrial) -> None:
    """Queue a trial again whose worker died, unless too many workers died on it."""
    if reason_of(trial):
        return
    deaths = trial.user_attrs.get(DEATHS, 0) + (BACK not in trial.user_attrs)
    fixed = {name: value for name, value in trial.system_attrs.items() if name == "fixed_params"}
    study.add_trial(
        optuna.create_trial(
            state=TrialState.WAITING,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs={DEATHS: deaths},
            system_attrs=fixed,
        )
    )


def reason_of(trial: FrozenTrial) -> str:
    """Return why a trial failed for good; "" for one that did not fail, or was started again."""
    if trial.state.is_finished() and REASON in trial.user_attrs:
        return trial.user_attrs[REASON]
    deaths = trial.user_attrs.get(DEATHS, 0) + 1
    dead = trial.state is TrialState.FAIL and deaths > RETRIES and BACK not in trial.user_attrs
    return f"its worker died, {deaths} times" if dead else ""


def _given_points(plan: Plan) -> list[dict[str, Any]]:
    if plan.sampler == "grid":
        return grid(plan.spaces)
    own = point_of(plan.spaces, plan.base) if plan.sampler == "bayesian" else None
    return [] if own is None else [own]


def _point(trial: FrozenTrial) -> Mapping[str, Any]:
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


class Numbered(optuna.samplers.BaseSampler):
    """A sampler whose choice depends only on the seed, the trial's number and the trials before it.

    So two workers never choose the same values, and a study that was stopped between two trials continues as if it had
    not been stopped.
    """

    def __init__(self, plan: Plan):
        self._plan = plan

    def _of(self, trial: FrozenTrial, field: str = "") -> optuna.samplers.BaseSampler:
        numbers = [self._plan.base.seed, trial.number, zlib.crc32(field.encode())]
        seed = int(np.random.SeedSequence(numbers).generate_state(1)[0])
        if self._plan.sampler == "bayesian":
            # A short search should not spend all of its trials at random.
            startup = max(3, min(10, self._plan.trials // 4))
            with quietly():
                return optuna.samplers.TPESampler(
                    seed=seed, multivariate=self._plan.multivariate, n_startup_trials=startup, constant_liar=True
                )
        return optuna.samplers.RandomSampler(seed=seed)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Do as the sampler of this trial does."""
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Do as the sampler of this trial does."""
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Do as the sampler of this trial and this field does."""
        return self._of(trial, param_name).sample_independent(study, trial, param_name, param_distribution)


def find_study(name: str, folder: Path, storage: str | None) -> optuna.Study:
    """Return the study of that name, to be read; UserError where there is none."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if storage is None and not (folder / JOURNAL).exists():
        raise UserError(f"{folder} holds no study (no {JOURNAL}): give its --study, and its --workdir or --storage")
    with reached(storage):
        opened = open_storage(folder, storage)
        try:
            study = optuna.load_study(study_name=name, storage=opened)
        except KeyError:
            there = ", ".join(optuna.get_all_study_names(opened)) or "none"
            raise UserError(f"there is no study {name!r}; there are: {there}") from None
        check_candidates(study)
        return study


def plan_of(study: optuna.Study) -> Mapping[str, Any]:
    """Return what workers have agreed on, as `plan.described` gives it; empty for a study that was just created.

    UserError for a study that no search has written.
    """
    plan = study.user_attrs.get("plan", {})
    if not isinstance(plan, Mapping) or (plan and not isinstance(plan.get("experiment"), str)):
        raise _foreign(study, "its plan")
    return plan


def check_candidates(study: optuna.Study) -> None:
    """Raise UserError if a candidate has notes that no search writes: dashboards and other programs can change them."""
    for trial in study.get_trials(deepcopy=False):
        for name, kind in NOTES.items():
            noted = trial.user_attrs.get(name)
            if noted is not None and (not isinstance(noted, kind) or (isinstance(noted, bool) and kind is not bool)):
                raise _foreign(study, f"{name!r} of candidate {trial.number}")


def _foreign(study: optuna.Study, what: str) -> UserError:
    return UserError(
        f"{what} in the record of the study {study.study_name} was not written by a search: restore the record from a "
        "copy, or choose another --study"
    )


def distribution(space: Space) -> BaseDistribution:
    """Return a space as an Optuna distribution."""
    if isinstance(space, Choices):
        return CategoricalDistribution(space.values)
    high = space.values[-1] if space.values else space.high  # the last step, which need not be the end
    if isinstance(space.low, int):
        return IntDistribution(space.low, int(high), log=space.log, step=int(space.step or 1))
    return FloatDistribution(space.low, high, log=space.log, step=space.step)


def make_pruner(plan: Plan) -> optuna.pruners.BasePruner:
    """Return the pruner, which compares a trial with those before it after each epoch.

    The median pruner never stops a trial in its first third (its first epoch, if trials are limited by time), because
    good and bad settings look alike until then.
    """
    epochs = plan.trial_base.max_epochs
    if plan.pruner == "median":
        spared = 1 if plan.trial_minutes else epochs // 3
        return optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1 + spared)
    if plan.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=epochs)
    return optuna.pruners.NopPruner()
