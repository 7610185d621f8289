"""`Gallery`: enrol pictures of known classes, and identify new ones."""

import difflib
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from siamese_jax.errors import UserError
from siamese_jax.extras import require
from siamese_jax.gallery import images
from siamese_jax.gallery.index import Index, index_of
from siamese_jax.gallery.records import About, Answer, Enrolment, Findings, Match, Picture, Row
from siamese_jax.gallery.search import ExactScan, IndexSearch, Ranking, Search
from siamese_jax.gallery.sqlite import SqliteStore
from siamese_jax.gallery.store import MAX_NAME, MAX_SOURCE, MAX_THUMBNAIL, check_network
from siamese_jax.pretrained import Model
from siamese_jax.results import FPIR
from siamese_jax.storage.addresses import for_libpq, is_postgresql, scheme_of

if TYPE_CHECKING:  # needs psycopg, which is not always installed
    from siamese_jax.gallery.postgresql import PostgresqlStore

PNG = b"\x89PNG\r\n\x1a\n"
CHECKED = 256
"""Pictures that `check` embeds at a time."""
TOLERANCE = 1e-3
"""How far an embedding may be from the one that the network gives now, as a fraction of the largest number."""


class Gallery:
    """Pictures of known classes, and the classes that a new picture may be of.

    A gallery is one file, or the tables of a PostgreSQL database. It belongs to one network. Each change is made as a
    whole or not at all, and is on disk when the method returns. Any number of processes can read and change a gallery
    at the same time, and threads can share one object. Use it in a `with` statement, or call `close`.

    Attributes:
      about: The network whose embeddings the gallery keeps.
    """

    def __init__(self, store: "SqliteStore | PostgresqlStore", model: Model | None):
        """Use `Gallery.open` instead."""
        self._store, self._model, self._lock = store, model, threading.RLock()
        self._search: Search | None = None
        self.about = store.about()
        if model is not None:
            self._belong_to(model)

    @classmethod
    def open(cls, location: str | os.PathLike[str], model: Model | None, *, create: bool = False) -> "Gallery":
        """Open a gallery.

        Args:
          location: Path of a file, or the address of a database, "postgresql://…".
          model: The network. Without one, pictures can be listed, removed and checked, but not enrolled or identified.
          create: Make the gallery if there is none.

        Raises:
          UserError: There is no gallery, it belongs to another network, or it is damaged.
        """
        store = _opened(os.fspath(location), model, create)
        try:
            return cls(store, model)
        except BaseException:
            store.close()
            raise

    def __enter__(self) -> "Gallery":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return sum(self.classes().values())

    def __repr__(self) -> str:
        return f"Gallery({self._store.place!r}, network={self.about.network!r})"

    def close(self) -> None:
        """Close the file or the connection."""
        self._store.close()

    @property
    def place(self) -> str:
        """What messages call the gallery: its path, or the address of its database without a password."""
        return self._store.place

    @property
    def search(self) -> str:
        """Which search `identify` uses, in words."""
        with self._lock:
            return self._needed()[1].described()

    def enrol(self, pictures: Iterable[Enrolment]) -> list[Picture]:
        """Embed pictures and keep them: all of them, or none if there is an error.

        A picture that its class already has is left out, so that enrolling a folder twice changes nothing.

        Args:
          pictures: The pictures.

        Returns:
          What was added, in the given order.

        Raises:
          UserError: A picture has another shape or no usable class name, the gallery now belongs to another network,
            or it cannot be written.
        """
        model, _ = self._needed()
        given = [_checked(picture, model) for picture in pictures]
        if not given:
            return []
        embeddings = _finite(model.embed(np.stack([picture.image for picture in given])), "the embeddings")
        rows = [
            Row(name, source, images.digest(image), embedding, images.to_png(image), thumbnail)
            for (name, image, thumbnail, source), embedding in zip(given, embeddings, strict=True)
        ]
        return self._store.add(self.about, rows)

    def remove(self, *, class_name: str | None = None, picture: int | None = None) -> int:
        """Remove a class, or one picture.

        Args:
          class_name: The class whose pictures are removed, or
          picture: the id of one picture.

        Returns:
          How many pictures were removed.

        Raises:
          UserError: There is no such class or picture, or not exactly one of the two was given.
        """
        if (class_name is None) == (picture is None):
            raise UserError("remove takes a class or a picture: give class_name='a' or picture=1")
        count = self._store.remove(class_name, picture)
        if not count:
            raise UserError(f"{self._store.place} has no {_missing(class_name, picture, self.classes())}")
        return count

    def classes(self) -> dict[str, int]:
        """Return the number of pictures by the name of their class, sorted by name."""
        return self._store.classes()

    def pictures(self, class_name: str | None = None) -> list[Picture]:
        """Return the pictures, of a class or all, sorted by id."""
        return self._store.pictures(class_name)

    def thumbnail(self, picture: int) -> bytes:
        """Return the PNG file that shows a picture to people, by its id; UserError if there is no such picture."""
        found = self._store.thumbnail(picture)
        if found is None:
            raise UserError(f"{self._store.place} has no {_missing(None, picture, {})}")
        return found[0] or found[1]

    def one_of_each(self) -> list[tuple[str, bytes, np.ndarray]]:
        """Return the first picture of each class, sorted by name: the name, a PNG file, and the embedding [D].

        Raises:
          UserError: A picture is damaged.
        """
        found: dict[str, tuple[str, bytes, np.ndarray]] = {}
        for _, row in self._store.rows():
            if isinstance(row, str):
                raise UserError(row)
            found.setdefault(row.class_name, (row.class_name, row.thumbnail or row.image, row.embedding))
        return [found[name] for name in sorted(found)]

    def identify(self, embeddings: np.ndarray, top: int = 5, fpir: float = FPIR) -> list[Answer]:
        """Say which class each query is of, or that it is of none.

        Args:
          embeddings: float32 [Q, D], as `Model.embed` returns them.
          top: How many classes an answer names, 1 or more.
          fpir: The false-positive identification rate that is wanted: the share of queries of classes that are not
            enrolled which may be accepted. `Model.decisions` says which rates were measured.

        Returns:
          An answer for each query.

        Raises:
          UserError: The gallery is empty or now belongs to another network, or the embeddings have another shape.
        """
        model, search = self._needed()
        queries = np.asarray(embeddings, np.float32)
        size = self.about.embedding_size
        if queries.ndim != 2 or queries.shape[1] != size:
            raise UserError(
                f"identify takes embeddings [Q, {size}], not {list(queries.shape)}: give model.embed(images)"
            )
        _finite(queries, "the embeddings")
        if top < 1:
            raise UserError(f"top={top} classes cannot be named: use 1 or more, for example top=5")
        with self._lock:
            return [_answer(ranking, model, fpir) for ranking in search.rank(queries, top)]

    def check(self) -> Findings:
        """Look at every picture. Find damage, pictures that two classes share, and embeddings that do not fit.

        With a network, each picture is embedded again, and compared with the embedding that is kept.
        """
        problems = self._store.damages()
        seen: dict[bytes, tuple[int, str]] = {}
        count, names, sound = 0, set(), []
        for picture, row in self._store.rows():
            count += 1
            if isinstance(row, str):
                problems.append(row)
                continue
            names.add(row.class_name)
            where = f"picture {picture} of the class {row.class_name!r}"
            try:
                image = images.from_png(row.image)
                if images.digest(image) != row.digest:
                    raise ValueError("its pixels have changed")
                if row.thumbnail:
                    images.check_png(row.thumbnail)
            except ValueError as error:
                problems.append(f"{where} is damaged ({error}): remove it and enrol it again")
                continue
            first, other = seen.setdefault(row.digest, (picture, row.class_name))
            if first != picture:
                problems.append(f"{where} is identical to picture {first} of the class {other!r}: remove one of them")
            if self._model is not None:
                size = self._model.side, self._model.channels
                sound.append((where, images.fitted(image, *size), row.embedding))
            if len(sound) == CHECKED:
                problems += self._unlike(sound)
                sound = []
        problems += self._unlike(sound)
        return Findings(count, len(names), tuple(problems))

    def re_embed(self, model: Model) -> int:
        """Embed all pictures again with another network, to which the gallery then belongs.

        The kept images are resized to the size that the network takes. All embeddings are replaced, or none. Open the
        gallery without a network for this, or with its present one.

        Args:
          model: The new network.

        Returns:
          The number of pictures.
        """

        def embed(kept: list[bytes]) -> np.ndarray:
            try:
                fitted = [images.fitted(images.from_png(png), model.side, model.channels) for png in kept]
            except ValueError as error:
                raise UserError(
                    f"a picture in {self._store.place} is damaged ({error}): run its check, and remove that picture"
                ) from error
            return _finite(model.embed(np.stack(fitted)), "the embeddings")

        with self._lock:
            count = self._store.replace(about(model), embed, _index(model))
            self.about = self._store.about()
            self._belong_to(model)
        return count

    def _belong_to(self, model: Model) -> None:
        """Use a network; UserError unless the gallery belongs to it."""
        check_network(self._store.place, self.about, about(model))
        self._model = model
        if isinstance(self._store, SqliteStore):
            self._search = ExactScan(self._store, model, self.about)
        elif (index := _index(model)) is not None:
            self._search = IndexSearch(self._store, model, self.about, index)

    def _needed(self) -> tuple[Model, Search]:
        if self._model is None or self._search is None:
            raise UserError(
                f"{self._store.place} was opened without a network: give one, for example "
                "Gallery.open(location, siamese_jax.load_pretrained('best'))"
            )
        return self._model, self._search

    def _unlike(self, sound: list[tuple[str, np.ndarray, np.ndarray]]) -> list[str]:
        """Return a sentence for each picture whose embedding is not what the network gives."""
        if self._model is None or not sound:
            return []
        wanted = self._model.embed(np.stack([image for _, image, _ in sound]))
        return [
            f"{where} has an embedding that {self.about.network!r} does not give: run re_embed"
            for (where, _, kept), new in zip(sound, wanted, strict=True)
            if not np.abs(kept - new).max() <= TOLERANCE * max(np.abs(new).max(), 1e-6)
        ]


