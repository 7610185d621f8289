"""The record of a sweep, Optuna's, which all workers share: a journal file on one machine, PostgreSQL for many.

What Optuna's own loop does is done here around `ask` and `tell`, so that several trials can be under way in one worker:
heartbeats, the search for trials whose worker has died, and the count of what is still to be done.
"""

import contextlib
import datetime
import fcntl
import threading
import time
import uuid
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.trial import FrozenTrial, Trial, TrialState

from siamese_jax.files import explained
from siamese_jax.specs import UserError
from siamese_jax.sweep.plan import Plan, described
from siamese_jax.sweep.space import Choices, Space, grid

JOURNAL = "journal.log"
HEARTBEAT, GRACE = 5, 30
"""Seconds between two signs of life of a trial in a database, and without one until it counts as dead."""
RETRIES = 3
"""How often a trial is begun again whose worker died."""
REASON, WORKER, SURPLUS = "reason", "worker", "surplus"
"""Attributes of a trial: why it failed, who ran it, and that it was one more than asked for."""


class Study:
    """One worker's access to a study: `with Study(plan, folder, storage) as study:`.

    Opens the study of that name, or makes it. UserError where it cannot be reached, or belongs to another sweep.
    """

    def __init__(self, plan: Plan, folder: Path, storage: str | None = None):
        self.plan, self._folder, self._url = plan, folder, storage
        self.worker = uuid.uuid4().hex[:12]
        self._distributions = {space.field: distribution(space) for space in plan.spaces}
        with _quietly():
            self._retry = RetryHeartbeatStaleTrialCallback(max_retry=RETRIES)

    def __enter__(self) -> "Study":
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with contextlib.ExitStack() as stack:
            if self._url is None:
                stack.enter_context(_alive(self._folder, self.worker))
            self._storage = open_storage(self._folder, self._url, self._retry)
            with _reached(self._url):
                self._open()
            self._pulse = stack.enter_context(_Pulse(self._storage))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_) -> None:
        self._stack.close()

    def _open(self) -> None:
        how = {"sampler": Numbered(self.plan), "pruner": make_pruner(self.plan)}
        with contextlib.suppress(optuna.exceptions.DuplicatedStudyError):
            self.study = optuna.create_study(
                study_name=self.plan.name, storage=self._storage, direction="maximize", **how
            )
            self._agree()
            self._queue()
            return
        self.study = optuna.load_study(study_name=self.plan.name, storage=self._storage, **how)
        self._agree()
        if self.plan.sampler == "grid":  # who made the study queues its points, unless he was killed over it
            until = time.monotonic() + GRACE
            while len(self.study.get_trials(deepcopy=False)) < self.plan.trials and time.monotonic() < until:
                wait()
        self._queue()

    def _queue(self) -> None:
        """Queues the points of a grid that are not there yet."""
        if self.plan.sampler == "grid":
            for point in grid(self.plan.spaces)[: self.plan.trials]:
                self.study.enqueue_trial(point, skip_if_exists=True)

    def _agree(self) -> None:
        """Writes what the sweep is, or compares it with what is written."""
        ours, theirs = described(self.plan), self.study.user_attrs.get("plan")
        if theirs is None:
            self.study.set_user_attr("plan", ours)
            theirs = ours
        for name in ours.keys() | theirs.keys():
            if ours.get(name) != theirs.get(name):
                raise UserError(
                    f"the study {self.plan.name} belongs to a sweep with {name}={theirs.get(name)}, not "
                    f"{ours.get(name)}: choose another --study, or give the flags it was begun with"
                )

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials that count, in the order of their numbers: none that was begun again, or was one too many."""
        kept = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
        return [trial for trial in self.study.get_trials(deepcopy=False) if trial.state in kept or reason_of(trial)]

    @property
    def done(self) -> bool:
        """Whether as many trials as were asked for have ended."""
        return sum(trial.state.is_finished() for trial in self.trials) >= self.plan.trials

    def ask(self, most: int) -> list[Trial]:
        """Returns up to so many trials to run next; none where those that are missing are run by other workers."""
        self._begin_dead_ones_again()
        asked: list[Trial] = []
        while len(asked) < most and len(self.trials) < self.plan.trials:
            with _quietly():
                trial = self.study.ask(self._distributions)
            self._pulse.add(trial)
            trial.set_user_attr(WORKER, self.worker)
            if sum(other.number < trial.number for other in self.trials) >= self.plan.trials:
                trial.set_user_attr(SURPLUS, True)  # two workers asked for the last one
                self._tell(trial, state=TrialState.FAIL)
                break
            asked.append(trial)
        return asked

    def report(self, trial: Trial, epoch: int, accuracy: float) -> bool:
        """Records a trial's validation accuracy after an epoch; returns whether it is worth going on with."""
        try:
            trial.report(accuracy, epoch)
        except optuna.exceptions.UpdateFinishedTrialError:  # it was silent for too long, and has been given away
            return False
        return not trial.should_prune()

    def note(self, trial: Trial, name: str, value: Any) -> None:
        """Records an attribute of a trial, unless it has been given away."""
        with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
            trial.set_user_attr(name, value)

    def complete(self, trial: Trial, accuracy: float) -> None:
        """Ends a trial with its objective, the highest validation accuracy at any epoch."""
        self._tell(trial, accuracy)

    def prune(self, trial: Trial) -> None:
        """Ends a trial that is not worth going on with."""
        self._tell(trial, state=TrialState.PRUNED)

    def fail(self, trial: Trial, reason: str) -> None:
        """Ends a trial that could not be run, which is no reason to stop."""
        self.note(trial, REASON, reason)
        self._tell(trial, state=TrialState.FAIL)

    def give_back(self, trials: Sequence[Trial]) -> None:
        """Leaves trials that this worker has begun to whoever asks next."""
        for trial in trials:
            if self._tell(trial, state=TrialState.FAIL):
                self._retry(self.study, self._frozen(trial.number))

    @property
    def ended_last(self) -> bool:
        """Whether the trial that ended last was this worker's: of all workers, one."""
        ended = [trial for trial in self.trials if trial.datetime_complete]
        last = max(ended, key=lambda trial: (trial.datetime_complete, trial.number), default=None)
        return last is not None and last.user_attrs.get(WORKER) == self.worker

    def _tell(self, trial: Trial, accuracy: float | None = None, state: TrialState | None = None) -> bool:
        """Returns whether it was still this worker's to end: one that was silent for too long has been given away."""
        self._pulse.remove(trial)
        try:
            self.study.tell(trial, accuracy, state=state)
        except (ValueError, RuntimeError):  # of versions and storages
            if not self._frozen(trial.number).state.is_finished():
                raise
            return False
        return True

    def _frozen(self, number: int) -> FrozenTrial:
        return next(trial for trial in self.study.get_trials() if trial.number == number)

    def _begin_dead_ones_again(self) -> None:
        if self._url is not None:
            with _quietly():
                fail_stale_trials(self.study)
            return
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            worker = trial.user_attrs.get(WORKER)
            if _is_dead(self._folder, worker, trial.datetime_start):
                with contextlib.suppress(ValueError, RuntimeError):  # another worker was faster
                    self.study.tell(trial.number, state=TrialState.FAIL)
                    self._retry(self.study, self._frozen(trial.number))


