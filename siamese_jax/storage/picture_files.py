"""Many picture files at once: what is not a picture is skipped, and every skipped file is named with its reason."""

import itertools
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from siamese_jax.errors import UserError
from siamese_jax.printable import printable
from siamese_jax.storage import files
from siamese_jax.storage.image_files import Picture, check_choices, read_picture

SYSTEM = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"}
"""Files that Windows and macOS leave in folders of pictures, in lower case; theirs with a leading dot are hidden."""
SYSTEM_FOLDERS = {"__macosx", "@eadir", "$recycle.bin"}
PICTURES = {
    ".apng", ".avif", ".bmp", ".dib", ".eps", ".gif", ".heic", ".heif", ".ico", ".j2k", ".jfif", ".jp2", ".jpe",
    ".jpeg", ".jpg", ".jxl", ".mpo", ".pbm", ".pdf", ".pgm", ".png", ".pnm", ".ppm", ".ps", ".psd", ".svg", ".tga",
    ".tif", ".tiff", ".webp",
}  # fmt: skip
"""Endings of files that somebody takes for pictures, readable or not. They are never foreign."""
SIGNATURES = (
    b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+",
    b"P1", b"P2", b"P3", b"P4", b"P5", b"P6",
)  # fmt: skip
"""First bytes of the formats that are read."""
FOREIGN = "is not a picture"
SHOWN = 5
"""Skipped files that a message names."""


def is_foreign(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file in a folder of pictures was never meant as one.

    These are hidden files, files of the operating system (Thumbs.db, desktop.ini, .DS_Store, __MACOSX), and files whose
    name does not end as a picture's and whose first bytes are not those of a format that is read. An empty or damaged
    file called a.png is not foreign: somebody will miss it. A file that cannot be opened is not foreign either, but
    pipes, sockets and devices are.
    """
    path = Path(path)
    if path.name.startswith(".") or path.name.lower() in SYSTEM or path.parent.name.lower() in SYSTEM_FOLDERS:
        return True
    if path.suffix.lower() in PICTURES:
        return False
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            return not stat.S_ISDIR(mode)
        with files.open_file(path) as file:
            return not file.read(8).startswith(SIGNATURES)
    except (OSError, ValueError):
        return False


def read_pictures(
    paths: Iterable[str | os.PathLike[str]], side: int, channels: int = 1, fit: str = "pad", polarity: str = "auto"
) -> Iterator[tuple[Path, Picture | str]]:
    """Read many files, one at a time, without stopping at one that cannot be used.

    Args:
      paths: The files.
      side: As in `read_image`, like the other arguments.
      channels: 1 or 3.
      fit: "pad", "ink", "crop" or "squash".
      polarity: "auto", "dark", "light" or "keep".

    Yields:
      Each path with its picture, or with the reason why it was skipped, which begins with the path.

    Raises:
      UserError: An argument other than the paths is wrong.
    """
    check_choices(side, channels, fit, polarity)
    for path in map(Path, paths):
        if is_foreign(path):
            yield path, f"{path} {FOREIGN}"
            continue
        try:
            yield path, read_picture(path, side, channels, fit, polarity)
        except UserError as error:
            yield path, str(error)


def skipped_in_words(skipped: Mapping[Path, str]) -> str:
    """Return a sentence on the files that were skipped, "" if there are none. The first files are named.

    Args:
      skipped: The reason for each path, from `read_pictures`.
    """
    if not skipped:
        return ""
    foreign = [path.name for path, reason in skipped.items() if reason.endswith(FOREIGN)]
    others = [reason for reason in skipped.values() if not reason.endswith(FOREIGN)]
    parts = [_some(others, "; ")] if others else []
    if foreign:
        names = _some(list(dict.fromkeys(foreign)), ", ")
        parts.append(f"{len(foreign)} not {'a picture' if len(foreign) == 1 else 'pictures'} ({names})")
    parts = [printable(part) for part in parts]
    return f"{len(skipped)} {'file was' if len(skipped) == 1 else 'files were'} skipped: {'; '.join(parts)}"


def check_left(read: int, skipped: Mapping[Path, str], place: str | os.PathLike[str], least: int = 1) -> None:
    """Raise UserError if fewer than `least` pictures of a place were read; it says what was skipped.

    Args:
      read: Pictures that were read.
      skipped: The reason for each other path, from `read_pictures`.
      place: What messages call the folder or table.
      least: Pictures that are needed.
    """
    if read < least:
        found = f"{os.fsdecode(place)} has {read} {'picture' if read == 1 else 'pictures'} that can be used"
        why = skipped_in_words(skipped)
        raise UserError(f"{found}, and at least {least} {'is' if least == 1 else 'are'} needed{why and '. '}{why}")


def _some(items: list[str], separator: str) -> str:
    """Return the first items, and how many more there are."""
    more = len(items) - SHOWN
    return separator.join(itertools.chain(items[:SHOWN], [f"and {more} more"] if more > 0 else []))
