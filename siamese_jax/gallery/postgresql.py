"""A gallery in a PostgreSQL database with pgvector, for several machines and many pictures.

An index proposes pictures, see `siamese_jax.gallery.index`. A change that was interrupted, because the server or the
connection was lost, is tried again for PATIENCE seconds. Each call that changes pictures has an id of its own in the
database, so that a call whose answer was lost is not made twice.
"""

import contextlib
import struct
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import psycopg
from psycopg.adapt import Dumper
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Format
from psycopg.types import TypeInfo

from siamese_jax.errors import UserError
from siamese_jax.gallery.index import Index
from siamese_jax.gallery.records import About, Embeddings, Picture, Row
from siamese_jax.gallery.store import (
    BATCH,
    FORMAT,
    PATIENCE,
    Embed,
    check_network,
    checked_about,
    checked_rows,
    checksum,
    embeddings,
    to_bytes,
)

PGVECTOR = (0, 8, 6)
"""Older versions of the extension can damage an index while it is cleaned up."""
INDEXED = 2000
"""Numbers in a point that pgvector can index. Longer points are compared one by one."""
EXPLORED = 200
"""Points that a search looks at in the index, `hnsw.ef_search`."""
WAIT = 0.25
"""Seconds between two attempts."""
OPERATORS = {"L1": ("<+>", "vector_l1_ops"), "L2": ("<->", "vector_l2_ops")}
ENROLLED = "to_char(enrolled AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"

TABLES = """
CREATE EXTENSION IF NOT EXISTS vector;
CREATE SCHEMA siamese_jax_gallery;
CREATE TABLE siamese_jax_gallery.about (
    format integer NOT NULL, network text NOT NULL, fingerprint text NOT NULL, embedding_size integer NOT NULL,
    changes bigint NOT NULL);
CREATE TABLE siamese_jax_gallery.calls (id uuid PRIMARY KEY, pictures integer);
CREATE TABLE siamese_jax_gallery.pictures (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, call uuid NOT NULL, class_name text NOT NULL,
    checksum bigint NOT NULL, digest bytea NOT NULL, enrolled timestamptz NOT NULL DEFAULT now(),
    embedding bytea NOT NULL, source text NOT NULL, image bytea NOT NULL, thumbnail bytea NOT NULL,
    UNIQUE (class_name, digest));
CREATE INDEX ON siamese_jax_gallery.pictures (call);
"""

T = TypeVar("T")


class Point:
    """A point of an index, as psycopg sends it."""

    def __init__(self, values: np.ndarray):
        """Keep float32 [D]."""
        self.values = values