def about(model: Model) -> About:
    """Return what a gallery keeps about its network."""
    return About(model.card.name, model.fingerprint, model.embedding_size)


def _index(model: Model) -> Index | None:
    return index_of(model.experiment.network, model.params)


def _opened(location: str, model: Model | None, create: bool) -> "SqliteStore | PostgresqlStore":
    """Return the store at a location; see `Gallery.open`."""
    is_database = is_postgresql(location)
    if not is_database and (scheme := scheme_of(location)):
        raise UserError(
            f"a gallery at {scheme}://… cannot be used: give postgresql://USER@HOST/DATABASE, or the path of a file"
        )
    if create and model is None:
        where = "a gallery in a database" if is_database else location  # an address may hold a password
        raise UserError(f"{where} cannot be made without a network: give one to Gallery.open")
    if is_database:
        require("postgresql")
        from siamese_jax.gallery.postgresql import PostgresqlStore

        index, location = _index(model) if model else None, for_libpq(location)
        if create and model:
            PostgresqlStore.create(location, about(model), index)
        return PostgresqlStore(location, index)
    if create and model and not Path(location).exists():
        SqliteStore.create(location, about(model))
    return SqliteStore(location)


def _checked(picture: Enrolment, model: Model) -> Enrolment:
    """Return a picture that can be stored; UserError if it cannot."""
    name, image, thumbnail, source = picture
    source = source.encode(errors="replace").decode().replace("\0", "?")[:MAX_SOURCE]
    called = source or "a picture"
    if not (0 < len(name) <= MAX_NAME and name.isprintable() and name == name.strip()):
        raise UserError(
            f"{called} has the class name {name[:MAX_NAME]!r}: use 1 to {MAX_NAME} printable characters, with no space "
            "at the start or end"
        )
    shape = model.experiment.data.image_shape
    image = np.asarray(image)
    image = image[..., None] if image.ndim == 2 and shape[2] == 1 else image
    if image.dtype != np.uint8 or image.shape != shape:
        raise UserError(
            f"{called} is {image.dtype} {list(image.shape)}, but the network takes uint8 {list(shape)}: use model.read"
        )
    if len(thumbnail) > MAX_THUMBNAIL or not (thumbnail == b"" or thumbnail.startswith(PNG)):
        raise UserError(
            f"{called} has a thumbnail of {len(thumbnail):,} bytes that is not a PNG file of at most {MAX_THUMBNAIL:,} "
            "bytes: give one, or none"
        )
    return Enrolment(name, image, thumbnail, source)


