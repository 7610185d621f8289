"""Files in a zip or in a folder, read one by one within bounds. Nothing is ever unpacked onto the disk.

Names inside an archive only decide which files are read, so absolute names and `..` do no harm.
"""

import lzma
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from siamese_jax.errors import UserError

LARGEST = 1 << 16
"""Bytes of a file that is read; the largest published one has 522, and class_labels.txt has 980."""
MOST = 200_000
"""Files in a zip or folder; Omniglot has 32,460."""
LARGEST_ZIP = 1 << 26
"""Bytes of a zip; the largest published one has 9.5 MB."""

_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError),
    *(ValueError, struct.error, OverflowError, IndexError, KeyError, MemoryError),
)
"""What the standard library raises for a zip that is damaged, encrypted or compressed in another way."""


def bad_archive(path: Path, problem: object) -> UserError:
    """Return the error for a file or folder with another content than the published one."""
    if path.is_dir():
        return UserError(
            f"{path} does not hold the published files ({problem}): delete it and unpack the published file again"
        )
    return UserError(f"{path} is not the published file ({problem}): delete it and download it again")


def read_members(path: Path, wanted: re.Pattern[str]) -> Iterator[tuple[re.Match[str], bytes]]:
    """Yield the matches of the names and the contents of the files that are wanted.

    Args:
      path: a zip or a folder.
      wanted: matches the whole name of a file, with `/` between its parts. In a folder, names begin below it.

    Raises:
      UserError: the zip is damaged or encrypted, or something is larger than the bounds.
    """
    try:
        yield from _in_folder(path, wanted) if path.is_dir() else _in_zip(path, wanted)
    except _BROKEN as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise bad_archive(path, reason or type(error).__name__) from error


def _in_zip(path: Path, wanted: re.Pattern[str]) -> Iterator[tuple[re.Match[str], bytes]]:
    if path.stat().st_size > LARGEST_ZIP:  # its list of members is read at once
        raise ValueError(f"it has {path.stat().st_size:,} bytes")
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) > MOST:
            raise ValueError(f"it has {len(members):,} files")
        any_wanted = False
        for member in members:
            match = wanted.fullmatch(member.filename.replace("\\", "/"))
            if match is None:
                continue
            if member.flag_bits & 1:
                raise ValueError("it is encrypted")
            if member.file_size > LARGEST:
                raise ValueError(f"{member.filename} has {member.file_size:,} bytes")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others unpack without a limit
                raise ValueError(f"{member.filename} is compressed in an unknown way")
            any_wanted = True
            with archive.open(member) as file:
                yield match, file.read(LARGEST)
        inside = [member.filename for member in members if member.filename.lower().endswith(".zip")]
        if inside and not any_wanted:
            raise ValueError(f"it holds {inside[0]}, which must be unpacked")


def _in_folder(path: Path, wanted: re.Pattern[str]) -> Iterator[tuple[re.Match[str], bytes]]:
    seen = 0
    for folder, folders, files in os.walk(path):
        folders.sort()
        seen += len(files) + len(folders)
        if seen > MOST:
            raise ValueError(f"it has more than {MOST:,} files")
        for name in sorted(files):
            file = Path(folder, name)
            match = wanted.fullmatch(file.relative_to(path).as_posix().replace("\\", "/"))
            if match is None or not file.is_file():  # a device or a pipe would never end
                continue
            with file.open("rb") as opened:
                content = opened.read(LARGEST + 1)
            if len(content) > LARGEST:
                raise ValueError(f"{match[0]} has more than {LARGEST:,} bytes")
            yield match, content
