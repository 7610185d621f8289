"""Resizing: exact means of areas, for any leading axes and for images that are not square."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamese_jax.images.resize import average_areas, average_blocks, squash_areas


def random_images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def areas_in_loops(image: np.ndarray, side: int) -> np.ndarray:
    """The same in float64, from pixels cut into side × side parts: each new pixel is the mean of whole parts."""
    square = max(image.shape)
    padded = np.zeros((square, square))
    top, left = (square - image.shape[0]) // 2, (square - image.shape[1]) // 2
    padded[top : top + image.shape[0], left : left + image.shape[1]] = image
    parts = np.kron(padded, np.ones((side, side)))
    return parts.reshape(side, square, side, square).mean(axis=(1, 3))


def test_blocks_round_to_the_nearest_value():
    np.testing.assert_array_equal(average_blocks(np.array([[0, 1], [1, 0]], np.uint8), 2), [[1]])
    np.testing.assert_array_equal(average_blocks(np.array([[255, 1], [1, 0]], np.uint8), 2), [[64]])


def test_blocks_of_any_leading_axes_are_averaged():
    images = random_images(2, 3, 6, 9)
    means = images.reshape(2, 3, 2, 3, 3, 3).astype(float).mean(axis=(3, 5))
    found = average_blocks(images, 3)
    assert found.shape == (2, 3, 2, 3)
    assert np.abs(found - means).max() <= 0.5


@pytest.mark.parametrize("shape", [(4, 6), (6, 4)])
def test_blocks_that_do_not_tile_an_image_are_refused(shape):
    with pytest.raises(ValueError, match="blocks of 3×3 pixels do not tile"):
        average_blocks(random_images(*shape), 3)


@given(st.tuples(st.integers(1, 12), st.integers(1, 12)), st.integers(1, 9), st.integers(0, 2**31))
def test_each_pixel_is_the_mean_of_its_area_of_the_padded_image(shape, side, seed):
    image = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    assert np.abs(average_areas(image, side) - areas_in_loops(image, side)).max() <= 0.501


def test_a_wide_image_is_centred_on_paper():
    found = average_areas(np.full((2, 8), 255, np.uint8), 4)
    np.testing.assert_array_equal(found, [[0] * 4, [128] * 4, [128] * 4, [0] * 4])


@given(st.tuples(st.integers(1, 9), st.integers(1, 9)), st.integers(1, 9), st.integers(0, 2**31))
def test_a_squashed_image_is_a_square_of_means_over_oblong_areas(shape, side, seed):
    image = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    parts = np.kron(image.astype(float), np.ones((side, side)))  # each new pixel is the mean of whole parts
    means = parts.reshape(side, shape[0], side, shape[1]).mean(axis=(1, 3))
    assert np.abs(squash_areas(image, side) - means).max() <= 0.501
    if shape[0] == shape[1]:
        np.testing.assert_array_equal(squash_areas(image, side), average_areas(image, side))


def test_an_image_of_the_wanted_side_stays_as_it_is():
    images = random_images(3, 7, 7)
    np.testing.assert_array_equal(average_areas(images, 7), images)


def test_images_with_leading_axes_are_resized_one_by_one():
    images = random_images(2, 3, 10, 7)
    found = average_areas(images, 4)
    assert found.shape == (2, 3, 4, 4)
    np.testing.assert_array_equal(found[1, 2], average_areas(images[1, 2], 4))


def test_channels_may_be_moved_to_the_front_without_a_copy():
    images = random_images(2, 10, 7, 3)
    found = average_areas(np.moveaxis(images, -1, -3), 4)
    np.testing.assert_array_equal(found[:, 1], average_areas(np.ascontiguousarray(images[..., 1]), 4))


@pytest.mark.parametrize("resize", [average_areas, average_blocks, squash_areas])
@pytest.mark.parametrize("images", [np.zeros((4, 4)), np.zeros(4, np.uint8)])
def test_other_arrays_than_stored_images_are_refused(resize, images):
    with pytest.raises((AssertionError, ValueError)):
        resize(images, 2)
