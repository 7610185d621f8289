"""The distance is scipy's, its statistics are counted by hand, and what is unlike drawings is far away."""

import numpy as np
from scipy.spatial.distance import mahalanobis

from siamese_jax.statistics.familiarity import LEAST_DEVIATION, familiar, pixel_statistics

RNG = np.random.default_rng(0)


def drawings(count):
    """White paper with one straight stroke of ink, and sometimes a grey pixel."""
    images = np.zeros((count, 12, 12, 1), np.uint8)
    for image in images:
        row, length = RNG.integers(2, 10), RNG.integers(3, 12)
        image[row : row + 2, :length] = 255
        image[0, RNG.integers(12)] = RNG.integers(256)
    return images


def test_statistics_are_those_of_a_hand_count():
    image = np.array([[0, 255, 128], [0, 255, 0]], np.uint8)[None, ..., None]
    mean = (255 + 128 + 255) / 6 / 255
    changes = (255 + 127 + 255 + 255) / 4 / 255 + 128 / 3 / 255
    np.testing.assert_allclose(pixel_statistics(image), [[mean, 1 / 6, changes]])
    np.testing.assert_allclose(pixel_statistics(np.repeat(image, 3, axis=-1)), [[mean, 1 / 6, changes]])


def test_the_distance_is_scipys():
    images, new = drawings(50), drawings(5)
    measured = pixel_statistics(images)
    covariance = np.cov(measured, rowvar=False) + np.diag([LEAST_DEVIATION**2] * 3)
    expected = [mahalanobis(one, measured.mean(axis=0), np.linalg.inv(covariance)) for one in pixel_statistics(new)]
    np.testing.assert_allclose(familiar(images).distance(new), expected)


def test_drawings_are_near_and_noise_gradients_and_their_negatives_are_far():
    known, new = familiar(drawings(200)), drawings(50)
    far = {
        "noise": RNG.integers(0, 256, (50, 12, 12, 1)).astype(np.uint8),
        "gradient": np.broadcast_to(np.arange(0, 240, 20, dtype=np.uint8)[:, None, None], (50, 12, 12, 1)),
        "negative": 255 - new,
    }
    limit = np.quantile(known.distance(new), 0.95)
    for name, images in far.items():
        assert (known.distance(images) > limit).all(), name


def test_equal_images_have_finite_distances():
    assert np.isfinite(familiar(np.zeros((3, 4, 4, 1), np.uint8)).distance(drawings(2)[:, :4, :4])).all()
