"""Exclusive locks on files: the one place that knows how systems and file systems lock.

The system releases a lock when its process dies. Some file systems have no locks (NFS without its lock service, some
network and user file systems). There a second file, PATH.holder, is the lock: it is created if it does not exist, and
names the machine and the process. It is taken over when that process is dead.
"""

import contextlib
import errno
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from absl import logging

from siamese_jax.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    with contextlib.suppress(ImportError):
        import msvcrt

WITHOUT_LOCKS = {errno.ENOLCK, errno.EBADF, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""What file systems without locks answer."""
HOLDER = ".holder"
PAUSE = 0.1
"""Seconds between two looks at a lock that another process holds."""
PATIENCE = 600
"""Seconds that a process waits for a holder on another machine: nobody can say whether that process still lives."""


SAYING = 3.0
"""Seconds of waiting after which the holder is named."""


class HeldError(Exception):
    """Another process, or another part of this one, holds the lock. The text says which, if that is known."""


@contextlib.contextmanager
def exclusive(path: str | os.PathLike, *, wait: bool) -> Iterator[None]:
    """Hold an exclusive lock on a file, which is created if it does not exist.

    The holder may remove the file while it holds the lock.

    Args:
      path: the file; its folder must exist.
      wait: whether to wait until the lock is free.

    Raises:
      HeldError: the lock is not free, and `wait` is false.
      UserError: a process on another machine has held the lock for `PATIENCE` seconds, on a file system without locks.
      OSError: the file cannot be created or opened.
    """
    path = Path(path)
    began, said, tries = time.monotonic(), False, 0
    while True:
        try:
            with _held_now(path):
                yield
            return
        except _Again as again:
            if again.held and not wait:
                raise HeldError(str(again)) from None
            waited = time.monotonic() - began
            if again.elsewhere and waited > PATIENCE:
                raise UserError(f"{path} is held by {again}") from None
            if again.held and not said and waited > SAYING:
                said = True
                logging.warning("waiting for %s: it is held by %s", path, again)
            tries += 1
            time.sleep(PAUSE if again.held or tries > 3 else 0)


class _Again(Exception):
    """The lock was not taken. `elsewhere`: its holder is on another machine."""

    def __init__(self, text: str = "", held: bool = True, elsewhere: bool = False):
        super().__init__(text)
        self.held, self.elsewhere = held, elsewhere


@contextlib.contextmanager
def _held_now(path: Path) -> Iterator[None]:
    """Hold the lock if it is free; else raise _Again."""
    number = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)  # NFS locks only what is open for writing
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, number)
        try:
            locks = _lock(number)
        except BlockingIOError:
            raise _Again("another process") from None
        if locks and fcntl is not None:
            stack.callback(fcntl.flock, number, fcntl.LOCK_UN)  # a process that was forked meanwhile has the file, too
        if locks and not _is_file(path, number):  # its holder has removed it meanwhile
            raise _Again(held=False)
        if locks and not _holder(path).exists():
            yield  # the file is closed after it, which releases the lock
            return
        stack.enter_context(_holding(path))
        yield


def _lock(number: int) -> bool:
    """Lock an open file; return False where the file system has no locks. BlockingIOError if the lock is not free."""
    try:
        if fcntl is not None:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)  # pyright: ignore[reportAttributeAccessIssue]  # Windows
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
            raise BlockingIOError(error.errno, error.strerror) from error  # CIFS and Windows answer EACCES
        if error.errno not in WITHOUT_LOCKS:
            raise
        return False
    return True


def _is_file(path: Path, number: int) -> bool:
    """Return whether the open file still is the one of that name."""
    try:
        return os.path.samestat(os.fstat(number), path.stat())
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _holding(path: Path) -> Iterator[None]:
    """Hold a lock by a file that names its holder."""
    holder = _holder(path)
    ours = json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "started": _started(os.getpid())})
    for _ in range(2):
        try:
            _create(holder, ours)
            break
        except FileExistsError:
            _take_over(holder)
    else:
        raise _Again("another process")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if holder.read_text() == ours:
                holder.unlink()


def _create(holder: Path, text: str) -> None:
    """Create a file that must not exist, with its text in it from the start: others may read it at once."""
    whole = holder.with_name(f"{holder.name}.{os.getpid()}.{time.monotonic_ns()}")
    whole.write_text(text)
    try:
        try:
            os.link(whole, holder)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            with holder.open("x") as file:
                file.write(text)
    finally:
        whole.unlink(missing_ok=True)


def _take_over(holder: Path) -> None:
    """Remove the file of a holder that is dead; _Again if it lives, or nobody can say."""
    try:
        text = holder.read_text()
        said = json.loads(text)
        host, pid, started = str(said["host"]), int(said["pid"]), said["started"]
    except FileNotFoundError:
        return
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        host, pid, started, text = "", 0, None, ""
    if not host:
        raise _Again(f"an unknown process; if no process uses it, delete {holder}", elsewhere=True)
    if host != socket.gethostname():
        raise _Again(f"process {pid} on {host}; if that process has ended, delete {holder}", elsewhere=True)
    if _lives(pid, started):
        raise _Again(f"process {pid}")
    aside = holder.with_name(f"{holder.name}.{os.getpid()}.dead")
    try:
        holder.rename(aside)  # only one process can rename it
    except FileNotFoundError:
        return
    taken = aside.read_text()
    if taken != text:  # another process was faster: give it back its file
        with contextlib.suppress(FileExistsError):
            _create(holder, taken)
    aside.unlink()


def _lives(pid: int, started: Any) -> bool:
    """Return whether a process of this machine lives; a number that another process has got since does not count."""
    if sys.platform == "win32":
        return True  # os.kill would end it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # of another user
    now = _started(pid)
    return now is None or started is None or now == started


def _started(pid: int) -> str | None:
    """Return when a process started, in the system's own words; None where the system does not say."""
    try:
        state, *numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "ended" if state in "ZX" else numbers[18]  # a zombie, or ticks since the machine started
    except (OSError, ValueError, IndexError):
        return None


def _holder(path: Path) -> Path:
    return path.with_name(path.name + HOLDER)
