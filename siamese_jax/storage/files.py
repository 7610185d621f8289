"""Small files, written whole or not at all; file errors that say what the user can do."""

import contextlib
import errno
import io
import json
import math
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siamese_jax.errors import UserError

if TYPE_CHECKING:
    import numpy as np

_ADVICE: dict[int | None, str] = {
    errno.ENOSPC: "free some space on that disk, then start again",
    errno.EDQUOT: "free some of your quota on that disk, then start again",
    errno.EACCES: "choose a folder that you may write to, or change its permissions",
    errno.EPERM: "choose a folder that you may write to, or change its permissions",
    errno.EROFS: "that disk is read-only: choose a folder elsewhere",
    errno.ENOENT: "check the path",
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


def write_text(path: str | os.PathLike, text: str) -> None:
    """Replace the file at `path` by UTF-8 `text`; see `write_bytes`."""
    write_bytes(path, text.encode())


def write_bytes(path: str | os.PathLike, content: bytes) -> None:
    """Replace the file at `path` in one step; create its folder if needed. UserError if that cannot be done."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # otherwise a power cut may leave an empty file under the new name
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Replace the file at `path` by `value` as indented JSON (see `to_json`); UserError if that cannot be done."""
    write_text(path, to_json(value, indent=2) + "\n")


def write_arrays(path: str | os.PathLike, arrays: Mapping[str, "np.ndarray"]) -> None:
    """Replace the file at `path` by named arrays, compressed (.npz); UserError if that cannot be done."""
    import numpy as np

    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # pyright: ignore[reportArgumentType]  # it takes allow_pickle for an array
    write_bytes(path, content.getvalue())


def read_arrays(path: str | os.PathLike) -> dict[str, "np.ndarray"]:
    """Return the arrays of a file by `write_arrays`, by name; UserError if they are missing or damaged."""
    import numpy as np

    with explained(path, "read"):
        try:
            # numpy leaves a file open that it cannot read, so it gets the bytes instead.
            with np.load(io.BytesIO(Path(path).read_bytes())) as arrays:
                return dict(arrays)
        except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise UserError(
                f"{path} could not be read: {error}; the file is damaged: restore it from a copy"
            ) from error


def to_json(value: Any, indent: int | None = None) -> str:
    """Return `value` as strictly valid JSON: arrays become lists, and numbers that are not finite become null."""
    return json.dumps(_plain(value), indent=indent, allow_nan=False, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if hasattr(value, "tolist"):  # arrays and scalars of numpy and JAX
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