def _finite(embeddings: np.ndarray, what: str) -> np.ndarray:
    if not np.isfinite(embeddings).all():
        raise UserError(f"{what} are not all finite numbers: the network is damaged, restore its files")
    return embeddings


def _missing(class_name: str | None, picture: int | None, classes: Iterable[str]) -> str:
    """Return the words for what is not there, and the nearest name that is."""
    if class_name is None:
        return f"picture {picture}: use an id that `pictures` lists"
    near = difflib.get_close_matches(class_name, list(classes), n=1)
    return f"class {class_name!r}: " + (f"did you mean {near[0]!r}?" if near else "use a name that `classes` lists")


def _answer(ranking: Ranking, model: Model, fpir: float) -> Answer:
    """Return the answer for one query: the network's decisions turn its scores into probabilities and "unknown"."""
    scores = ranking.scores[ranking.best]
    rules = model.decisions
    if rules is None:
        why = (
            f"the network {model.card.name!r} has no measured decisions: compare scores, or use a network that has them"
        )
        chances, unknown, threshold = [None] * len(scores), None, None
    else:
        chances = rules.probabilities(ranking.scores[None])[0][ranking.best].tolist()
        threshold, why = float(rules.threshold(ranking.classes, fpir)), ""
        unknown = bool(scores[0] < threshold)
    rows = zip(ranking.names, scores.tolist(), chances, ranking.pictures, strict=True)
    return Answer(tuple(Match(*row) for row in rows), unknown, threshold, why)
