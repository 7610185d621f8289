"""A gallery in one file of SQLite.

Writes go to a log beside the file first (WAL), and a write returns when the log is on disk. So a process that is killed
loses nothing that was acknowledged, and readers never wait for a writer. The file is not trusted: its tables must be
the ones below, and nothing in it is longer than MAX_LENGTH.
"""

import contextlib
import os
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from siamese_jax.errors import UserError
from siamese_jax.gallery.index import Index
from siamese_jax.gallery.records import About, Embeddings, Picture, Row
from siamese_jax.gallery.store import (
    BATCH,
    FORMAT,
    MAX_DIGEST,
    MAX_IMAGE,
    MAX_NAME,
    MAX_SOURCE,
    MAX_THUMBNAIL,
    PATIENCE,
    Embed,
    check_network,
    checked_about,
    checked_pictures,
    checked_rows,
    checksum,
    damaged,
    embeddings,
    joined,
    now,
    to_bytes,
)
from siamese_jax.storage.files import check_file, explained
from siamese_jax.storage.folders import made
from siamese_jax.storage.locks import exclusive

APPLICATION = 0x53494A58
"""Marks a file of SQLite as a gallery: "SIJX"."""
MAX_LENGTH = 64 << 20
"""Bytes that one value may have."""
SCANNED = 10_000
"""Embeddings that are read at a time."""

TABLES = (
    "CREATE TABLE about (network TEXT NOT NULL, fingerprint TEXT NOT NULL, embedding_size INTEGER NOT NULL, "
    "changes INTEGER NOT NULL)",
    "CREATE TABLE pictures (id INTEGER PRIMARY KEY AUTOINCREMENT, class_name TEXT NOT NULL, checksum INTEGER NOT NULL, "
    "digest BLOB NOT NULL, enrolled TEXT NOT NULL, embedding BLOB NOT NULL, source TEXT NOT NULL, image BLOB NOT NULL, "
    "thumbnail BLOB NOT NULL, UNIQUE (class_name, digest))",
)
"""The embedding stands before the large values, so that a scan does not read these."""


def _at_most(column: str, length: int | str) -> str:
    """Return a column in SQL that is NULL where its value is longer: so it is not even read."""
    return f"CASE WHEN length({column}) <= {length} THEN {column} END"


NAME, SOURCE, ENROLLED = _at_most("class_name", MAX_NAME), _at_most("source", MAX_SOURCE), _at_most("enrolled", 100)
DIGEST, IMAGE = _at_most("digest", MAX_DIGEST), _at_most("image", MAX_IMAGE)
THUMBNAIL = _at_most("thumbnail", MAX_THUMBNAIL)
EMBEDDING = _at_most("embedding", "?2")
"""Columns as they are read from a file that is not trusted; the second parameter is the length of an embedding."""


