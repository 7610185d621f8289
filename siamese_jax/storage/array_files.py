"""Named arrays in one file (.npz). What a file holds is known, and can be refused, before an array is read.

The file is not trusted: nothing is unpickled, and no more is read than its header says.
"""

import contextlib
import io
import math
import os
import zipfile
from collections.abc import Iterator, Mapping
from typing import IO, NamedTuple

import numpy as np

from siamese_jax.errors import UserError
from siamese_jax.storage import files

MOST = 1 << 30
"""Bytes that the arrays of a file may have."""
MOST_ARRAYS = 10_000
"""Arrays of a file."""
_HEADER = 10_000
"""Bytes that the header of an array may have. numpy writes 128."""
_RESTORE = "restore it from a copy"


class Stored(NamedTuple):
    """An array of a file that is open; `read` reads it."""

    shape: tuple[int, ...]
    dtype: np.dtype
    archive: zipfile.ZipFile
    info: zipfile.ZipInfo

    @property
    def size(self) -> int:
        """Bytes of its values."""
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self) -> np.ndarray:
        """Return the array; ValueError if the file holds more or fewer values than its header says."""
        with self.archive.open(self.info) as member:
            _, by_columns, _ = _header(member, self.info.filename)
            content = member.read(self.size + 1)
        if len(content) != self.size:
            raise ValueError(f"{self.info.filename!r} has not {self.size} bytes")
        return np.frombuffer(content, self.dtype).reshape(self.shape, order="F" if by_columns else "C")


def write_arrays(path: str | os.PathLike, arrays: Mapping[str, np.ndarray]) -> None:
    """Replace the file at `path` by named arrays, compressed; UserError if that cannot be done."""
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # pyright: ignore[reportArgumentType]  # it takes allow_pickle for an array
    files.write_bytes(path, content.getvalue())


@contextlib.contextmanager
def opened(path: str | os.PathLike, most: int = MOST) -> Iterator[dict[str, Stored]]:
    """Yield the arrays of a file by name, none of them read.

    Args:
      path: The file.
      most: Bytes that all its arrays may have.

    Raises:
      UserError: The file is missing, damaged or too long, also where that is found inside the block.
    """
    with files.open_file(path) as file, files.explained(path, "read"):
        size = os.fstat(file.fileno()).st_size
        if size > most + most // 100 + _HEADER * MOST_ARRAYS:  # the list of its arrays is read as a whole
            raise UserError(f"{os.fsdecode(path)} has {size:,} bytes, too many for {most:,} of arrays: {_RESTORE}")
        try:
            with zipfile.ZipFile(file) as archive:
                yield {info.filename.removesuffix(".npy"): _stored(archive, info) for info in _members(archive)}
        except (UserError, OSError, MemoryError):
            raise
        except Exception as error:  # zipfile, zlib and numpy raise many kinds of errors for damaged files
            raise UserError(f"{os.fsdecode(path)} is damaged ({error}): {_RESTORE}") from error


def read_arrays(path: str | os.PathLike, most: int = MOST) -> dict[str, np.ndarray]:
    """Return the arrays of a file by `write_arrays`, by name; arguments and errors are those of `opened`."""
    with opened(path, most) as stored:
        size = sum(one.size for one in stored.values())
        if size > most:
            raise UserError(f"{os.fsdecode(path)} holds {size:,} bytes of arrays, more than {most:,}: {_RESTORE}")
        return {name: one.read() for name, one in stored.items()}


def _members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    if len(members) > MOST_ARRAYS:
        raise ValueError(f"it holds {len(members):,} arrays, more than {MOST_ARRAYS:,}")
    if len({info.filename for info in members}) < len(members):
        raise ValueError("two of its arrays have one name")
    return members


def _stored(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Stored:
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others decompress without a limit
        raise ValueError(f"{info.filename!r} is compressed in an unknown way")
    with archive.open(info) as member:
        shape, _, dtype = _header(member, info.filename)
    if dtype.hasobject:
        raise ValueError(f"{info.filename!r} holds pickled objects")
    return Stored(shape, dtype, archive, info)


def _header(member: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    if np.lib.format.read_magic(member) != (1, 0):
        raise ValueError(f"{name!r} is of an unknown version")
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(member, max_header_size=_HEADER)
    if min(shape, default=0) < 0:
        raise ValueError(f"{name!r} has the shape {shape}")
    return shape, by_columns, dtype
