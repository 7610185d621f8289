"""The classes that a query may be of: all classes compared, or those that the index of a database proposes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from siamese_jax.errors import UserError
from siamese_jax.gallery.index import Index
from siamese_jax.gallery.records import About, Embeddings
from siamese_jax.gallery.sqlite import SqliteStore
from siamese_jax.gallery.store import check_network, joined
from siamese_jax.pretrained import Model

if TYPE_CHECKING:  # needs psycopg, which is not always installed
    from siamese_jax.gallery.postgresql import PostgresqlStore

QUERIES = 64
"""Queries whose scores with all pictures are held at a time."""
PROPOSED, MOST = 50, 12_800
"""Pictures that an index is asked for: at first, and at most if they are of too few classes."""


class Ranking(NamedTuple):
    """The best classes for one query.

    Attributes:
      names: Names of the best classes, best first.
      pictures: For each of them the id of its picture with the highest score.
      best: Their places in `scores`.
      scores: float32 [N], the scores of all classes that were compared.
      classes: How many classes are enrolled.
    """

    names: list[str]
    pictures: list[int]
    best: np.ndarray
    scores: np.ndarray
    classes: int


class Search(Protocol):
    """Ranks the classes of a gallery."""

    def described(self) -> str:
        """Return in words which search is used."""
        ...

    def rank(self, queries: np.ndarray, top: int) -> list[Ranking]:
        """Return for each query, of float32 [Q, D], its `top` best classes, or all if there are fewer.

        Raises:
          UserError: The gallery is empty, or belongs to another network.
        """
        ...


class Compared:
    """Embeddings of pictures, sorted by class, that queries are compared with by the network's own energy.

    Attributes:
      pictures: The embeddings. Pictures of a class are in the order of their ids.
      names: The classes, sorted.
    """

    def __init__(self, model: Model, pictures: Embeddings):
        """Sort the embeddings of one picture or more."""
        names, place = np.unique(np.array(pictures.names, object), return_inverse=True)
        order = np.argsort(place, kind="stable")
        self.names: list[str] = list(names)
        self.pictures = Embeddings(
            pictures.ids[order], [self.names[row] for row in place[order]], pictures.values[order]
        )
        self._model = model
        self._edges = np.searchsorted(place[order], np.arange(len(names) + 1))

    def rank(self, queries: np.ndarray, top: int) -> Iterator[Ranking]:
        """Yield the ranking for each query. Scores are those of `Model.scores`, with any number of pictures a class."""
        for first in range(0, len(queries), QUERIES):
            some = queries[first : first + QUERIES]
            of_pictures = self._model.scores(some, self.pictures.values)
            for each, scores in zip(of_pictures, self._combined(some, of_pictures), strict=True):
                best = _highest(scores, top)
                spans = [slice(*self._edges[place : place + 2]) for place in best]
                pictures = [int(self.pictures.ids[span][each[span].argmax()]) for span in spans]
                yield Ranking([self.names[place] for place in best], pictures, best, scores, len(scores))

    def _combined(self, queries: np.ndarray, of_pictures: np.ndarray) -> np.ndarray:
        """Return scores [Q, classes] from those of pictures [Q, N], as the experiment's `evaluation.combine` says."""
        first, counts = self._edges[:-1], np.diff(self._edges).astype(np.float32)
        match self._model.experiment.evaluation.combine:
            case "best_score":
                return np.maximum.reduceat(of_pictures, first, axis=1)
            case "mean_score":
                return np.add.reduceat(of_pictures, first, axis=1) / counts
            case "mean_embedding":
                return self._model.scores(
                    queries, np.add.reduceat(self.pictures.values, first, axis=0) / counts[:, None]
                )


class ExactScan:
    """Compares queries with every picture of a file. All embeddings are in memory; changes of the file are noticed."""

    def __init__(self, store: SqliteStore, model: Model, about: About):
        """Read nothing yet."""
        self._store, self._model, self._about = store, model, about
        self._version = (-1, 0)
        self._compared: Compared | None = None

    def described(self) -> str:
        """Return in words which search is used."""
        self._refresh()
        count = len(self._compared.pictures.ids) if self._compared else 0
        return f"exact scan of {count:,} embeddings in memory"

    def rank(self, queries: np.ndarray, top: int) -> list[Ranking]:
        """Return the ranking for each query."""
        self._refresh()
        if self._compared is None:
            raise _empty(self._store.place)
        return list(self._compared.rank(queries, top))

    def _refresh(self) -> None:
        """Read what is new: only added pictures, or all if some were removed or embedded again."""
        if self._store.version() == self._version:
            return
        version, about, new = self._store.changed(self._version)
        check_network(self._store.place, about, self._about)
        if self._compared and version[0] == self._version[0]:
            new = joined([self._compared.pictures, new], about.embedding_size)
        self._compared = Compared(self._model, new) if len(new.ids) else None
        self._version = version


class IndexSearch:
    """Compares queries with the classes of the pictures that the index of a database finds nearest."""

    def __init__(self, store: "PostgresqlStore", model: Model, about: About, index: Index):
        """Read nothing yet."""
        self._store, self._model, self._about, self._index = store, model, about, index
        self._version, self._classes = (-1, 0), 0

    def described(self) -> str:
        """Return in words which search is used."""
        proposed = f"{PROPOSED} pictures proposed by the {self._index.distance} index of PostgreSQL"
        return f"{proposed}, ranked by the network's own energy"

    def rank(self, queries: np.ndarray, top: int) -> list[Ranking]:
        """Return the ranking for each query; `Ranking.scores` are those of the proposed classes."""
        self._check()
        classes, points = self._count(), self._index.points(queries)
        found = [self._rank(query, point, top, classes) for query, point in zip(queries, points, strict=True)]
        self._check()  # again: another network may have taken over meanwhile
        return found

    def _rank(self, query: np.ndarray, point: np.ndarray, top: int, classes: int) -> Ranking:
        pictures = self._store.embeddings(self._proposed(point, min(top, classes)))
        if not len(pictures.ids):
            raise _empty(self._store.place)
        (ranking,) = Compared(self._model, pictures).rank(query[None], top)
        return ranking._replace(classes=max(classes, ranking.classes))

    def _proposed(self, point: np.ndarray, wanted: int) -> list[str]:
        """Return names of classes: at least `wanted`, unless MOST pictures show no more."""
        count = PROPOSED
        while True:
            names = list(dict.fromkeys(self._store.nearest(point, count)))
            if len(names) >= wanted or count >= MOST:
                return names
            count *= 4

    def _count(self) -> int:
        """Return the number of enrolled classes, to within 1 %: counting a million classes takes a while."""
        version = self._store.version()
        # One change removes at most one class, and one new id adds at most one.
        if sum(version) - sum(self._version) > self._classes / 100:
            self._version, self._classes = version, self._store.count()
        return self._classes

    def _check(self) -> None:
        check_network(self._store.place, self._store.about(), self._about)


def _empty(place: str) -> UserError:
    return UserError(f"{place} is empty: enrol pictures of each class first")


def _highest(scores: np.ndarray, count: int) -> np.ndarray:
    """Return the places of the highest scores, highest first; of equal ones the first comes first."""
    if count >= len(scores):
        return np.argsort(-scores, kind="stable")
    least = np.partition(scores, -count)[-count]
    places = np.flatnonzero(scores >= least)
    return places[np.argsort(-scores[places], kind="stable")][:count]
