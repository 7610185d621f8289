"""Small files, written whole or not at all, and read with bounds; file errors that say what the user can do.

Files are read here and nowhere else. A file may come from somebody else: it may be longer than the memory, a pipe that
never ends, or nested deeper than Python can follow. So its kind and its length are checked before it is read.
"""

import contextlib
import errno
import io
import json
import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from siamese_jax.errors import UserError
from siamese_jax.storage.folders import made

MOST_JSON = 100_000_000
"""Bytes of a JSON file; results of 10,000 groups have a tenth of it."""
DEEPEST = 50
"""Mappings and lists inside each other in a JSON file."""

_ADVICE: dict[int | None, str] = {
    errno.ENOSPC: "free some space on that disk, then start again",
    errno.EDQUOT: "free some of your quota on that disk, then start again",
    errno.EACCES: "choose a folder that you may write to, or change its permissions",
    errno.EPERM: "choose a folder that you may write to, or change its permissions",
    errno.EROFS: "that disk is read-only: choose a folder elsewhere",
    errno.ENOENT: "check the path",
    errno.EISDIR: "move that folder away",
}


@contextlib.contextmanager
def explained(path: str | os.PathLike, action: str = "written") -> Iterator[None]:
    """Turn an OSError into a UserError that says what could not be done, why, and what to do.

    Args:
      path: the file or folder in question.
      action: what was tried, as a participle: "written", "read", "opened".
    """
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno, "check the path and the disk")
        raise UserError(f"{path} could not be {action}: {error.strerror or error}; {advice}") from error


def open_file(path: str | os.PathLike) -> io.BufferedReader:
    """Open a file to read it; UserError for anything else, such as a folder, a pipe or a device. It never waits."""
    with explained(path, "read"):
        check_file(path)
        # A named pipe would wait for somebody to write into it, if it took the place of the file at this moment.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        file = os.fdopen(descriptor, "rb")
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return file
        file.close()
    raise UserError(f"{os.fsdecode(path)} is not a file: give the path of a file")


def check_file(path: str | os.PathLike) -> None:
    """Raise UserError if something other than a file is at a path, or nothing."""
    try:
        with explained(path, "read"):
            mode = os.stat(path).st_mode
    except (UserError, OSError):
        raise
    except ValueError as error:  # a zero byte, or a character that no file system has
        raise UserError(f"{os.fspath(path)!r} cannot be the path of a file: give another one") from error
    kinds = {stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a named pipe", stat.S_ISSOCK: "a socket"}
    kind = next((kind for is_kind, kind in kinds.items() if is_kind(mode)), "a device")
    if not stat.S_ISREG(mode):
        raise UserError(f"{os.fsdecode(path)} is {kind}, not a file: give the path of a file")


def read_bytes(path: str | os.PathLike, most: int) -> bytes:
    """Return what a file holds; UserError if it is not a file, cannot be read, or has more than `most` bytes."""
    with open_file(path) as file, explained(path, "read"):
        if os.fstat(file.fileno()).st_size <= most:
            content = file.read(most + 1)
            if len(content) <= most:
                return content
    raise UserError(f"{os.fsdecode(path)} has more than {most:,} bytes: that is not a file that this program wrote")


def read_text(path: str | os.PathLike, most: int) -> str:
    """Return the UTF-8 text of a file; UserError as `read_bytes` raises it, and for other text."""
    try:
        return read_bytes(path, most).decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{os.fsdecode(path)} is not UTF-8 text: restore it from a copy") from error


def read_json(path: str | os.PathLike, advice: str = "restore it from a copy") -> Mapping[str, Any] | None:
    """Return the JSON object that a file holds, None if there is no such file.

    Args:
      path: The file. It may have MOST_JSON bytes and be nested DEEPEST deep.
      advice: What to do about a file that cannot be read, for the error message.

    Raises:
      UserError: It is not a file, or it holds anything else.
    """
    with explained(path, "read"):
        if not os.path.lexists(path):
            return None
    content = read_bytes(path, MOST_JSON)
    try:
        value = json.loads(content)
        if not isinstance(value, Mapping):
            raise ValueError(f"it holds a {type(value).__name__}")
        _check_depth(value)
        if rb"\ud" in content.lower():  # half of a character, which no file can hold
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise UserError(f"{os.fsdecode(path)} cannot be read ({reason}): {advice}") from error
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST):
        level = [part for one in level for part in (one.values() if isinstance(one, dict) else one)]
        level = [part for part in level if isinstance(part, dict | list)]
        if not level:
            return
    raise RecursionError


def write_text(path: str | os.PathLike, text: str) -> None:
    """Replace the file at `path` by UTF-8 `text`; see `write_bytes`."""
    write_bytes(path, text.encode())


def write_bytes(path: str | os.PathLike, content: bytes) -> None:
    """Replace the file at `path` in one step; create its folder if needed. UserError if that cannot be done."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with explained(path), made(path.parent):
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # otherwise a power cut may leave an empty file under the new name
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def remove(path: str | os.PathLike) -> None:
    """Remove a file if it is there; UserError if that cannot be done, or a folder is there."""
    with explained(path, "removed"):
        Path(path).unlink(missing_ok=True)


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Replace the file at `path` by `value` as indented JSON (see `to_json`); UserError if that cannot be done."""
    write_text(path, to_json(value, indent=2) + "\n")


def to_json(value: Any, indent: int | None = None) -> str:
    """Return `value` as strictly valid JSON: arrays become lists, and numbers that are not finite become null.

    Characters that are not printable are escaped: a terminal could take them for orders, or they are not UTF-8.
    """
    text = json.dumps(_plain(value), indent=indent, allow_nan=False, ensure_ascii=False)
    return text if text.isprintable() else re.sub(r"[^\n -~]", _escaped, text)


def _escaped(character: re.Match[str]) -> str:
    return character[0] if character[0].isprintable() else json.dumps(character[0])[1:-1]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if hasattr(value, "tolist"):  # arrays and scalars of numpy and JAX
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
