"""Untrained baselines: functions of two images, uint8 [H, W, C], to a score. Similar images have a higher score."""

from collections.abc import Callable

import chex
import numpy as np
from scipy.spatial import KDTree

from siamese_jax.errors import UserError
from siamese_jax.records import Episodes

Compare = Callable[[np.ndarray, np.ndarray], float]


def nearest_neighbour(left: np.ndarray, right: np.ndarray) -> float:
    """Return minus the Euclidean distance of two images, with pixels in [0, 1] (Koch et al. 2015, tables 2 and 3)."""
    chex.assert_equal_shape([left, right])
    return -float(np.sqrt(np.square(left.astype(np.float64) - right).sum())) / 255


def modified_hausdorff(left: np.ndarray, right: np.ndarray) -> float:
    """Return minus the modified Hausdorff distance of the ink of two images, in pixels (Dubuisson and Jain 1994).

    It is the mean distance of the ink of one image to the nearest ink of the other, taken in both directions; the
    larger mean counts. Coordinates are centred on their mean, as in the demonstration that was published with the
    official runs (Lake et al. 2015).

    Raises:
      UserError: An image has no ink.
    """
    chex.assert_rank([left, right], 3)
    one, other = _centred_ink(left), _centred_ink(right)
    to_other, to_one = KDTree(other).query(one)[0], KDTree(one).query(other)[0]
    return -float(max(to_other.mean(), to_one.mean()))


BASELINES: dict[str, Compare] = {"nearest_neighbour": nearest_neighbour, "modified_hausdorff": modified_hausdorff}


def episode_scores(compare: Compare, images: np.ndarray, episodes: Episodes) -> np.ndarray:
    """Return scores [R, Q, n_way] of episodes. A class with several supports has the score of the best one.

    Args:
      compare: A baseline.
      images: uint8 [N, H, W, C].
      episodes: Episodes whose rows index `images`.
    """
    return np.array(
        [
            [[max(compare(images[q], images[s]) for s in shots) for shots in support] for q in query]
            for support, query in zip(np.asarray(episodes.support), np.asarray(episodes.query), strict=True)
        ]
    )


def _centred_ink(image: np.ndarray) -> np.ndarray:
    ink = np.argwhere(image.any(axis=-1))
    if not len(ink):
        raise UserError("an image has no ink, so its modified Hausdorff distance is undefined: remove it from the data")
    return ink - ink.mean(axis=0)
