"""Is an image like those that a network was chosen on? A distance of simple statistics of its pixels.

Photographs, noise and smooth areas differ from drawings in how much ink they have, how much of it is grey, and how
often it changes. The Mahalanobis distance of these three numbers to those of validation is the score. On validation and
training images of Omniglot it separates them better than distances of embeddings did: a network maps what it has never
seen close to what it knows.
"""

from typing import NamedTuple

import chex
import numpy as np

GREY = (0.15, 0.85)
"""Values between these, of 1, are grey: neither background nor full ink."""
LEAST_DEVIATION = 0.05
"""Its square is added to each statistic's variance, so that small differences from very uniform images do not count.

Chosen on Omniglot's validation drawings. With 0.01, a warning was given for 98 % of drawings that were blurred so
little that accuracy fell by 1.7 points; with 0.05 it is 42 %. Emoji are found in 99 and 95 % of the cases.
"""


class Familiar(NamedTuple):
    """The statistics of the images that a network was chosen on.

    Attributes:
      mean: float64 [3], of `pixel_statistics`.
      precision: float64 [3, 3], the inverse of their covariance.
    """

    mean: np.ndarray
    precision: np.ndarray

    def distance(self, images: np.ndarray) -> np.ndarray:
        """Return the Mahalanobis distance of images, uint8 [N, H, W, C], to these statistics: float64 [N]."""
        away = pixel_statistics(images) - np.asarray(self.mean)
        return np.sqrt(np.einsum("ni,ij,nj->n", away, np.asarray(self.precision), away))


def pixel_statistics(images: np.ndarray) -> np.ndarray:
    """Return three statistics of each image, each in [0, 2]; a pixel's value is the mean of its channels.

    Args:
      images: uint8 [N, H, W, C].

    Returns:
      float64 [N, 3]: the mean value, the share of grey pixels, and the mean difference of neighbours, of those side by
      side plus of those one below the other.
    """
    chex.assert_rank(images, 4)
    values = np.asarray(images).mean(axis=-1) / 255
    grey = (values > GREY[0]) & (values < GREY[1])
    changes = sum(np.abs(np.diff(values, axis=axis)).mean(axis=(1, 2)) for axis in (1, 2))
    return np.stack([values.mean(axis=(1, 2)), grey.mean(axis=(1, 2)), changes], axis=1)


def familiar(images: np.ndarray) -> Familiar:
    """Return the statistics of images, uint8 [N, H, W, C], with N of 2 or more."""
    found = pixel_statistics(images)
    covariance = np.cov(found.T) + LEAST_DEVIATION**2 * np.eye(3)
    return Familiar(found.mean(axis=0), np.linalg.inv(covariance))
