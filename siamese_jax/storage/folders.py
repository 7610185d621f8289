"""Folders that are made for something, and go again if that does not come."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path


def missing(folder: Path) -> list[Path]:
    """Return the folder and those above it that do not exist, from the inside out."""
    folder = Path(os.path.abspath(folder))
    return [path for path in (folder, *folder.parents) if not path.exists()]


def remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders, from the inside out, up to one that is not empty."""
    with contextlib.suppress(OSError):
        for folder in folders:
            if folder.exists():
                folder.rmdir()


@contextlib.contextmanager
def made(folder: Path) -> Iterator[None]:
    """Make a folder and those above it; if the block raises, remove those that were made and are empty."""
    new = missing(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        remove_empty(new)
        raise
