"""Which distance of a vector index orders embeddings as an energy does, or nearly so.

The index only proposes pictures. The network's own energy ranks their classes, so a score is always the network's.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from siamese_jax.network.siamese import Params
from siamese_jax.specs import Cosine, Energy, Euclidean, L1Distance, NetSpec, WeightedL1


class Index(NamedTuple):
    """A distance, and the points whose distances it measures.

    Attributes:
      distance: "L1" or "L2".
      points: Embeddings [N, D] -> points [N, D], float32.
    """

    distance: str
    points: Callable[[np.ndarray], np.ndarray]


def index_of(spec: NetSpec, params: Params) -> Index | None:
    """Return the index of a network, None if none fits its energy."""
    make = _INDEXES.get(type(spec.energy))
    return make(params) if make else None


def _of_weighted_l1(params: Params) -> Index:
    """L1 of embeddings that are scaled by −α. Units with a positive α are left out: no distance has negative parts."""
    scale = np.maximum(-np.asarray(params["out"]["weight"], np.float32)[:, 0], 0)
    return Index("L1", lambda embeddings: embeddings * scale)


def _of_l1_distance(params: Params) -> Index:
    """L1 of embeddings that are scaled by the weights. It orders them exactly as the energy does."""
    scale = np.abs(np.asarray(params["out"]["weight"], np.float32)[:, 0])
    return Index("L1", lambda embeddings: embeddings * scale)


def _of_euclidean(_: Params) -> Index:
    return Index("L2", lambda embeddings: embeddings)


def _of_cosine(_: Params) -> Index:
    """L2 of normalised embeddings: the larger the cosine, the smaller the distance. Zeros stay zeros."""

    def normalised(embeddings: np.ndarray) -> np.ndarray:
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        return embeddings / np.where(lengths > 0, lengths, 1)

    return Index("L2", normalised)


_INDEXES: dict[type[Energy], Callable[[Params], Index]] = {
    WeightedL1: _of_weighted_l1,
    L1Distance: _of_l1_distance,
    Euclidean: _of_euclidean,
    Cosine: _of_cosine,
}
"""What orders embeddings as an energy does. An energy of your own needs an entry only for galleries in a database."""