class PostgresqlStore:
    """Keeps pictures in a database. Threads can share it, and so can processes on several machines."""

    def __init__(self, url: str, index: Index | None):
        """Connect.

        Args:
          url: The address, "postgresql://USER@HOST/DATABASE".
          index: How the embeddings of the network are found; None where nothing is enrolled or searched.

        Raises:
          UserError: The database cannot be reached, or holds no gallery, or one of another version.
        """
        self._url, self._index, self._lock = url, index, threading.RLock()
        self.place = place_of(url)
        self._connection = self._connect()
        try:
            found = self._insist(lambda: self._rows("SELECT to_regclass('siamese_jax_gallery.about')"))
            if found == [(None,)]:
                raise UserError(f"{self.place} holds no gallery: enrol pictures, which makes one")
            formats = [version for (version,) in self._rows("SELECT format FROM about")]
            if formats != [FORMAT]:
                raise UserError(
                    f"{self.place} does not fit this version: its format is {formats}, not [{FORMAT}]; enrol the "
                    "pictures into another database"
                )
        except BaseException:
            self.close()
            raise

    @classmethod
    def create(cls, url: str, about: About, index: Index | None) -> None:
        """Make an empty gallery, complete or not at all; nothing happens if there is one already."""
        place = place_of(url)
        if index is None:
            raise UserError(
                f"no index of a database fits the energy of the network {about.network!r}: use a file as gallery"
            )
        with _explained(place), psycopg.connect(url) as connection:
            # Processes that start at the same time would all create the tables, and fail without the lock.
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (zlib.crc32(b"siamese_jax_gallery"),))
            if connection.execute("SELECT to_regclass('siamese_jax_gallery.about')").fetchone() != (None,):
                return
            found = connection.execute(
                "SELECT coalesce(installed_version, default_version) FROM pg_available_extensions WHERE name = 'vector'"
            ).fetchone()
            if found is None:
                raise UserError(f"{place} has no pgvector: install {_dotted(PGVECTOR)} or newer on its server")
            if tuple(map(int, found[0].split("."))) < PGVECTOR:
                raise UserError(
                    f"{place} has pgvector {found[0]}, whose index can be damaged: install {_dotted(PGVECTOR)} or "
                    "newer on its server, then run ALTER EXTENSION vector UPDATE"
                )
            connection.execute(TABLES)
            _prepare(connection)
            connection.execute("INSERT INTO about VALUES (%s, %s, %s, %s, 0)", (FORMAT, *about))
            _add_points(connection, about)
            connection.execute("ALTER TABLE pictures ALTER COLUMN point SET NOT NULL")
            _add_index(connection, about, index)

    def about(self) -> About:
        """Return the network whose embeddings are kept."""
        return self._insist(self._about)

    def _about(self) -> About:
        found = self._rows("SELECT network, fingerprint, embedding_size FROM about")
        return checked_about(self.place, found)

    def version(self) -> tuple[int, int]:
        """Return how often pictures were removed or embedded again, and the last id."""
        (found,) = self._insist(
            lambda: self._rows("SELECT (SELECT changes FROM about), coalesce((SELECT max(id) FROM pictures), 0)")
        )
        return found

    def add(self, about: About, rows: Sequence[Row]) -> list[Picture]:
        """Add pictures that their class does not have yet, and return them."""
        index = self._needed_index()
        points = index.points(np.stack([row.embedding for row in rows])) if rows else ()
        call = uuid.uuid4()
        values = [
            (call, row.class_name, checksum(row.class_name, embedding), row.digest, embedding, row.source, row.image,
             row.thumbnail, Point(point))
            for row, point in zip(rows, points, strict=True)
            if (embedding := to_bytes(row.embedding))
        ]  # fmt: skip

        def insert(cursor: psycopg.Cursor) -> int:
            # Held until the end, so that no other network takes over meanwhile.
            (kept,) = cursor.execute("SELECT network, fingerprint, embedding_size FROM about FOR SHARE").fetchall()
            check_network(self.place, About(*kept), about)
            cursor.executemany(
                "INSERT INTO pictures (call, class_name, checksum, digest, embedding, source, image, thumbnail, point) "
                "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                values,
            )
            return cursor.rowcount

        self._once(call, insert)
        return self._pictures("call = %s", call)

    def remove(self, class_name: str | None, picture: int | None) -> int:
        """Remove the pictures of a class, or the one with an id. Return how many there were."""
        where, value = ("id", picture) if class_name is None else ("class_name", class_name)

        def delete(cursor: psycopg.Cursor) -> int:
            count = cursor.execute(f"DELETE FROM pictures WHERE {where} = %s".encode(), (value,)).rowcount
            cursor.execute("UPDATE about SET changes = changes + 1")
            return count

        return self._once(uuid.uuid4(), delete)

    def classes(self) -> dict[str, int]:
        """Return the number of pictures by the name of their class, sorted by name."""
        found = self._insist(
            lambda: self._rows('SELECT class_name, count(*) FROM pictures GROUP BY 1 ORDER BY class_name COLLATE "C"')
        )
        return dict(found)

    def count(self) -> int:
        """Return the number of classes."""
        return self._insist(lambda: self._rows("SELECT count(DISTINCT class_name) FROM pictures"))[0][0]

    def pictures(self, class_name: str | None = None) -> list[Picture]:
        """Return the pictures, of a class or all, sorted by id."""
        return self._pictures("class_name = %s", class_name) if class_name is not None else self._pictures("%s", True)

    def _pictures(self, where: str, value: Any) -> list[Picture]:
        query = f"SELECT id, class_name, source, {ENROLLED} FROM pictures WHERE {where} ORDER BY id"
        return [Picture(*row) for row in self._insist(lambda: self._rows(query, value))]

    def thumbnail(self, picture: int) -> tuple[bytes, bytes] | None:
        """Return the thumbnail and the image of a picture; None if there is no such picture."""
        found = self._insist(lambda: self._rows("SELECT thumbnail, image FROM pictures WHERE id = %s", picture))
        return found[0] if found else None

    def nearest(self, point: np.ndarray, count: int) -> list[str]:
        """Return the classes of the `count` pictures that the index finds nearest to a point [D]."""
        operator, _ = OPERATORS[self._needed_index().distance]
        query = f"SELECT class_name FROM pictures ORDER BY point {operator} %s LIMIT {count}"
        return [name for (name,) in self._insist(lambda: self._rows(query, Point(point)))]

    def embeddings(self, names: Sequence[str]) -> Embeddings:
        """Return the embeddings of all pictures of some classes; UserError if one is damaged."""
        query = "SELECT id, class_name, checksum, embedding FROM pictures WHERE class_name = ANY(%s) ORDER BY id"
        stored = self._insist(lambda: self._rows(query, list(names)))
        return embeddings(self.place, self.about().embedding_size, stored)

    def rows(self) -> Iterator[tuple[int, Row | str]]:
        """Yield the id and the row of each picture; instead of a damaged row, what is wrong with it."""
        last, size = 0, self.about().embedding_size
        query = (
            "SELECT id, class_name, checksum, embedding, source, digest, image, thumbnail FROM pictures WHERE id > %s "
            f"ORDER BY id LIMIT {BATCH}"
        )
        while some := self._insist(lambda after: self._rows(query, after), last):
            yield from checked_rows(self.place, size, some)
            last = some[-1][0]

    def damages(self) -> list[str]:
        """Return nothing: a database is checked with its own tools, for example pg_amcheck."""
        return []

    def replace(self, about: About, embed: Embed, index: Index | None) -> int:
        """Replace all embeddings by those of another network. Readers and writers wait meanwhile."""
        if index is None:
            raise UserError(f"no index of a database fits the energy of the network {about.network!r}: use a file")

        def update(cursor: psycopg.Cursor) -> int:
            last = count = 0
            cursor.execute("LOCK TABLE about, pictures IN ACCESS EXCLUSIVE MODE")
            cursor.execute("ALTER TABLE pictures DROP COLUMN point")
            _add_points(self._connection, about)
            while some := cursor.execute(
                "SELECT id, class_name, image FROM pictures WHERE id > %s ORDER BY id LIMIT %s", (last, BATCH)
            ).fetchall():
                values = embed([image for _, _, image in some])
                changed = [
                    (content := to_bytes(value), checksum(name, content), Point(point), picture)
                    for (picture, name, _), value, point in zip(some, values, index.points(values), strict=True)
                ]
                cursor.executemany(
                    "UPDATE pictures SET embedding = %s, checksum = %s, point = %s WHERE id = %s", changed
                )
                last, count = some[-1][0], count + len(some)
            cursor.execute(
                "UPDATE about SET network = %s, fingerprint = %s, embedding_size = %s, changes = changes + 1", about
            )
            cursor.execute("ALTER TABLE pictures ALTER COLUMN point SET NOT NULL")
            _add_index(self._connection, about, index)
            return count

        count = self._once(uuid.uuid4(), update)
        self._index = index
        return count

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()

    def _needed_index(self) -> Index:
        if self._index is None:
            raise UserError(f"{self.place} was opened without a network that has an index: give one")
        return self._index

    def _rows(self, query: str, *values: Any) -> list[Any]:
        return self._connection.execute(query.encode(), values or None).fetchall()

    def _connect(self) -> psycopg.Connection:
        with _explained(self.place):
            connection = psycopg.connect(self._url, autocommit=True, connect_timeout=10)
            _prepare(connection)
        return connection

    def _once(self, call: uuid.UUID, change: Callable[[psycopg.Cursor], int]) -> int:
        """Make a change of pictures in a transaction, and return how many it changed.

        The database keeps that number. So if the answer of an attempt was lost, the next one finds whether it was
        committed.
        """

        def attempt() -> int:
            with self._connection.transaction(), self._connection.cursor() as cursor:
                if cursor.execute("INSERT INTO calls VALUES (%s) ON CONFLICT DO NOTHING", (call,)).rowcount:
                    count = change(cursor)
                    cursor.execute("UPDATE calls SET pictures = %s WHERE id = %s", (count, call))
                    return count
                ((count,),) = cursor.execute("SELECT pictures FROM calls WHERE id = %s", (call,)).fetchall()
                return count

        return self._insist(attempt)

    def _insist(self, call: Callable[..., T], *arguments: Any) -> T:
        """Call; connect and try again for PATIENCE seconds if the server or the connection was lost."""
        until = time.monotonic() + PATIENCE
        with self._lock:
            while True:
                try:
                    with _explained(self.place):
                        if self._connection.broken:
                            self._connection = self._connect()
                        return call(*arguments)
                except UserError as error:
                    lost = isinstance(error.__cause__, psycopg.errors.DeadlockDetected) or (
                        isinstance(error.__cause__, psycopg.OperationalError) and self._connection.broken
                    )
                    if not lost or time.monotonic() > until:
                        raise
                    time.sleep(WAIT)


