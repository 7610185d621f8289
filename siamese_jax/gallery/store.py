"""Where a gallery's pictures are kept: what the file and the database have in common."""

import datetime
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from siamese_jax.errors import UserError
from siamese_jax.gallery.index import Index
from siamese_jax.gallery.records import About, Embeddings, Picture, Row

FORMAT = 1
"""Of the tables. Galleries of another format are refused."""
MAX_NAME, MAX_SOURCE, MAX_DIGEST, MAX_IMAGE, MAX_THUMBNAIL = 200, 4096, 64, 16 << 20, 64 << 10
"""Characters of a class name and of a source, and bytes of a digest, an image and a thumbnail."""
BATCH = 100
"""Rows that are read at a time where all are read."""
MAX_SIZE = 1 << 24
"""Numbers of an embedding."""
PATIENCE = 30.0
"""Seconds to wait for another writer, or for a database that does not answer."""

Embed = Callable[[list[bytes]], np.ndarray]
"""Embeds the kept images of some rows, PNG files -> float32 [N, D]."""


class Store(Protocol):
    """Keeps pictures. Each change is made as a whole or not at all, and is on disk when the method returns."""

    place: str
    """What messages call it."""

    def about(self) -> About:
        """Return the network whose embeddings are kept."""
        ...

    def version(self) -> tuple[int, int]:
        """Return what differs after a change: how often pictures were removed or embedded again, and the last id."""
        ...

    def add(self, about: About, rows: Sequence[Row]) -> list[Picture]:
        """Add pictures that their class does not have yet, and return them.

        Args:
          about: The network whose embeddings the rows have.
          rows: The pictures.

        Raises:
          UserError: The gallery belongs to another network. Nothing has been added.
        """
        ...

    def remove(self, class_name: str | None, picture: int | None) -> int:
        """Remove the pictures of a class, or the one with an id. Return how many there were."""
        ...

    def classes(self) -> dict[str, int]:
        """Return the number of pictures by the name of their class, sorted by name."""
        ...

    def pictures(self, class_name: str | None = None) -> list[Picture]:
        """Return the pictures, of a class or all, sorted by id."""
        ...

    def thumbnail(self, picture: int) -> tuple[bytes, bytes] | None:
        """Return the thumbnail and the image of a picture; None if there is no such picture."""
        ...

    def rows(self) -> Iterator[tuple[int, Row | str]]:
        """Yield the id and the row of each picture; instead of a damaged row, what is wrong with it."""
        ...

    def damages(self) -> list[str]:
        """Return what the file or the database itself finds wrong, as sentences."""
        ...

    def replace(self, about: About, embed: Embed, index: Index | None) -> int:
        """Replace all embeddings by those of another network. Return how many there are.

        Args:
          about: The network.
          embed: Embeds kept images.
          index: How a database finds the embeddings of this network; a file has no index.
        """
        ...

    def close(self) -> None:
        """Close it. It cannot be used any more."""
        ...


def checksum(class_name: str, embedding: bytes) -> int:
    """Return the checksum of a row: neither SQLite nor PostgreSQL would notice a damaged embedding."""
    return zlib.crc32(embedding, zlib.crc32(class_name.encode()))


def to_bytes(embedding: np.ndarray) -> bytes:
    """Return an embedding as it is stored: little-endian float32."""
    return np.asarray(embedding, "<f4").tobytes()


def embeddings(place: str, size: int, stored: list[tuple[int, str, int, bytes]]) -> Embeddings:
    """Return stored embeddings after checking each.

    Args:
      place: What messages call the gallery.
      size: Numbers in an embedding.
      stored: Id, name of the class, checksum and bytes of the embedding, of each picture.

    Raises:
      UserError: A row is damaged.
    """
    for picture, name, kept, content in stored:
        if (
            not isinstance(name, str)
            or not isinstance(content, bytes)
            or len(content) != 4 * size
            or checksum(name, content) != kept
        ):
            raise damaged(place, picture)
    shared: dict[str, str] = {}
    values = np.frombuffer(b"".join(row[3] for row in stored), "<f4").astype(np.float32).reshape(-1, size)
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        raise damaged(place, stored[int(finite.argmin())][0])
    return Embeddings(
        np.array([row[0] for row in stored], np.int64),
        [shared.setdefault(row[1], row[1]) for row in stored],
        values,
    )


def damaged(place: str, picture: object) -> UserError:
    """Return the error for a picture, named by its id, of which something is not as `Store.add` keeps it."""
    return UserError(
        f"picture {picture} in {place} is damaged: restore the gallery from a copy, or remove that picture and enrol "
        "it again"
    )


def checked_about(place: str, found: Sequence[Sequence[Any]]) -> About:
    """Return the network that a gallery belongs to; UserError unless exactly one is named as it should be."""
    if len(found) == 1:
        network, fingerprint, size = found[0]
        words = isinstance(network, str) and isinstance(fingerprint, str)
        if words and type(size) is int and 0 < size <= MAX_SIZE:
            return About(network, fingerprint, size)
    raise UserError(f"{place} is damaged, it does not name one network: restore it from a copy")


def checked_pictures(place: str, found: Iterable[Sequence[Any]]) -> list[Picture]:
    """Return pictures from their id, class, source and time; UserError if one of them is not text."""
    pictures = [Picture(*row) for row in found]
    for one in pictures:
        if not all(isinstance(text, str) for text in one[1:]):
            raise damaged(place, one.id)
    return pictures


def checked_rows(place: str, size: int, stored: Sequence[Sequence[Any]]) -> Iterator[tuple[int, Row | str]]:
    """Yield the id and the row of each stored picture; instead of a damaged row, what is wrong with it.

    Args:
      place: What messages call the gallery.
      size: Numbers in an embedding.
      stored: Id, name of the class, checksum and bytes of the embedding, source, digest, image and thumbnail, of each.
    """
    for picture, name, kept, embedding, source, digest, image, thumbnail in stored:
        try:
            (values,) = embeddings(place, size, [(picture, name, kept, embedding)]).values
            of_bytes = all(isinstance(part, bytes) for part in (digest, image, thumbnail))
            if not (of_bytes and isinstance(source, str) and len(image) <= MAX_IMAGE):
                raise damaged(place, picture)
            yield picture, Row(name, source, digest, values, image, thumbnail)
        except UserError as error:
            yield picture, str(error)


def joined(parts: Sequence[Embeddings], size: int) -> Embeddings:
    """Return several lists of embeddings of `size` numbers as one."""
    return Embeddings(
        np.concatenate([np.zeros(0, np.int64), *(part.ids for part in parts)]),
        [name for part in parts for name in part.names],
        np.concatenate([np.zeros((0, size), np.float32), *(part.values for part in parts)]),
    )


def now() -> str:
    """Return the time in UTC as `Picture.enrolled` has it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def check_network(place: str, kept: About, given: About) -> None:
    """Raise UserError unless a gallery belongs to the network that is given."""
    if kept.fingerprint != given.fingerprint:
        raise UserError(
            f"{place} holds embeddings of the network {kept.network!r} ({kept.fingerprint[:8]}), not of "
            f"{given.network!r} ({given.fingerprint[:8]}): use that network, or embed the pictures again with re_embed"
        )
