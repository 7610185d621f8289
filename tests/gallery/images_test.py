"""Kept images: PNG files that are what the network saw, and what a network of another size sees."""

import io

import numpy as np
import pytest
from PIL import Image

from siamese_jax.gallery import images
from siamese_jax.storage.image_files import read_image

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


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("image", [GREY, COLOUR])
@pytest.mark.parametrize("side", [5, 10, 20])
def test_another_network_sees_what_it_would_see_of_the_file(image, channels, side):
    wanted = read_image(images.to_png(image), side, channels)
    np.testing.assert_array_equal(images.fitted(image, side, channels), wanted)


def test_equal_images_have_equal_digests_and_others_have_not():
    assert images.digest(GREY) == images.digest(GREY.copy())
    assert images.digest(GREY) != images.digest(GREY.reshape(5, 20, 1))
    assert images.digest(GREY) != images.digest(255 - GREY)
    assert len(images.digest(COLOUR)) == 16
