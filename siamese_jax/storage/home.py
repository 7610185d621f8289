"""Where files of a user are kept between runs, also for users without a home (`docker run --user 1234`)."""

import os
import tempfile
from pathlib import Path

from siamese_jax.errors import UserError


def expanded(path: str | os.PathLike) -> Path:
    """Return a path with ~ or ~USER replaced by that home; UserError if there is none."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UserError(
            f"{os.fspath(path)} begins with ~, and that home is not known: write the path from / on"
        ) from None


def cache() -> Path:
    """Return the folder for what can be computed again: siamese_jax below $XDG_CACHE_HOME, by default ~/.cache.

    If it cannot be written, it is a folder of this user below the system's temporary folder.
    """
    named = os.environ.get("XDG_CACHE_HOME")
    return kept(Path(named) / "siamese_jax" if named else at_home(".cache/siamese_jax"), "cache")


def at_home(name: str) -> Path | None:
    """Return a path in the user's home; None if the user has no home."""
    try:
        return Path.home() / name
    except RuntimeError:
        return None


def kept(folder: Path | None, name: str, holds: str = "") -> Path:
    """Return a folder if it can be written or made; else one of this name in the user's temporary folder.

    Args:
      folder: the folder; None: there is no home that it could be in.
      name: the name of the other folder.
      holds: a name. A folder that holds it may be read-only.
    """
    if folder is not None and (_writable(folder) or (holds and os.path.exists(folder / holds))):
        return folder
    return temporary() / name


def temporary() -> Path:
    """Return this user's folder below the system's temporary folder, for this user only; make it if it is missing.

    Raises:
      UserError: it cannot be made, or is another user's: who can write there could run code in this process.
    """
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    try:
        folder = Path(tempfile.gettempdir()) / f"siamese_jax-{user}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise UserError(
            f"neither the home nor the temporary folder can be written ({error.strerror or error}): set HOME to a "
            "folder that you may write to, for example HOME=$PWD"
        ) from error
    if hasattr(os, "getuid") and (found.st_uid != user or found.st_mode & 0o22 or folder.is_symlink()):
        raise UserError(f"{folder} can be written by another user: delete it, or set HOME to a folder of your own")
    return folder


def do_without_temporary() -> None:
    """Let libraries be imported where no temporary folder can be written: some ask for its name, and never use it."""
    try:
        tempfile.gettempdir()
    except OSError:
        tempfile.tempdir = os.path.abspath(os.sep)


def _writable(folder: Path) -> bool:
    """Return whether a folder can be written, or made."""
    try:
        there = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    except OSError:
        return False
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
