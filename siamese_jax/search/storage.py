"""Where a study is kept, and who is alive: a journal file for workers on one machine, PostgreSQL for those on many."""

import contextlib
import fcntl
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
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from siamese_jax.errors import UserError
from siamese_jax.storage.files import explained

JOURNAL = "journal.log"
HEARTBEAT, GRACE = 5, 30
"""Seconds between two signs of life of a trial in a database, and without one until it counts as dead."""

T = TypeVar("T")


def open_storage(folder: Path, url: str | None, when_dead: Callable[..., None] | None = None) -> BaseStorage:
    """Returns the journal file of a folder, its torn last line mended, or a database; UserError where there is none.

    `when_dead(study, trial)` is called with each trial of a database that has been found dead, and failed.
    """
    if url is None:
        journal = folder / JOURNAL
        with explained(journal):
            folder.mkdir(parents=True, exist_ok=True)
            _mend(journal)
            try:
                return JournalStorage(JournalFileBackend(str(journal)))
            except ValueError as error:
                raise UserError(f"{journal} is damaged ({error}): restore it, or choose another --study") from error
    url = _with_driver(url)
    with reached(url), locked(folder, url, "siamese_jax"), quietly():
        from sqlalchemy import NullPool

        # Workers that came at once would all make Optuna's tables, and fail: hence the lock.
        return RDBStorage(
            url,
            engine_kwargs={"poolclass": NullPool},  # trials are long: a connection kept for them might be cut
            heartbeat_interval=HEARTBEAT,
            grace_period=GRACE,
            heartbeat_stale_trial_callback=when_dead,
        )


@contextlib.contextmanager
def locked(folder: Path, url: str | None, name: str) -> Iterator[None]:
    """Holds a lock that all workers share, by name; it goes with the process that holds it."""
    if url is None:
        with explained(folder / f"{name}.lock"), (folder / f"{name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        return
    import sqlalchemy

    engine = sqlalchemy.create_engine(_with_driver(url), poolclass=sqlalchemy.NullPool)
    with contextlib.ExitStack() as stack:
        try:
            connection = stack.enter_context(engine.connect())
            connection.execute(sqlalchemy.text(f"SELECT pg_advisory_lock({zlib.crc32(name.encode())})"))
        except sqlalchemy.exc.OperationalError as error:
            raise StorageInternalError("the database does not answer") from error  # as Optuna, so that one can insist
        yield


@contextlib.contextmanager
def reached(url: str | None) -> Iterator[None]:
    """Turns what a database, or its driver, raises into a UserError, without the address: it may hold a password."""
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
    """Calls, and again for some seconds while a database does not answer: its restart is no reason to lose hours."""
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
    """Keeps away what Optuna warns of: what is experimental, and that heartbeats are for its own loop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Pulse:
    """A thread that tells a database, every few seconds, that this worker's trials are under way."""

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
        """Begins to tell of a trial: at once, and from then on."""
        with self._lock:
            self._trials.add(trial._trial_id)
        if self._storage:
            self._storage.record_heartbeat(trial._trial_id)

    def remove(self, trial: optuna.trial.Trial) -> None:
        """Tells no more of a trial."""
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
def alive(folder: Path, worker: str) -> Iterator[None]:
    """Holds a lock for as long as this worker lives: the system lets go of it when the process dies."""
    path = _of_worker(folder, worker)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def is_dead(folder: Path, worker: str) -> bool:
    """Whether a worker on this machine has died."""
    path = _of_worker(folder, worker)
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    return True


def wait(seconds: float = 1.0) -> None:
    """Waits for what other workers do."""
    time.sleep(seconds)


def _of_worker(folder: Path, worker: str) -> Path:
    return folder / "workers" / f"{worker}.lock"


def _with_driver(url: str) -> str:
    kind, separator, place = url.partition("://")
    if not separator or kind not in ("postgresql", "postgresql+psycopg"):
        raise UserError(
            f"--storage={kind}{separator}… is no database for several workers: write postgresql://USER@HOST/DATABASE, "
            "or leave it out, for a journal file in the study's folder"
        )
    return f"postgresql+psycopg://{place}"


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
