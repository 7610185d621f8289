"""Paths of the command line, all of them: ~ becomes a home, and what cannot be used is a sentence before any work."""

import errno
import os
import stat
from pathlib import Path
from typing import Any, TypedDict

from siamese_jax.errors import UserError
from siamese_jax.storage import home
from siamese_jax.storage.addresses import is_postgresql, scheme_of


class Sources(TypedDict):
    """Where data come from, as the functions of `runs` take it."""

    data_dir: str | None
    archives: str | None


def sources(values: Any) -> Sources:
    """Return --data_dir and --archives."""
    data_dir, archives = values.data_dir, values.archives
    return Sources(
        data_dir=None if data_dir is None else str(folder("--data_dir", data_dir)),
        archives=None if archives is None else str(place("--archives", archives)),
    )


def folder(name: str, text: str) -> Path:
    """Return the path of a folder, which may be missing; UserError if something else is there.

    Args:
      name: the flag, or what else the user wrote it for.
      text: what the user wrote.
    """
    path, mode = _checked(name, text)
    if mode is not None and not stat.S_ISDIR(mode):
        raise UserError(f"{_label(name, text)} is not a folder: choose a folder, or a name that is free")
    return path


def file(name: str, text: str) -> Path:
    """Return the path of a file, which may be missing; UserError if a folder is there."""
    path, mode = _checked(name, text)
    if mode is not None and stat.S_ISDIR(mode):
        raise UserError(f"{_label(name, text)} is a folder: give the path of a file, for example one in it")
    return path


def place(name: str, text: str) -> Path:
    """Return the path of a file or folder."""
    return _checked(name, text)[0]


def network(name: str, text: str) -> str:
    """Return the name of a packaged network, or the folder of another: ./best is a folder, best is not."""
    if text and os.sep not in text and not text.startswith("~"):
        return text
    folder(name, text)
    return os.path.expanduser(text)


def gallery(name: str, text: str) -> str:
    """Return the path of a gallery's file, or the address of its database."""
    if is_postgresql(text):
        return text
    if scheme := scheme_of(text):
        raise UserError(
            f"{_label(name, f'{scheme}://…')} is an address, and only paths of this machine and databases of "
            "PostgreSQL can be used: write postgresql://USER@HOST/DATABASE, or the path of a file"
        )
    return str(file(name, text))


def picture(text: str) -> Path:
    """Return the path of a picture or a folder of pictures: what cannot be read is skipped later, and named."""
    _refuse_addresses("", text)
    return home.expanded(text)


def _checked(name: str, text: str) -> tuple[Path, int | None]:
    """Return a path and the mode of what is there; None: nothing."""
    label = _label(name, text)
    if not text.strip():
        raise UserError(f"{label} is empty: give a path, or leave it out")
    _refuse_addresses(name, text)
    path = home.expanded(text)
    try:
        return path, path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        if getattr(error, "errno", None) != errno.ENOENT:
            raise UserError(f"{label[:200]} cannot be used: {reason}; check the path") from error
    if path.is_symlink():
        raise UserError(f"{label} is a link to {path.readlink()}, which does not exist: choose another path")
    return path, None


def _refuse_addresses(name: str, text: str) -> None:
    if scheme := scheme_of(text):  # what follows it may hold a password
        raise UserError(
            f"{_label(name, f'{scheme}://…')} is an address, and only paths of this machine can be used: mount it as a "
            "folder, or copy what it holds"
        )


def _label(name: str, text: str) -> str:
    return f"{name}={text}" if name else repr(text)
