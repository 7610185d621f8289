"""Where a study is kept, and which workers live: a journal file for one machine, PostgreSQL for several."""

import contextlib
import threading
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage

from siamese_jax.errors import UserError
from siamese_jax.search.journal import NAME as JOURNAL
from siamese_jax.search.journal import Journal
from siamese_jax.storage.addresses import for_sqlalchemy, is_postgresql, scheme_of
from siamese_jax.storage.files import explained
from siamese_jax.storage.locks import HeldError, exclusive

HEARTBEAT, GRACE = 5, 30
"""Seconds between two heartbeats of a candidate in a database, and seconds without one until it counts as dead."""

T = TypeVar("T")


def open_storage(folder: Path, url: str | None, when_dead: Callable[..., None] | None = None) -> BaseStorage:
    """Return the storage of a study: the journal file of a folder, or a database.

    Args:
      folder: the study's folder. A torn last line of its journal is cut off.
      url: address of the database; None is the journal.
      when_dead: called with (study, trial) for each candidate of a database that was found dead.

    Raises:
      UserError: the journal is damaged, or the database cannot be reached.
    """
    if url is None:
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            return JournalStorage(Journal(folder))
        except UserError:
            raise
        except Exception as error:  # Optuna raises many kinds of errors for records that are not its own
            reason = f"{type(error).__name__}: {error}"
            raise UserError(
                f"{folder / JOURNAL} is damaged ({reason}): restore it, or choose another --study"
            ) from error
    url = make_address(url)
    with reached(url), locked(folder, url, "siamese_jax"), quietly():
        from sqlalchemy import NullPool

        # Workers that start at the same time would all create Optuna's tables, and fail without the lock.
        return RDBStorage(
            url,
            engine_kwargs={"poolclass": NullPool},  # training is long: a connection that is kept open might be cut
            heartbeat_interval=HEARTBEAT,
            grace_period=GRACE,
            heartbeat_stale_trial_callback=when_dead,
        )


@contextlib.contextmanager
def locked(folder: Path, url: str | None, name: str) -> Iterator[None]:
    """Hold a lock that all workers share, by name; the system releases it when the process dies."""
    if url is None:
        with _held(folder / f"{name}.lock"):
            yield
        return
    import sqlalchemy
    from sqlalchemy.exc import OperationalError

    engine = sqlalchemy.create_engine(make_address(url), poolclass=sqlalchemy.NullPool)
    with contextlib.ExitStack() as stack:
        try:
            connection = stack.enter_context(engine.connect())
            connection.execute(sqlalchemy.text(f"SELECT pg_advisory_lock({zlib.crc32(name.encode())})"))
        except OperationalError as error:
            raise StorageInternalError(
                "the database does not answer"
            ) from error  # Optuna's own error, so that `insist` retries
        yield


@contextlib.contextmanager
def reached(url: str | None) -> Iterator[None]:
    """Turn errors of a database or its driver into a UserError, without the address: it may hold a password."""
    if url is None:
        yield
        return
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except ImportError as error:
        raise UserError("--storage needs a driver: pip install 'siamese_jax[postgresql]'") from error
    except (SQLAlchemyError, StorageInternalError) as error:
        reason = str(error.__cause__ or getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise UserError(f"the database of --storage cannot be used: {reason}") from error


def insist(call: Callable[..., T], *arguments: Any, **how: Any) -> T:
    """Call; retry for up to 30 seconds while the database does not answer: a restart does not end a search."""
    until = time.monotonic() + GRACE
    while True:
        try:
            return call(*arguments, **how)
        except StorageInternalError:
            if time.monotonic() > until:
                raise
            wait()


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Silence Optuna's warnings: that features are experimental, and that heartbeats are for its own loop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Pulse:
    """A thread that records heartbeats of this worker's candidates in a database, every few seconds."""

    def __init__(self, storage: BaseStorage):
        self._storage = storage if isinstance(storage, RDBStorage) else None
        self._trials: set[int] = set()
        self._lock, self._stop = threading.Lock(), threading.Event()

    def __enter__(self) -> "Pulse":
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join()

    def add(self, trial: optuna.trial.Trial) -> None:
        """Record heartbeats of a candidate: one at once, and more from then on."""
        with self._lock:
            self._trials.add(trial._trial_id)
        if self._storage:
            self._storage.record_heartbeat(trial._trial_id)

    def remove(self, trial: optuna.trial.Trial) -> None:
        """Record no more heartbeats of a candidate."""
        with self._lock:
            self._trials.discard(trial._trial_id)

    def _beat(self) -> None:
        if self._storage is None:
            return
        while not self._stop.wait(HEARTBEAT):
            with self._lock:
                trials = list(self._trials)
            for trial in trials:
                with contextlib.suppress(
                    Exception
                ):  # the next heartbeat may arrive; other workers only see that one is missing
                    self._storage.record_heartbeat(trial)


@contextlib.contextmanager
def alive(folder: Path, worker: str) -> Iterator[None]:
    """Hold a lock for as long as this worker lives; the system releases it when the process dies."""
    path = _of_worker(folder, worker)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with _held(path):
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink()


def is_dead(folder: Path, worker: str) -> bool:
    """Return whether a worker on this machine has died."""
    path = _of_worker(folder, worker)
    if not path.exists():
        return True
    try:
        with exclusive(path, wait=False):
            path.unlink(missing_ok=True)
    except HeldError:
        return False
    return True


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        with explained(path, "locked"):
            stack.enter_context(exclusive(path, wait=True))
        yield


def wait(seconds: float = 1.0) -> None:
    """Wait for other workers."""
    time.sleep(seconds)


def _of_worker(folder: Path, worker: str) -> Path:
    return folder / "workers" / f"{worker}.lock"


def make_address(url: str) -> str:
    """Return the address of a database with the driver that the extra installs; UserError for another kind."""
    if not is_postgresql(url):
        scheme = scheme_of(url)
        what = "--storage" if scheme is None else f"--storage={scheme}://…"  # the rest may hold a password
        raise UserError(
            f"{what} is not a database that workers can share: write postgresql://USER@HOST/DATABASE, or leave it out, "
            "for a journal file in the study's folder"
        )
    return for_sqlalchemy(url)
