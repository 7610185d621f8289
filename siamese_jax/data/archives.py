"""The published files that data sets are prepared from: in a folder of the user, or downloaded and verified."""

import errno
import hashlib
import http.client
import os
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from siamese_jax.errors import UserError

TIMEOUT = 5.0
"""Seconds without a byte until a server counts as unreachable."""


@dataclass(frozen=True)
class Archive:
    """One published file, with its sha256 if that was published."""

    name: str
    url: str
    sha256: str | None = None


def locate(dataset: str, files: Sequence[Archive], archives: str | None, downloads: Path) -> Path:
    """Return the folder that holds all files of a data set, after a download if need be.

    Args:
      dataset: its name.
      files: what the folder must hold.
      archives: the folder of the user, or one with a subfolder `dataset`; None downloads the files.
      downloads: where downloads are kept, in a subfolder `dataset`.

    Raises:
      UserError: the folder or a file is missing, there is no network, or a sha256 is wrong.
    """
    if archives is None:
        return _download(dataset, files, downloads / dataset)
    folder = Path(archives).expanduser()
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}: give --archives the folder that holds {_listing(files)}")
    folder = folder / dataset if (folder / dataset).is_dir() else folder
    missing = [file for file in files if not (folder / file.name).is_file()]
    if missing:
        raise UserError(f"{folder} lacks {_listing(missing)}: download it from {missing[0].url} into that folder")
    return folder


def bad_archive(path: Path, problem: object) -> UserError:
    """Return the error for a file with another content than the published one."""
    return UserError(f"{path} is not the published file ({problem}): delete it and download it again")


_DISK_PROBLEMS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO),
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT),
)


def disk_problem(error: Exception) -> str | None:
    """Return what is wrong with the disk or folder, in the words of the system, if `error` is about that; else None."""
    for code in _DISK_PROBLEMS:  # writers in C++ quote the system in a RuntimeError
        if getattr(error, "errno", None) == code or os.strerror(code) in str(error):
            return os.strerror(code)
    return None


def _listing(files: Sequence[Archive]) -> str:
    return ", ".join(file.name for file in files)


def _download(dataset: str, files: Sequence[Archive], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        if (folder / file.name).is_file():
            continue
        try:
            _download_one(file, folder)
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it holds the connection
            if disk_problem(error) and not isinstance(error, urllib.error.URLError):
                raise
            reason = getattr(error, "reason", error)
            raise UserError(
                f"{dataset} is not prepared yet, and {file.url} cannot be downloaded ({reason}): give --archives=DIR, "
                f"a folder with {_listing(files)}. --experiment=glyphs_20way needs no download"
            ) from error
    return folder


def _download_one(file: Archive, folder: Path) -> None:
    # TFDS's downloader would retry for minutes without a network.
    with (
        urllib.request.urlopen(file.url, timeout=TIMEOUT) as response,
        tempfile.TemporaryDirectory(dir=folder) as scratch,
    ):
        print(f"Downloading {file.url} ...", file=sys.stderr)
        part = Path(scratch) / file.name
        with part.open("wb") as target:
            shutil.copyfileobj(response, target)
        length = response.headers.get("Content-Length")
        if length is not None and part.stat().st_size != int(length):
            raise UserError(f"the download of {file.url} ended early: run again")
        if file.sha256 and hashlib.sha256(part.read_bytes()).hexdigest() != file.sha256:
            raise UserError(f"{file.url} is not the file that was published: give a folder with that by --archives=DIR")
        os.replace(part, folder / file.name)  # a whole and verified file, or none
