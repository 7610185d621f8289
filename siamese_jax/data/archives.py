"""The published files that data sets are prepared from: in a folder of the user, or downloaded.

Copies of them are often unpacked, zipped again or renamed. So a folder is searched for every file or folder with one of
the usual names, and its content decides.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from siamese_jax.data.download import Archive, download, listing
from siamese_jax.errors import UserError
from siamese_jax.storage import home

T = TypeVar("T")

DEPTH = 5
"""Folders below each other that are searched."""
MOST = 100_000
"""Names that are looked at before the search ends."""
_NOT_SEARCHED = re.compile(r"\..*|__MACOSX|character\d+|run\d+")
"""Folders that hold no archives: hidden ones, and those inside an unpacked archive."""


def locate(dataset: str, files: Sequence[Archive], archives: str | None, downloads: Path) -> Path:
    """Return the folder in which `copies_of` finds all files of a data set, after a download if need be.

    Args:
      dataset: its name.
      files: what the folder must hold.
      archives: the folder of the user, or one with a subfolder `dataset`; None downloads the files.
      downloads: where downloads are kept, in a subfolder `dataset`.

    Raises:
      UserError: the folder or a file is missing, a file cannot be downloaded, or a sha256 is wrong.
    """
    if archives is None:
        return download(dataset, files, downloads / dataset)
    folder = home.expanded(archives)
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}: give --archives the folder that holds {listing(files)}")
    for place in (folder / dataset, folder):
        missing = [file for file in files if not copies_of(file, place)]
        if not missing:
            return place
    place = folder / dataset if (folder / dataset).is_dir() else folder
    raise UserError(f"{place} lacks {listing(missing)}: download it from {missing[0].url} into that folder")


def copies_of(file: Archive, folder: Path) -> list[Path]:
    """Return the folder, and the files and folders below, that may be copies of a published file, the nearest first."""
    return [path for path in (folder, *_below(folder)) if file.may_be(path)]


def first_right(paths: Sequence[Path], read: Callable[[Path], T]) -> T:
    """Return what `read` returns for the first path that it accepts; the UserError of the first path if for none."""
    problems = []
    for path in paths:
        try:
            return read(path)
        except UserError as problem:
            problems.append(problem)
    raise problems[0]


def _below(folder: Path) -> Iterator[Path]:
    """Yield files and folders, level by level, each folder in the order of names."""
    level, seen = [folder], 0
    for _ in range(DEPTH):
        deeper = []
        for place in level:
            try:
                entries = sorted(os.scandir(place), key=lambda entry: entry.name)
            except OSError:  # it may not be read, or is gone
                continue
            for entry in entries:
                seen += 1
                if seen > MOST:
                    return
                if _NOT_SEARCHED.fullmatch(entry.name):
                    continue
                path = Path(entry.path)
                if path.is_dir():
                    deeper.append(path)
                    yield path
                elif path.is_file():  # not a device or a pipe, which would never end
                    yield path
        level = deeper