def reason_of(trial: FrozenTrial) -> str:
    """Returns why a trial failed for good; "" for one that did not, or was begun again."""
    if trial.state is not TrialState.FAIL or SURPLUS in trial.user_attrs:
        return ""
    deaths = 1 + len(trial.system_attrs.get("retry_history", []))  # Optuna's own list of those before it
    died = f"its worker died, {deaths} times" if deaths > RETRIES else ""
    return trial.user_attrs.get(REASON, died)


class Numbered(optuna.samplers.BaseSampler):
    """What a trial draws follows from the seed, its number and the trials before it: two workers never draw alike, and
    a study that was stopped goes on as if it had not been.
    """

    def __init__(self, plan: Plan):
        self._plan = plan

    def _of(self, trial: FrozenTrial, field: str = "") -> optuna.samplers.BaseSampler:
        numbers = [self._plan.base.seed, trial.number, zlib.crc32(field.encode())]
        seed = int(np.random.SeedSequence(numbers).generate_state(1)[0])
        if self._plan.sampler == "bayesian":
            # Of few trials, not all are to be spent at random.
            startup = max(3, min(10, self._plan.trials // 4))
            with _quietly():
                return optuna.samplers.TPESampler(
                    seed=seed, multivariate=self._plan.multivariate, n_startup_trials=startup, constant_liar=True
                )
        return optuna.samplers.RandomSampler(seed=seed)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """As the sampler of this trial does."""
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As the sampler of this trial does."""
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """As the sampler of this trial and this field does."""
        return self._of(trial, param_name).sample_independent(study, trial, param_name, param_distribution)


def find_study(name: str, folder: Path, storage: str | None) -> optuna.Study:
    """Returns the study of that name, to be read; UserError where there is none."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if storage is None and not (folder / JOURNAL).exists():
        raise UserError(f"{folder} holds no study (no {JOURNAL}): give its --study, and its --workdir or --storage")
    opened = open_storage(folder, storage)
    with _reached(storage):
        try:
            return optuna.load_study(study_name=name, storage=opened)
        except KeyError:
            there = ", ".join(optuna.get_all_study_names(opened)) or "none"
            raise UserError(f"there is no study {name!r}; there are: {there}") from None


def distribution(space: Space) -> BaseDistribution:
    """Returns a space as Optuna names it."""
    if isinstance(space, Choices):
        return CategoricalDistribution(space.values)
    if isinstance(space.low, int):
        return IntDistribution(space.low, space.high, log=space.log, step=space.step or 1)
    return FloatDistribution(space.low, space.high, log=space.log, step=space.step)


def make_pruner(plan: Plan) -> optuna.pruners.BasePruner:
    """Returns what compares a trial, epoch by epoch, with those before it."""
    if plan.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=4)
    if plan.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=plan.trial_base.max_epochs)
    return optuna.pruners.NopPruner()


