"""Image files: every kind of pixel becomes the ink that training sees, and what cannot be read is refused by name."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from siamese_jax.errors import UserError
from siamese_jax.images.resize import average_areas
from siamese_jax.storage import image_files
from siamese_jax.storage.image_files import read_image

SIDE = 8
INK = np.zeros((20, 20), np.uint8)
INK[4:16, 9:12] = 255
INK[4:7, 5:15] = 255
GREY = 255 - INK
EXPECTED = average_areas(INK, SIDE)[..., None]
"""A T, as a file shows it and as a network is to see it."""


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def with_alpha(grey: np.ndarray, alpha: np.ndarray) -> Image.Image:
    return Image.fromarray(np.stack([grey, grey, grey, alpha], axis=-1))


def palette_with_transparency() -> bytes:
    image = Image.fromarray((INK > 0).astype(np.uint8))
    image.putpalette([200, 0, 0, 0, 0, 0])
    return encoded(image, transparency=0)


SAME = {
    "one bit": encoded(Image.fromarray(GREY).convert("1")),
    "grey": encoded(Image.fromarray(GREY)),
    "grey in 16 bits": encoded(Image.fromarray(GREY.astype(np.uint16) * 257)),
    "grey in 16 bits, big-endian TIFF": encoded(Image.fromarray((GREY.astype(np.uint16) * 257).astype(">u2")), "TIFF"),
    "RGB": encoded(Image.fromarray(GREY).convert("RGB")),
    "CMYK": encoded(Image.fromarray(GREY).convert("RGB").convert("CMYK"), "TIFF"),
    "palette": encoded(Image.fromarray(GREY).convert("P")),
    "grey and alpha": encoded(Image.merge("LA", [Image.new("L", (20, 20), 0), Image.fromarray(INK)])),
    "black in transparent black": encoded(with_alpha(np.zeros_like(INK), INK)),
    "black in transparent white": encoded(with_alpha(GREY, INK)),
    "opaque with alpha": encoded(with_alpha(GREY, np.full_like(INK, 255))),
    "palette with a transparent colour": palette_with_transparency(),
    "grey with a transparent value": encoded(Image.fromarray(np.where(INK, 0, 77).astype(np.uint8)), transparency=77),
    "grey in 16 bits with a transparent value": encoded(
        Image.fromarray(np.where(INK, 0, 777).astype(np.uint16)), transparency=777
    ),
    "BMP": encoded(Image.fromarray(GREY), "BMP"),
    "GIF": encoded(Image.fromarray(GREY), "GIF"),
    "TIFF": encoded(Image.fromarray(GREY), "TIFF"),
    "WebP": encoded(Image.fromarray(GREY).convert("RGB"), "WEBP", lossless=True),
    "the first of two pictures": encoded(
        Image.fromarray(GREY), "GIF", save_all=True, append_images=[Image.fromarray(INK)]
    ),
}


@pytest.mark.parametrize("kind", SAME)
def test_the_same_drawing_in_any_format_gives_the_same_pixels(kind):
    np.testing.assert_array_equal(read_image(SAME[kind], SIDE), EXPECTED)


def test_a_jpeg_gives_almost_the_same_pixels():
    found = read_image(encoded(Image.fromarray(GREY), "JPEG", quality=95), SIDE)
    assert np.abs(found.astype(int) - EXPECTED).max() < 10


@pytest.mark.parametrize("turned", range(1, 9))
def test_a_photograph_is_turned_as_its_orientation_says(turned):
    stored = {
        1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
        5: np.transpose, 6: np.rot90, 7: lambda a: np.rot90(a, 2).T, 8: lambda a: np.rot90(a, -1),
    }[turned](GREY)  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = turned
    content = encoded(Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    np.testing.assert_array_equal(read_image(content, SIDE), EXPECTED)


def test_colours_are_kept_where_three_channels_are_wanted():
    pixels = np.full((8, 8, 3), 255, np.uint8)
    pixels[2:6, 2:6] = (255, 0, 100)
    found = read_image(Image.fromarray(pixels), 8, channels=3)
    assert found.shape == (8, 8, 3)
    np.testing.assert_array_equal(found, 255 - pixels)


def test_half_transparent_ink_is_half_ink():
    found = read_image(with_alpha(np.zeros_like(INK), INK // 2), 20)
    assert set(np.unique(found)) == {0, 127}


@pytest.mark.parametrize("shape", [(20, 12), (12, 20)])
def test_an_image_that_is_not_square_keeps_its_proportions_on_paper(shape):
    part = GREY[: shape[0], : shape[1]]
    padded = np.zeros((20, 20), np.uint8)
    top, left = (20 - shape[0]) // 2, (20 - shape[1]) // 2
    padded[top : top + shape[0], left : left + shape[1]] = 255 - part
    np.testing.assert_array_equal(read_image(Image.fromarray(part), SIDE)[..., 0], average_areas(padded, SIDE))


def test_paths_files_and_pillow_images_are_read_alike(tmp_path):
    path = tmp_path / "t.png"
    path.write_bytes(SAME["grey"])
    with path.open("rb") as file:
        found = [read_image(source, SIDE) for source in (path, str(path), file, io.BytesIO(SAME["grey"]))]
    found.append(read_image(Image.fromarray(GREY), SIDE))
    for image in found:
        assert (image.dtype, image.shape) == (np.uint8, (SIDE, SIDE, 1))
        np.testing.assert_array_equal(image, EXPECTED)


def test_a_pillow_image_is_left_as_it_was():
    image = Image.fromarray(GREY).convert("RGBA")
    read_image(image, SIDE)
    assert (image.mode, image.size) == ("RGBA", (20, 20))


REFUSED = {
    "empty": (b"", "is empty"),
    "text": (b"no image at all", "is not an image"),
    "another format": (encoded(Image.fromarray(GREY), "PPM"), "use one of PNG, JPEG"),
    "truncated": (SAME["grey"][:-40], "is damaged"),
    "white": (encoded(Image.new("L", (9, 9), 255)), "is blank"),
    "black": (encoded(Image.new("L", (9, 5), 0)), "is blank"),
    "transparent": (encoded(with_alpha(GREY, np.zeros_like(INK))), "is blank"),
    "too large": (encoded(Image.new("1", (8001, 8000))), "has 8001×8000 pixels, more than 64,000,000"),
    "far too large": (encoded(Image.new("1", (20_000, 20_000))), "has more than 64,000,000 pixels"),
    "32 bits": (encoded(Image.new("F", (4, 4)), "TIFF"), "pixels of an unknown kind"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_read_is_refused_with_the_files_name_and_the_reason(kind, tmp_path):
    content, reason = REFUSED[kind]
    path = tmp_path / "drawing"
    path.write_bytes(content)
    with pytest.raises(UserError, match=reason) as refused:
        read_image(path, SIDE)
    assert str(refused.value).startswith(str(path))
    with path.open("rb") as file, pytest.raises(UserError, match=str(path)):
        read_image(file, SIDE)


def test_a_source_without_a_name_is_the_image():
    with pytest.raises(UserError, match="the image is not an image"):
        read_image(b"nonsense", SIDE)


def test_files_that_are_not_there_and_folders_are_refused(tmp_path):
    with pytest.raises(UserError, match="a.png could not be read: No such file"):
        read_image(tmp_path / "a.png", SIDE)
    with pytest.raises(UserError, match="could not be read: Is a directory"):
        read_image(tmp_path, SIDE)


def test_a_file_that_was_opened_as_text_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    with (tmp_path / "a.txt").open() as file, pytest.raises(UserError, match="open it in binary mode"):
        read_image(file, SIDE)


def test_an_endless_file_is_read_no_further_than_the_limit(monkeypatch):
    monkeypatch.setattr(image_files, "MAX_BYTES", 1000)
    with pytest.raises(UserError, match="/dev/zero is longer than 1,000 bytes"):
        read_image("/dev/zero", SIDE)


@pytest.mark.parametrize(("side", "channels"), [(0, 1), (8, 2)])
def test_sizes_that_no_image_has_are_refused(side, channels):
    with pytest.raises(UserError, match=f"side={side}, channels={channels}"):
        read_image(SAME["grey"], side, channels)


@pytest.mark.filterwarnings("ignore")  # Pillow warns of what it misses
@pytest.mark.parametrize("kind", ["one bit", "grey", "RGB", "palette", "GIF", "TIFF", "WebP", "BMP", "JPEG"])
def test_a_truncated_file_is_refused_unless_all_its_pixels_are_there(kind):
    content = encoded(Image.fromarray(GREY), "JPEG") if kind == "JPEG" else SAME[kind]
    whole, refused = read_image(content, SIDE), 0
    for length in range(1, len(content)):
        try:
            np.testing.assert_array_equal(read_image(content[:length], SIDE), whole)
        except UserError:
            refused += 1
    assert refused > len(content) / 2


@pytest.mark.filterwarnings("ignore")  # Pillow warns of what it finds in damaged files
@pytest.mark.parametrize("kind", ["grey", "palette with a transparent colour", "GIF", "TIFF", "WebP", "BMP"])
def test_damaged_files_are_read_or_refused_never_anything_else(kind):
    rng = np.random.default_rng(0)
    for _ in range(200):
        content = bytearray(SAME[kind])
        for place in rng.integers(0, len(content), 3):
            content[place] = rng.integers(256)
        try:
            image = read_image(bytes(content), SIDE)
        except UserError:
            continue
        assert (image.dtype, image.shape) == (np.uint8, (SIDE, SIDE, 1))


def test_the_official_runs_files_are_read_as_training_sees_them(archives):
    from siamese_jax.data.omniglot import _ink

    path = archives / "omniglot" / "all_runs.zip"
    with zipfile.ZipFile(path) as runs:
        for name in ("run01/training/class01.png", "run20/test/item20.png"):
            content = runs.read(name)
            drawing = 255 * _ink(Path(path), name, content).astype(np.uint8)
            np.testing.assert_array_equal(read_image(content, 48)[..., 0], average_areas(drawing, 48))
