"""Pictures prepared once: all of a listing as one array on disk, with what was wrong with the files that are not in it.

The folder of the array is named by what decides its pixels: the settings, and the path, size and time of each file. So
a changed folder is prepared again. The array is mapped, and only what is used of it is read into memory.
"""

import hashlib
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from siamese_jax.data.folder.listing import Listing
from siamese_jax.devices import usable_cores
from siamese_jax.errors import UserError
from siamese_jax.specs import Folder
from siamese_jax.storage import files
from siamese_jax.storage.image_files import read_picture

VERSION = 1
"""Raise it whenever a file is read into other pixels."""
AT_ONCE = 64
"""Pictures that are read before they are written: this bounds the memory."""


class Prepared(NamedTuple):
    """The pictures of a listing.

    Attributes:
      images: uint8 [n, side, side, C], mapped from disk.
      kept: int [n], which entries of the listing they are, ascending.
      refused: why each of the other entries is not among them, by path.
    """

    images: np.ndarray
    kept: np.ndarray
    refused: dict[str, str]


def prepare(listing: Listing, spec: Folder, cache: Path) -> Prepared:
    """Return the pictures of a listing; read them if they were not prepared before.

    Args:
      listing: which pictures.
      spec: their size, and how they are read.
      cache: where prepared pictures are kept.

    Raises:
      UserError: a file is missing, or the pictures cannot be written.
    """
    place = cache / _fingerprint(listing, spec)
    if not (place / "index.json").exists():
        with files.explained(cache):
            cache.mkdir(parents=True, exist_ok=True)
            unfinished = Path(tempfile.mkdtemp(dir=cache, prefix=".unfinished-"))
        try:
            with files.explained(unfinished):
                _write(listing, spec, unfinished)
            try:
                unfinished.rename(place)
            except OSError:  # another process was faster
                if not (place / "index.json").exists():
                    raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return _read(place, spec.image_shape, len(listing.entries))


def _fingerprint(listing: Listing, spec: Folder) -> str:
    digest = hashlib.blake2b(
        repr((VERSION, spec.image_shape, spec.fit, spec.polarity, str(listing.root.absolute()))).encode()
    )
    for entry in listing.entries:
        path = listing.root / entry.path
        with files.explained(path, "read"):
            found = path.stat()
        digest.update(repr((entry.path, found.st_size, found.st_mtime_ns)).encode())
    return digest.hexdigest()[:32]


def _write(listing: Listing, spec: Folder, place: Path) -> None:
    """Write images.raw, one picture after the other, and then index.json, which says that all are there."""
    kept, refused = [], {}
    with (place / "images.raw").open("wb") as file:
        for number, found in enumerate(_pictures(listing, spec)):
            if isinstance(found, str):
                refused[listing.entries[number].path] = found
                continue
            kept.append(number)
            file.write(found.tobytes())
        file.flush()
        os.fsync(file.fileno())
    files.write_json(place / "index.json", {"shape": spec.image_shape, "kept": kept, "refused": refused})


def _pictures(listing: Listing, spec: Folder) -> Iterator[np.ndarray | str]:
    """Yield the pixels of each entry, or the sentence that says why it is refused."""
    height, _, channels = spec.image_shape

    def read(path: str) -> np.ndarray | str:
        try:
            return read_picture(listing.root / path, height, channels, spec.fit, spec.polarity).pixels
        except UserError as error:
            return str(error)

    with ThreadPoolExecutor(usable_cores()) as pool:
        for first in range(0, len(listing.entries), AT_ONCE):
            yield from pool.map(read, [entry.path for entry in listing.entries[first : first + AT_ONCE]])


def _read(place: Path, image_shape: tuple[int, int, int], count: int) -> Prepared:
    """Return prepared pictures; UserError unless they have that shape, and are some of `count` entries."""
    try:
        index = files.read_json(place / "index.json") or {}
        kept, refused = np.array(index["kept"], int), {str(path): str(why) for path, why in index["refused"].items()}
        shape, pixels = (len(kept), *image_shape), place / "images.raw"
        if index["shape"] != list(image_shape) or kept.ndim != 1 or np.any(np.diff(kept) <= 0):
            raise ValueError("its list is wrong")
        if not np.all((kept >= 0) & (kept < count)) or pixels.stat().st_size != math.prod(shape):
            raise ValueError("its size is wrong")
        images = np.memmap(pixels, np.uint8, "r", shape=shape) if shape[0] else np.zeros(shape, np.uint8)
        return Prepared(images, kept, refused)
    except (OSError, UserError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise UserError(
            f"the prepared pictures in {place} are damaged ({error}): delete that folder and run again"
        ) from error