def open_storage(folder: Path, url: str | None, retry: Callable[..., None] | None = None) -> BaseStorage:
    """Returns the journal file of a folder, its torn last line mended, or a database; UserError where there is none."""
    if url is None:
        with explained(folder / JOURNAL):
            folder.mkdir(parents=True, exist_ok=True)
            _mend(folder / JOURNAL)
        return JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
    kind, separator, place = url.partition("://")
    if not separator or kind not in ("postgresql", "postgresql+psycopg"):
        raise UserError(
            f"--storage={kind}{separator}… is no database for several workers: write postgresql://USER@HOST/DATABASE, "
            "or leave it out, for a journal file in the study's folder"
        )
    url = f"postgresql+psycopg://{place}"
    from sqlalchemy import NullPool

    with _reached(url), _one_by_one(url), _quietly():
        return RDBStorage(
            url,
            engine_kwargs={"poolclass": NullPool},  # trials are long: a connection kept for them might be cut
            heartbeat_interval=HEARTBEAT,
            grace_period=GRACE,
            heartbeat_stale_trial_callback=retry,
        )


@contextlib.contextmanager
def _one_by_one(url: str) -> Iterator[None]:
    """Holds a lock of a PostgreSQL database: workers that came at once would all make Optuna's tables, and fail."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:  # with which the lock goes
        connection.execute(sqlalchemy.text(f"SELECT pg_advisory_lock({zlib.crc32(b'siamese_jax')})"))
        yield


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keeps away what Optuna warns of: what is experimental, and that heartbeats are for its own loop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _reached(url: str | None) -> Iterator[None]:
    """Turns what a database, or its driver, raises into a UserError, without the address: it may hold a password."""
    if url is None:
        yield
        return
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except ImportError as error:
        raise UserError("--storage needs a driver: pip install 'siamese_jax[postgresql]'") from error
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        reason = str(error.__cause__ or getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise UserError(f"the database of --storage cannot be used: {reason}") from error


class _Pulse:
    """A thread that tells a database, every few seconds, that this worker's trials are under way."""

    def __init__(self, storage: BaseStorage):
        self._storage = storage if isinstance(storage, RDBStorage) else None
        self._trials: set[int] = set()
        self._lock, self._stop = threading.Lock(), threading.Event()

    def __enter__(self) -> "_Pulse":
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join()

    def add(self, trial: Trial) -> None:
        with self._lock:
            self._trials.add(trial._trial_id)
        if self._storage:
            self._storage.record_heartbeat(trial._trial_id)

    def remove(self, trial: Trial) -> None:
        with self._lock:
            self._trials.discard(trial._trial_id)

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT):
            with self._lock:
                trials = list(self._trials)
            for trial in trials if self._storage else ():
                with contextlib.suppress(Exception):  # the next beat may come through; silence is what the others hear
                    self._storage.record_heartbeat(trial)


@contextlib.contextmanager
def _alive(folder: Path, worker: str) -> Iterator[None]:
    """Holds a lock for as long as this worker lives: the system lets go of it when the process dies."""
    path = _lock_of(folder, worker)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _is_dead(folder: Path, worker: str | None, begun: datetime.datetime | None) -> bool:
    if worker is None:  # killed between asking and signing, or about to sign
        return begun is not None and (datetime.datetime.now() - begun).total_seconds() > GRACE
    try:
        with _lock_of(folder, worker).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    return True


def _lock_of(folder: Path, worker: str) -> Path:
    return folder / "workers" / f"{worker}.lock"


def _mend(journal: Path) -> None:
    """Cuts off a last line that a crash has torn: Optuna would read nothing at all."""
    if not journal.exists():
        return
    lock = JournalFileSymlinkLock(str(journal))
    lock.acquire()
    try:
        content = journal.read_bytes()
        if content and not content.endswith(b"\n"):
            with journal.open("r+b") as file:
                file.truncate(content.rfind(b"\n") + 1)
    finally:
        lock.release()


def wait(seconds: float = 1.0) -> None:
    """Waits for what other workers do."""
    time.sleep(seconds)
