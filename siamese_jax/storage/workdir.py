"""The folder of a run: one process at a time writes to it, and a run that leaves nothing there leaves no folder."""

import atexit
import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from siamese_jax import interrupts
from siamese_jax.errors import UserError
from siamese_jax.storage.files import explained
from siamese_jax.storage.folders import missing, remove_empty
from siamese_jax.storage.locks import HOLDER, HeldError, exclusive

LOCK = "lock"
CHECKPOINTS = "checkpoints"
FIRST = ("experiment.json", "images.csv")
"""Files that a run writes before it has done anything: alone, they are not worth keeping."""
FILLED = ("metrics.jsonl", "events.out.*", "first_checkpoint.json")
"""Files that a run fills later: they are not worth keeping while they are empty."""

_CLAIMED: list[list[Path]] = []
"""The folders that `claimed` made, each with those above it that it made, from the inside out."""


class InUseError(UserError):
    """Another run works in the folder."""


@contextlib.contextmanager
def opened(workdir: str | os.PathLike) -> Iterator[Path]:
    """Make the folder of a run if it is missing, and hold WORKDIR/lock.

    If the run ends before it has written a lasting file, what it made is removed: a mistake that is found late leaves
    nothing behind. What was there before stays.

    Raises:
      UserError: the folder cannot be made or written.
      InUseError: another run holds the lock.
    """
    workdir = Path(workdir).absolute()
    made = missing(workdir)
    with explained(workdir, "opened"):
        workdir.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        stack.callback(remove_empty, made)
        with _in_use(workdir), explained(workdir / LOCK, "opened"):
            stack.enter_context(exclusive(workdir / LOCK, wait=False))
        before = {path.name for path in workdir.iterdir()} - {LOCK, LOCK + HOLDER}
        try:
            yield workdir
        finally:
            _remove_if_unused(workdir, before)
            with contextlib.suppress(OSError):  # Windows does not remove open files
                if not (workdir / LOCK).stat().st_size:  # else it is a file of the user
                    (workdir / LOCK).unlink()


def claimed(folder: Path) -> Path:
    """Make a new folder of that name, or with the first number after it that is free; return it.

    If it is empty when the process ends, it is removed, with the folders above it that were made.
    """
    for number in itertools.count(1):
        new = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        made = missing(new)
        with explained(new, "made"):
            new.parent.mkdir(parents=True, exist_ok=True)
            try:
                new.mkdir()
            except FileExistsError:  # another process was faster, or a file is there
                continue
        if not _CLAIMED:
            atexit.register(remove_claimed)
            interrupts.tidy_with(remove_claimed)
        _CLAIMED.append(made)
        return new
    raise AssertionError("numbers do not end")


def remove_claimed() -> None:
    """Remove the claimed folders that are empty; it runs when the process ends."""
    while _CLAIMED:
        remove_empty(_CLAIMED.pop())


def check_not_in_use(workdir: str | os.PathLike) -> None:
    """Raise InUseError if another run works in a folder that is only to be read."""
    lock = Path(workdir) / LOCK
    with contextlib.suppress(OSError), _in_use(Path(workdir)):  # a folder may be one that nobody can write to
        if lock.exists():
            with exclusive(lock, wait=False):
                pass


@contextlib.contextmanager
def _in_use(workdir: Path) -> Iterator[None]:
    try:
        yield
    except HeldError as error:
        raise InUseError(
            f"{workdir} is in use by another run ({error}): wait until that has ended, or choose another --workdir"
        ) from error


def _remove_if_unused(workdir: Path, before: set[str]) -> None:
    """Remove what a run made if that is not worth keeping."""
    with contextlib.suppress(OSError):
        if CHECKPOINTS not in before:
            remove_empty([workdir / CHECKPOINTS])
        new = {path for path in workdir.iterdir() if path.name not in before and path.name not in (LOCK, LOCK + HOLDER)}
        if all(path.name in FIRST or (_is_filled_later(path) and not path.stat().st_size) for path in new):
            for path in new:
                path.unlink()


def _is_filled_later(path: Path) -> bool:
    return path.is_file() and any(path.match(pattern) for pattern in FILLED)
