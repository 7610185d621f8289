"""The folder of an export: it appears whole or not at all, and replaces nothing but an earlier export."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from siamese_jax.errors import UserError
from siamese_jax.storage import files
from siamese_jax.storage.folders import missing, remove_empty

SUMS = "SHA256SUMS"
"""The file that lists every other file of an export with its SHA-256, as `sha256sum --check` reads it."""

MOST_SUMS = 1_000_000
"""Bytes of that file."""


@contextlib.contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder; it gets its name when the block ends, and is removed if the block raises.

    Args:
      folder: The name. There may be nothing there, an empty folder, or an earlier export, which is replaced.

    Raises:
      UserError: Something else is there, or the folder cannot be written.
    """
    folder = Path(os.path.abspath(folder))
    check_free(folder)
    new, old = (folder.with_name(f".{folder.name}.{os.getpid()}.{what}") for what in ("tmp", "old"))
    above = missing(folder.parent)
    try:
        with files.explained(folder):
            new.mkdir(parents=True)
        yield new
        write_sums(new)
        check_free(folder)  # minutes may have passed
        with files.explained(folder):
            if folder.exists():
                folder.rename(old)
            new.rename(folder)
    finally:
        for rest in (new, old):
            shutil.rmtree(rest, ignore_errors=True)
        remove_empty(above)


def check_free(folder: Path) -> None:
    """Raise UserError if a folder holds anything but a complete, unchanged export."""
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        raise UserError(f"{folder} is not a folder: choose another --output")
    with files.explained(folder, "read"):
        there = {path.name for path in folder.iterdir()}
        if not there:
            return
        written = _read_sums(folder / SUMS) if SUMS in there else {}
        foreign = sorted(there - written.keys() - {SUMS})
        if foreign or not written:
            raise UserError(
                f"{folder} holds {foreign[0] if foreign else SUMS}, which no export wrote: choose another --output"
            )
        for name in sorted(there & written.keys()):
            path = folder / name
            if not path.is_file() or path.is_symlink() or _sum(path) != written[name]:
                raise UserError(f"{path} was changed after its export: choose another --output, or delete that folder")


def write_sums(folder: Path) -> None:
    """List the files of a folder with their sums."""
    lines = [f"{_sum(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    files.write_text(folder / SUMS, "".join(lines))


def _read_sums(path: Path) -> dict[str, str]:
    """Return the sums by name; empty if the file is no such list."""
    lines = [line.split("  ", 1) for line in files.read_bytes(path, MOST_SUMS).decode(errors="replace").splitlines()]
    return {line[1]: line[0] for line in lines} if all(len(line) == 2 for line in lines) else {}


def _sum(path: Path) -> str:
    with files.open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