class _PointDumper(Dumper):
    """Sends a point as pgvector's binary format has it: two 16-bit numbers, then big-endian float32."""

    format = Format.BINARY

    def dump(self, obj: Point) -> bytes:
        """Return the bytes of a point."""
        return struct.pack(">HH", len(obj.values), 0) + obj.values.astype(">f4").tobytes()


def _prepare(connection: psycopg.Connection) -> None:
    """Prepare a connection: names of tables, safe commits, the index, and how points are sent."""
    connection.execute(
        "SELECT set_config('search_path', 'siamese_jax_gallery, ' || coalesce((SELECT extnamespace::regnamespace::text "
        "FROM pg_extension WHERE extname = 'vector'), 'public'), false)"
    )
    connection.execute("SET synchronous_commit = on")  # what was acknowledged is on disk
    vector = TypeInfo.fetch(connection, "vector")
    if vector is not None:
        connection.execute(f"SET hnsw.ef_search = {EXPLORED}".encode())
        connection.execute("SET hnsw.iterative_scan = relaxed_order")  # removed pictures leave gaps in the index
        connection.adapters.register_dumper(Point, type("_Dumper", (_PointDumper,), {"oid": vector.oid}))


def _add_points(connection: psycopg.Connection, about: About) -> None:
    connection.execute(f"ALTER TABLE pictures ADD COLUMN point vector({about.embedding_size})".encode())


def _add_index(connection: psycopg.Connection, about: About, index: Index) -> None:
    if about.embedding_size <= INDEXED:
        kind = OPERATORS[index.distance][1]
        connection.execute(f"CREATE INDEX nearest ON pictures USING hnsw (point {kind})".encode())


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def place_of(url: str) -> str:
    """Return what messages call a database: without the password."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise UserError(
            "the address of the gallery is not one of a database: write postgresql://USER@HOST/DATABASE"
        ) from error
    return f"the database {parts.get('dbname', '')!r} on {parts.get('host', 'this machine')}"


@contextlib.contextmanager
def _explained(place: str) -> Iterator[None]:
    """Turn an error of the database into a UserError of one sentence."""
    try:
        yield
    except psycopg.Error as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{place} cannot be used: {reason}") from error