class SqliteStore:
    """Keeps pictures in a file. Threads can share it, and processes can open the same file."""

    def __init__(self, path: str | os.PathLike[str]):
        """Open the file; UserError if it is missing, damaged or not a gallery."""
        self.place = os.fspath(path)
        self._lock = threading.RLock()
        # Only SQLite may open the file: when a process closes a file, POSIX takes away all its locks on it, also those
        # of another connection. Then another process removes the log beside it, and what is written next is lost.
        with explained(self.place, "opened"):
            os.stat(path)
        check_file(path)
        with self._explained():
            self._database = _connect(Path(path))
        try:
            with self._explained():
                application, version = (
                    self._database.execute(f"PRAGMA {name}").fetchone()[0]
                    for name in ("application_id", "user_version")
                )
                tables = self._database.execute(
                    "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'sqlite_sequence'"
                )
                known = sorted(str(sql) for (sql,) in tables) == sorted(TABLES)
            if application != APPLICATION:
                raise UserError(f"{self.place} is not a gallery: give the path of a file that enrol made")
            if version != FORMAT or not known:
                raise UserError(
                    f"{self.place} does not fit this version: its format is {version}, not {FORMAT}; enrol the "
                    "pictures into a new gallery"
                )
        except BaseException:
            self._database.close()
            raise

    @classmethod
    def create(cls, path: str | os.PathLike[str], about: About) -> None:
        """Make an empty gallery, complete or not at all; nothing happens if another process was first."""
        path = Path(path)
        unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        with explained(path), made(path.parent):
            try:
                with _explained(str(path)), contextlib.closing(_connect(unfinished, "rwc")) as database:
                    database.execute("PRAGMA journal_mode = WAL")
                    database.execute("BEGIN")
                    for table in TABLES:
                        database.execute(table)
                    database.execute("INSERT INTO about VALUES (?, ?, ?, 0)", about)
                    database.execute(f"PRAGMA application_id = {APPLICATION}")
                    database.execute(f"PRAGMA user_version = {FORMAT}")
                    database.execute("COMMIT")
                _name(unfinished, path)
            finally:
                unfinished.unlink(missing_ok=True)
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)  # otherwise a power cut may take the name of the file away
            finally:
                os.close(folder)

    def about(self) -> About:
        """Return the network whose embeddings are kept."""
        with self._reading():
            found = self._database.execute("SELECT network, fingerprint, embedding_size FROM about").fetchall()
        return checked_about(self.place, found)

    def version(self) -> tuple[int, int]:
        """Return how often pictures were removed or embedded again, and the last id. Ids only grow."""
        with self._reading():
            found = self._database.execute(
                "SELECT (SELECT changes FROM about), coalesce((SELECT max(id) FROM pictures), 0)"
            ).fetchone()
        if [type(number) for number in found] != [int, int]:
            raise UserError(f"{self.place} is damaged, its changes are not counted: restore it from a copy")
        return found

    def add(self, about: About, rows: Sequence[Row]) -> list[Picture]:
        """Add pictures that their class does not have yet, and return them."""
        added, enrolled = [], now()
        with self._writing():
            check_network(self.place, self.about(), about)
            for row in rows:
                embedding = to_bytes(row.embedding)
                found = self._database.execute(
                    "INSERT OR IGNORE INTO pictures VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
                    (
                        row.class_name, checksum(row.class_name, embedding), row.digest, enrolled, embedding,
                        row.source, row.image, row.thumbnail,
                    ),
                ).fetchall()  # fmt: skip
                added += [Picture(picture, row.class_name, row.source, enrolled) for (picture,) in found]
        return added

    def remove(self, class_name: str | None, picture: int | None) -> int:
        """Remove the pictures of a class, or the one with an id. Return how many there were."""
        where, value = ("id", picture) if class_name is None else ("class_name", class_name)
        with self._writing():
            count = self._database.execute(f"DELETE FROM pictures WHERE {where} = ?", (value,)).rowcount
            self._database.execute("UPDATE about SET changes = changes + 1")
        return count

    def classes(self) -> dict[str, int]:
        """Return the number of pictures by the name of their class, sorted by name."""
        with self._reading():
            found = self._database.execute(
                f"SELECT {NAME}, count(*), min(id) FROM pictures GROUP BY class_name ORDER BY class_name"
            ).fetchall()
        for name, _, picture in found:
            if not isinstance(name, str):
                raise damaged(self.place, picture)
        return {name: count for name, count, _ in found}

    def pictures(self, class_name: str | None = None) -> list[Picture]:
        """Return the pictures, of a class or all, sorted by id."""
        with self._reading():
            found = self._database.execute(
                f"SELECT id, {NAME}, {SOURCE}, {ENROLLED} FROM pictures WHERE ?1 IS NULL OR class_name = ?1 "
                "ORDER BY id",
                (class_name,),
            )
            return checked_pictures(self.place, found)

    def thumbnail(self, picture: int) -> tuple[bytes, bytes] | None:
        """Return the thumbnail and the image of a picture; None if there is no such picture."""
        with self._reading():
            query = f"SELECT {THUMBNAIL}, {IMAGE} FROM pictures WHERE id = ?"
            found = self._database.execute(query, (picture,)).fetchone()
        if found is not None and not all(isinstance(part, bytes) for part in found):
            raise damaged(self.place, picture)
        return found

    def changed(self, version: tuple[int, int]) -> tuple[tuple[int, int], About, Embeddings]:
        """Return what is new since a version, all from one moment; UserError if an embedding is damaged.

        Returns:
          The present version; the network; and the embeddings of the pictures that were added since, sorted by id. If
          pictures were removed or embedded again since (the first number of the version differs), these are all.
        """
        with self._reading():
            self._database.execute("BEGIN")
            try:
                present, about = self.version(), self.about()
                after = version[1] if version[0] == present[0] else 0
                size = about.embedding_size
                rows = self._database.execute(
                    f"SELECT id, {NAME}, checksum, {EMBEDDING} FROM pictures WHERE id > ?1 ORDER BY id",
                    (after, 4 * size),
                )
                parts = [embeddings(self.place, size, some) for some in iter(lambda: rows.fetchmany(SCANNED), [])]
            finally:
                self._database.execute("COMMIT")
        return present, about, joined(parts, size)

    def rows(self) -> Iterator[tuple[int, Row | str]]:
        """Yield the id and the row of each picture; instead of a damaged row, what is wrong with it."""
        last, size = 0, self.about().embedding_size
        while True:
            with self._reading():
                some = self._database.execute(
                    f"SELECT id, {NAME}, checksum, {EMBEDDING}, {SOURCE}, {DIGEST}, {IMAGE}, {THUMBNAIL} FROM pictures "
                    "WHERE id > ?1 ORDER BY id LIMIT ?3",
                    (last, 4 * size, BATCH),
                ).fetchall()
            if not some:
                return
            yield from checked_rows(self.place, size, some)
            last = some[-1][0]

    def damages(self) -> list[str]:
        """Return what SQLite itself finds wrong with the file, as sentences."""
        with self._reading():
            found = [text for (text,) in self._database.execute("PRAGMA integrity_check(20)")]
        return [] if found == ["ok"] else [f"{self.place} is damaged: {text}" for text in found]

    def replace(self, about: About, embed: Embed, index: Index | None) -> int:
        """Replace all embeddings by those of another network. Other writers wait meanwhile; readers do not."""
        last = count = 0
        with self._writing():
            while some := self._database.execute(
                f"SELECT id, {NAME}, {IMAGE} FROM pictures WHERE id > ? ORDER BY id LIMIT ?", (last, BATCH)
            ).fetchall():
                for picture, name, image in some:
                    if not (isinstance(name, str) and isinstance(image, bytes)):
                        raise damaged(self.place, picture)
                values = embed([image for _, _, image in some])
                changed = [
                    (content := to_bytes(value), checksum(name, content), picture)
                    for (picture, name, _), value in zip(some, values, strict=True)
                ]
                self._database.executemany("UPDATE pictures SET embedding = ?, checksum = ? WHERE id = ?", changed)
                last, count = some[-1][0], count + len(some)
            self._database.execute(
                "UPDATE about SET network = ?, fingerprint = ?, embedding_size = ?, changes = changes + 1", about
            )
        return count

    def close(self) -> None:
        """Close the file. The last process that closes it empties and removes the log beside it."""
        with self._lock:
            self._database.close()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock, self._explained():
            yield

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold a transaction: commit at the end, or leave the file as it was."""
        with self._lock, self._explained():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def _explained(self) -> contextlib.AbstractContextManager[None]:
        return _explained(self.place)


def _name(unfinished: Path, path: Path) -> None:
    """Give a file its name, unless another process was first."""
    try:
        os.link(unfinished, path)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        lock = path.with_name(f".{path.name}.lock")
        with exclusive(lock, wait=True):
            if not path.exists():
                unfinished.rename(path)
            lock.unlink()


def _connect(path: Path, mode: str = "rw") -> sqlite3.Connection:
    database = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=PATIENCE,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_LENGTH)
        for pragma in ("synchronous = FULL", "trusted_schema = OFF", "cell_size_check = ON"):
            database.execute(f"PRAGMA {pragma}")
    except BaseException:
        database.close()
        raise
    return database


@contextlib.contextmanager
def _explained(place: str) -> Iterator[None]:
    """Turn an error of SQLite into a UserError that says what to do."""
    try:
        yield
    except UnicodeDecodeError as error:  # a damaged name of a table
        raise UserError(f"{place} cannot be used ({error}): {_ADVICE['SQLITE_CORRUPT']}") from error
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        kind = next(
            (advice for start, advice in _ADVICE.items() if name.startswith(start)), "check the path and the disk"
        )
        raise UserError(f"{place} cannot be used ({error}): {kind}") from error


_ADVICE = {
    "SQLITE_BUSY": f"another process has been writing to it for {PATIENCE:.0f} seconds, try again",
    "SQLITE_LOCKED": "try again",
    "SQLITE_FULL": "free some space on that disk",
    "SQLITE_READONLY": "choose a file and a folder that you may write to",
    "SQLITE_CANTOPEN": "choose a file in a folder that you may write to",
    "SQLITE_CORRUPT": "the file is damaged, restore it from a copy",
    "SQLITE_NOTADB": "give the path of a file that enrol made, or restore it from a copy",
    "SQLITE_TOOBIG": "the file is damaged, restore it from a copy",
}
