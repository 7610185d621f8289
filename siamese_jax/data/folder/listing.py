"""Which pictures a folder or a table names, with class, group, author and set. No picture is opened here."""

import csv
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from siamese_jax.errors import UserError
from siamese_jax.specs import Folder
from siamese_jax.storage.files import explained, read_bytes
from siamese_jax.storage.picture_files import is_foreign

COLUMNS = ("path", "class", "group", "author", "split")
"""Columns of a table. `path` and `class` are needed, the others are optional."""
SETS = ("train", "validation", "test")
MAX_TABLE = 200_000_000
"""Bytes of a table; a longer one is refused."""
ALONE = "all"
"""Name of the only group of a folder without groups."""


class Entry(NamedTuple):
    """One picture of a listing.

    Attributes:
      path: of the file, below the root of the listing, with "/" between folders.
      class_: name of its class.
      group: name of its group.
      author: who made it; "" where that is unknown.
      split: the set that a table puts it into; "" where the table has no such column.
    """

    path: str
    class_: str
    group: str = ALONE
    author: str = ""
    split: str = ""


class Listing(NamedTuple):
    """The pictures that were found below `root`, sorted by group, class, author and path, and the files left out."""

    root: Path
    entries: list[Entry]
    foreign: list[str]


def list_pictures(spec: Folder) -> Listing:
    """Return what `spec.table` names, or else what lies in `spec.path`.

    Raises:
      UserError: there is no such folder or table, it names no picture, or it cannot be understood.
    """
    if spec.table:
        root = Path(spec.path) if spec.path else Path(spec.table).parent
        entries, foreign = list(_of_table(Path(spec.table))), []
    elif spec.path:
        root = Path(spec.path)
        entries, foreign = _of_folder(root)
    else:
        raise UserError(
            "data.name=folder needs pictures: give --data.path=DIR with DIR/CLASS/PICTURE or DIR/GROUP/CLASS/PICTURE, "
            "or --data.table=FILE.csv"
        )
    if spec.author == "stem":
        entries = [entry._replace(author=entry.author or Path(entry.path).stem) for entry in entries]
    if not entries:
        raise UserError(f"{spec.table or root} names no picture: give --data.path=DIR with DIR/CLASS/PICTURE")
    return Listing(
        root, sorted(entries, key=lambda entry: (entry.group, entry.class_, entry.author, entry.path)), foreign
    )


def write_table(entries: Sequence[Entry], digests: Sequence[str]) -> str:
    """Return a table as text that `--data.table` reads, with a column `digest` that it does not need."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, "digest"])
    writer.writerows([*entry, digest] for entry, digest in zip(entries, digests, strict=True))
    return text.getvalue()


def _of_folder(root: Path) -> tuple[list[Entry], list[str]]:
    """Return the pictures of DIR/CLASS/PICTURE or DIR/GROUP/CLASS/PICTURE, and the foreign files."""
    if not root.is_dir():
        raise UserError(f"there is no folder {root}: give --data.path=DIR with DIR/CLASS/PICTURE")
    entries, foreign, example = [], [], {}
    for parts in _files(root):
        path = "/".join(parts)
        if is_foreign(root / path):
            foreign.append(path)
            continue
        example.setdefault(len(parts), path)
        entries.append(Entry(path, parts[-2] if len(parts) > 1 else "", parts[-3] if len(parts) > 2 else ALONE))
    if len(example) > 1 or not {2, 3}.issuperset(example):
        shown = " and ".join(example.values())
        raise UserError(
            f"{root} must have all pictures as CLASS/PICTURE, or all as GROUP/CLASS/PICTURE, but it has {shown}: move "
            "them, or name classes in a table with --data.table"
        )
    return entries, foreign


def _files(root: Path) -> Iterator[tuple[str, ...]]:
    """Yield the files below a folder as parts of their path. Hidden folders and links to folders are not entered."""

    def refuse(error: OSError) -> None:
        raise error

    with explained(root, "read"):
        for folder, below, names in os.walk(root, onerror=refuse):
            below[:] = sorted(name for name in below if not name.startswith(".") and name != "__MACOSX")
            parts = Path(folder).relative_to(root).parts
            yield from ((*parts, name) for name in sorted(names))


def _of_table(path: Path) -> Iterator[Entry]:
    content = read_bytes(path, MAX_TABLE)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: save the table as CSV in UTF-8") from error
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        names = reader.fieldnames or []
        if not {"path", "class"}.issubset(names):
            raise UserError(
                f"{path} has the columns {', '.join(names) or 'none'}: it needs path and class, and may have group, "
                "author and split"
            )
        for row in reader:
            yield _entry(path, reader.line_num, row)
    except csv.Error as error:
        raise UserError(f"{path} line {reader.line_num} is not CSV: {error}") from error


def _entry(path: Path, line: int, row: dict[str, str | None]) -> Entry:
    values = [(row.get(name) or "").strip() for name in COLUMNS]
    entry = Entry(*values)._replace(group=values[2] or ALONE)
    if not entry.path or not entry.class_:
        raise UserError(f"{path} line {line} has no {'class' if entry.path else 'path'}: fill it in")
    if "\0" in entry.path:
        raise UserError(f"{path} line {line} has a path with a zero byte: restore the table")
    if entry.split and entry.split not in SETS:
        raise UserError(f"{path} line {line} has split={entry.split}: use train, validation or test")
    return entry
