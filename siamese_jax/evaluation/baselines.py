"""Comparisons that learn nothing: two images as stored, uint8 [H, W, C], to a score; the higher, the more alike."""

from collections.abc import Callable

import chex
import numpy as np
from scipy.spatial import KDTree

from siamese_jax.errors import UserError
from siamese_jax.records import Episodes

Compare = Callable[[np.ndarray, np.ndarray], float]


def nearest_neighbour(left: np.ndarray, right: np.ndarray) -> float:
    """Returns minus the Euclidean distance between pixels in [0, 1] (Koch et al. 2015, tables 2 and 3)."""
    chex.assert_equal_shape([left, right])
    return -float(np.sqrt(np.square(left.astype(np.float64) - right).sum())) / 255


def modified_hausdorff(left: np.ndarray, right: np.ndarray) -> float:
    """Returns minus the modified Hausdorff distance of two drawings' ink, in pixels (Dubuisson and Jain 1994).

    Each pixel of ink looks for the nearest of the other drawing; the mean of these distances is taken each way, and the
    larger counts. Coordinates are centred on their mean, as in the demonstration published with the official runs (Lake
    et al. 2015). UserError where an image has no ink.
    """
    chex.assert_rank([left, right], 3)
    one, other = _centred_ink(left), _centred_ink(right)
    to_other, to_one = KDTree(other).query(one)[0], KDTree(one).query(other)[0]
    return -float(max(to_other.mean(), to_one.mean()))


BASELINES: dict[str, Compare] = {"nearest_neighbour": nearest_neighbour, "modified_hausdorff": modified_hausdorff}


def episode_scores(compare: Compare, images: np.ndarray, episodes: Episodes) -> np.ndarray:
    """Scores [R, Q, n_way] of runs whose rows index `images`, uint8 [N, H, W, C]; a class scores its best support."""
    return np.array(
        [
            [[max(compare(images[q], images[s]) for s in shots) for shots in support] for q in query]
            for support, query in zip(np.asarray(episodes.support), np.asarray(episodes.query), strict=True)
        ]
    )


def _centred_ink(image: np.ndarray) -> np.ndarray:
    ink = np.argwhere(image.any(axis=-1))
    if not len(ink):
        raise UserError("an image has no ink, so that the modified Hausdorff distance to it is undefined")
    return ink - ink.mean(axis=0)
