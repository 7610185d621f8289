"""Kept images: PNG files that are what the network saw, and what a network of another size sees."""

import io

import numpy as np
import pytest
from PIL import Image

from siamese_jax.gallery import images

RNG = np.random.default_rng(0)
GREY, COLOUR = (RNG.integers(0, 256, (10, 10, channels), np.uint8) for channels in (1, 3))


@pytest.mark.parametrize("image", [GREY, COLOUR])
def test_a_kept_image_is_the_same_to_the_bit_and_people_see_dark_ink_on_light_paper(image):
    content = images.to_png(image)
    np.testing.assert_array_equal(images.from_png(content), image)
    seen = np.asarray(Image.open(io.BytesIO(content)))
    np.testing.assert_array_equal(seen, 255 - image.squeeze())


@pytest.mark.parametrize("content", [b"", b"GIF89a", images.to_png(GREY)[:60], images.to_png(GREY)[:-20] + bytes(20)])
def test_a_damaged_image_is_an_error(content):
    for read in (images.from_png, images.check_png):
        with pytest.raises(ValueError, match="."):
            read(content)


def test_other_kinds_of_pixels_and_huge_images_are_not_read():
    for other in (Image.new("RGBA", (3, 3)), Image.new("L", (4097, 1))):
        file = io.BytesIO()
        other.save(file, "PNG")
        with pytest.raises(ValueError, match="pixels of the kind"):
            images.from_png(file.getvalue())


def converted(image, channels):
    """Grey for each channel, or the luma of ITU-R BT.601 of what is on the paper."""
    if image.shape[2] <= channels:
        return np.broadcast_to(image, (10, 10, channels))
    red, green, blue = (255 - image[..., channel].astype(float) for channel in range(3))
    return 255 - np.rint(0.299 * red + 0.587 * green + 0.114 * blue)[..., None]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("image", [GREY, COLOUR])
def test_a_network_of_another_size_sees_means_of_areas(image, channels):
    wanted = converted(image, channels)
    np.testing.assert_allclose(images.fitted(image, 10, channels), wanted, atol=1)
    doubled = wanted.repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_allclose(images.fitted(image, 20, channels), doubled, atol=1)
    halved = wanted.reshape(5, 2, 5, 2, channels).mean(axis=(1, 3))
    np.testing.assert_allclose(images.fitted(image, 5, channels), halved, atol=1)
    if image.shape[2] == channels:
        np.testing.assert_array_equal(images.fitted(image, 10, channels), image)


def test_equal_images_have_equal_digests_and_others_have_not():
    assert images.digest(GREY) == images.digest(GREY.copy())
    assert images.digest(GREY) != images.digest(GREY.reshape(5, 20, 1))
    assert images.digest(GREY) != images.digest(255 - GREY)
    assert len(images.digest(COLOUR)) == 16
