"""Image files: every kind of pixel becomes the ink that training sees, and what cannot be read is refused by name."""

import contextlib
import io
import os
import socket
import struct
import subprocess
import time
import zipfile
import zlib
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hostile_pictures import PICTURES
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from siamese_jax.errors import UserError
from siamese_jax.gallery.images import from_png
from siamese_jax.images.resize import average_areas
from siamese_jax.storage import image_files
from siamese_jax.storage.image_files import read_image, read_picture
from siamese_jax.storage.picture_files import is_foreign

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


def png_by_hand(pixels: np.ndarray, colour_type: int, bits: int) -> bytes:
    """A PNG written chunk by chunk, for kinds of pixels that Pillow cannot write; pixels are [H, bytes of a row]."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", 20, 20, bits, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def in_two_tones(paper: int, ink: int) -> Image.Image:
    return Image.fromarray(np.where(INK, ink, paper).astype(np.uint8))


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
    "RGB in 16 bits": png_by_hand(np.repeat(GREY.astype(">u2") * 257, 3, axis=1).view(np.uint8), 2, 16),
    "RGBA in 16 bits": png_by_hand(
        (np.stack([0 * INK] * 3 + [INK], axis=-1).reshape(20, 80).astype(">u2") * 257).view(np.uint8), 6, 16
    ),
    "grey and alpha in 16 bits": png_by_hand(
        (np.stack([0 * INK, INK], axis=-1).reshape(20, 40).astype(">u2") * 257).view(np.uint8), 4, 16
    ),
    "grey in 2 bits": png_by_hand(np.packbits(np.repeat(GREY > 0, 2, axis=1), axis=1), 0, 2),
    "12 bits in 16": encoded(Image.fromarray(np.where(INK, 0, 4095).astype(np.uint16)), "TIFF"),
    "32-bit integers": encoded(Image.fromarray(np.where(INK, 0, 65535).astype(np.int32)), "TIFF"),
    "floating point from 0 to 1": encoded(Image.fromarray((GREY / 255).astype(np.float32)), "TIFF"),
    "floating point from 0 to 255": encoded(Image.fromarray(GREY.astype(np.float32)), "TIFF"),
    "floating point from -7 to 3": encoded(Image.fromarray(np.where(INK, -7, 3).astype(np.float32)), "TIFF"),
    "PGM": encoded(Image.fromarray(GREY), "PPM"),
    "PGM in 16 bits": b"P5 20 20 65535\n" + (GREY.astype(">u2") * 257).tobytes(),
    "PGM in letters": b"P2 20 20 255\n" + " ".join(map(str, GREY.ravel())).encode(),
    "PBM": encoded(Image.fromarray(GREY).convert("1"), "PPM"),
    "PPM": encoded(Image.fromarray(GREY).convert("RGB"), "PPM"),
    "white ink on black paper": encoded(Image.fromarray(INK)),
    "white ink on black paper, one bit": encoded(Image.fromarray(INK).convert("1")),
    "white ink, the rest transparent": encoded(with_alpha(np.full_like(INK, 255), INK)),
    "faint pencil on grey paper": encoded(in_two_tones(200, 150)),
    "chalk on slate": encoded(in_two_tones(60, 130)),
    "faint ink on white paper": encoded(in_two_tones(255, 200)),
    "half transparent ink": encoded(with_alpha(np.zeros_like(INK), INK // 2)),
    "red ink on yellow paper": encoded(
        Image.fromarray(np.where(INK[..., None], (160, 0, 0), (250, 240, 160)).astype("u1"))
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


TO_SAY = {
    "one bit": [],
    "palette": [],
    "the first of two pictures": ["several pictures in one file: the first is read"],
    "12 bits in 16": ["values up to 4095: 4095 taken as white"],
    "floating point from -7 to 3": ["values from -7 to 3: taken from black to white"],
    "black in transparent black": ["transparent: put on white paper"],
    "grey in 16 bits with a transparent value": ["transparent: put on white paper"],
    "white ink on black paper": ["light ink on dark paper: inverted"],
    "white ink, the rest transparent": ["transparent: put on black paper", "light ink on dark paper: inverted"],
    "faint pencil on grey paper": ["paper not white, or ink not black: levels corrected"],
    "chalk on slate": ["light ink on dark paper: inverted", "paper not white, or ink not black: levels corrected"],
}


@pytest.mark.parametrize("kind", TO_SAY)
def test_what_was_done_to_a_drawing_is_said(kind):
    assert list(read_picture(SAME[kind], SIDE).notes) == TO_SAY[kind]


@pytest.mark.parametrize("fit", ["pad", "ink"])
def test_grey_is_left_as_it_is_where_pictures_are_no_drawings(fit):
    filled = np.full((SIDE, SIDE), 230, np.uint8)
    filled[2:-2, 2:-2] = 205  # a drawing of this would be blank
    with pytest.raises(UserError, match="is blank.*polarity is .keep."):
        read_image(Image.fromarray(filled), SIDE)
    np.testing.assert_array_equal(
        read_image(Image.fromarray(filled), SIDE, fit=fit, polarity="keep")[..., 0], 255 - filled
    )


def test_grey_of_colours_weighs_them_as_eyes_do():
    red = Image.new("RGB", (SIDE, SIDE), "white")
    red.paste((255, 0, 0), (0, 0, 5, 5))
    pixels = read_image(red, SIDE, polarity="keep")
    assert pixels[0, 0, 0] == 255 - round(0.299 * 255)
    assert pixels[-1, -1, 0] == 0


def test_polarity_can_be_given():
    np.testing.assert_array_equal(read_image(SAME["white ink on black paper"], SIDE, polarity="light"), EXPECTED)
    np.testing.assert_array_equal(read_image(SAME["grey"], SIDE, polarity="dark"), EXPECTED)
    np.testing.assert_array_equal(read_image(SAME["grey"], SIDE, polarity="light"), 255 - EXPECTED)


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


def test_colours_are_neither_inverted_nor_stretched():
    for grey in (GREY, INK, np.where(INK, 150, 200).astype(np.uint8), np.where(INK, 0, 20).astype(np.uint8)):
        picture = read_picture(Image.fromarray(grey).convert("RGB"), 20, channels=3)
        np.testing.assert_array_equal(picture.pixels, np.repeat(255 - grey[..., None], 3, axis=-1))
        assert picture.notes == ()


def test_half_transparent_colours_are_half_white():
    found = read_image(with_alpha(np.zeros_like(INK), INK // 2), 20, channels=3)
    assert set(np.unique(found)) == {0, 127}


@pytest.mark.parametrize(
    "kind", ["grey in 16 bits", "floating point from 0 to 1", "PGM in 16 bits", "CMYK", "12 bits in 16"]
)
def test_grey_of_any_depth_is_read_into_three_channels(kind):
    np.testing.assert_array_equal(read_image(SAME[kind], SIDE, channels=3), np.repeat(EXPECTED, 3, axis=-1))


@pytest.mark.parametrize("shape", [(20, 12), (12, 20)])
def test_colour_that_is_not_square_keeps_its_proportions_on_paper(shape):
    part = GREY[: shape[0], : shape[1]]
    padded = np.zeros((20, 20), np.uint8)
    top, left = (20 - shape[0]) // 2, (20 - shape[1]) // 2
    padded[top : top + shape[0], left : left + shape[1]] = 255 - part
    picture = read_picture(Image.fromarray(part), SIDE, channels=3)
    for channel in np.moveaxis(picture.pixels, -1, 0):
        np.testing.assert_array_equal(channel, average_areas(padded, SIDE))
    assert picture.notes == ("not square: padded to a square",)


SHAPES = [(20, 30), (30, 20), (60, 25), (200, 200)]


def on_page(height: int, width: int) -> np.ndarray:
    page = np.full((height, width), 255, np.uint8)
    page[height - 20 :, width - 20 :] = GREY
    return page


@pytest.mark.parametrize("shape", SHAPES)
def test_a_drawing_on_a_page_of_another_shape_or_a_large_one_is_moved_to_the_middle_of_a_square(shape):
    picture = read_picture(Image.fromarray(on_page(*shape)), 24)
    square = np.zeros((19, 19), np.uint8)  # the T has 12 rows and 10 columns; 12 / 19 is the share of Omniglot's
    square[3:15, 4:14] = INK[4:16, 5:15]
    np.testing.assert_array_equal(picture.pixels[..., 0], average_areas(square, 24))
    height, width = shape
    assert picture.notes == (f"page of {width}×{height}: the drawing moved to the middle of a square",)
    assert picture.size == (width, height)


def test_a_drawing_that_is_small_on_a_square_page_is_enlarged_where_that_is_wanted():
    page = Image.fromarray(on_page(45, 45))
    asis = read_picture(page, 45)
    assert asis.notes == ("small drawing, or not in the middle of its page: fit=ink moves it there",)
    np.testing.assert_array_equal(asis.pixels[..., 0], 255 - on_page(45, 45))
    np.testing.assert_array_equal(
        read_image(page, 24, fit="ink"), read_image(Image.fromarray(on_page(20, 30)), 24, fit="ink")
    )


def test_dust_does_not_count_as_a_part_of_the_drawing():
    page = np.full((400, 300), 255, np.uint8)
    page[:200, :200] = np.kron(GREY, np.ones((10, 10), np.uint8))
    clean = read_image(Image.fromarray(page), 24)
    page[390, 290] = 0
    np.testing.assert_array_equal(read_image(Image.fromarray(page), 24), clean)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_page_can_be_cropped_or_stretched_instead(channels):
    page = np.full((20, 30), 255, np.uint8)
    page[:, 5:25] = GREY
    cropped = read_picture(Image.fromarray(page), SIDE, channels, fit="crop")
    assert cropped.notes == ("not square: cropped to a square",)
    np.testing.assert_array_equal(cropped.pixels, np.repeat(EXPECTED, channels, axis=-1))
    wide = np.kron(GREY, np.ones((1, 3), np.uint8))
    stretched = read_picture(Image.fromarray(wide), SIDE, channels, fit="squash")
    assert stretched.notes == ("not square: stretched to a square",)
    np.testing.assert_array_equal(stretched.pixels, np.repeat(EXPECTED, channels, axis=-1))


def test_a_large_image_is_read_as_its_small_original():
    large = np.kron(GREY, np.ones((150, 150), np.uint8))
    picture = read_picture(Image.fromarray(large), SIDE)
    assert picture.size == (3000, 3000)
    np.testing.assert_array_equal(picture.pixels, EXPECTED)


@pytest.mark.parametrize("kind", ["one bit", "palette with a transparent colour", "12 bits in 16", "RGB", "GIF"])
def test_a_thumbnail_is_a_small_png_of_the_original_on_white(kind):
    with Image.open(io.BytesIO(read_picture(SAME[kind], SIDE).thumbnail())) as small:
        assert (small.format, small.size) == ("PNG", (20, 20))
        np.testing.assert_array_equal(np.asarray(small.convert("L")), GREY)


def test_a_thumbnail_has_at_most_96_pixels_a_side_and_shows_the_original_not_what_the_network_sees():
    page = Image.new("RGB", (3000, 1500), (20, 40, 60))
    page.paste((250, 250, 0), (100, 100, 2000, 1400))
    picture = read_picture(page, SIDE)
    with Image.open(io.BytesIO(picture.thumbnail())) as small:
        assert small.size == (96, 48)
        assert small.getpixel((95, 47)) == (20, 40, 60)
        assert small.getpixel((30, 24)) == (250, 250, 0)


def test_a_damaged_exif_does_not_matter():
    chunk = PngImagePlugin.PngInfo()
    chunk.add(b"eXIf", b"MM\0*\0\0\0\x08\xff\xff nonsense")
    picture = read_picture(encoded(Image.fromarray(GREY), pnginfo=chunk), SIDE)
    np.testing.assert_array_equal(picture.pixels, EXPECTED)


def test_a_photograph_of_several_pictures_as_phones_write_it_is_read():
    photograph = Image.fromarray(np.kron(GREY, np.ones((8, 8), np.uint8))).convert("RGB")
    content = encoded(photograph, "MPO", save_all=True, append_images=[photograph.rotate(90)], quality=95)
    assert np.abs(read_image(content, SIDE).astype(int) - EXPECTED).max() < 10


def test_a_blank_page_is_refused_whatever_its_light_and_noise():
    rng = np.random.default_rng(0)
    light = np.linspace(250, 120, 300) * np.linspace(1, 0.8, 400)[:, None]
    for page in (np.full((300, 300), 230.0), light, np.full((105, 105), 90.0), light.T):
        noisy = np.clip(page + rng.normal(0, 4, page.shape), 0, 255).astype(np.uint8)
        with pytest.raises(UserError, match="is blank"):
            read_image(encoded(Image.fromarray(noisy)), SIDE)


def test_a_drawing_on_unevenly_lit_paper_is_read_like_a_clean_one():
    large = np.kron(GREY, np.ones((15, 15), np.uint8))
    light = np.linspace(1, 0.45, 300) * np.linspace(1, 0.8, 300)[:, None]
    noise = np.random.default_rng(0).normal(0, 4, light.shape)
    photograph = np.clip(light * np.where(large, 230, 60) + noise, 0, 255).astype(np.uint8)
    found = read_image(encoded(Image.fromarray(photograph)), SIDE)
    assert np.abs(found.astype(int) - EXPECTED).mean() < 3


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
    "another format": (encoded(Image.fromarray(GREY), "TGA"), "use one of PNG, JPEG"),
    "PostScript": (encoded(Image.fromarray(GREY), "EPS"), "use one of PNG, JPEG"),
    "truncated": (SAME["grey"][:-40], "is damaged"),
    "white": (encoded(Image.new("L", (9, 9), 255)), "is blank"),
    "black": (encoded(Image.new("L", (9, 5), 0)), "is blank"),
    "transparent": (encoded(with_alpha(GREY, np.zeros_like(INK))), "is blank"),
    "too large": (encoded(Image.new("1", (8001, 8000))), "has 8001×8000 pixels, more than 64,000,000"),
    "far too large": (encoded(Image.new("1", (20_000, 20_000))), "has more than 64,000,000 pixels"),
    "floating point, all zero": (encoded(Image.new("F", (4, 4)), "TIFF"), "is blank"),
    "not numbers": (encoded(Image.fromarray(np.full((4, 4), np.nan, np.float32)), "TIFF"), "not finite numbers"),
    "Lab": (encoded(Image.new("LAB", (4, 4)), "TIFF"), "pixels of an unknown kind"),
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
    with pytest.raises(UserError, match="is a folder, not a file"):
        read_image(tmp_path, SIDE)


def test_a_file_that_was_opened_as_text_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    with (tmp_path / "a.txt").open() as file, pytest.raises(UserError, match="open it in binary mode"):
        read_image(file, SIDE)


def test_an_endless_file_is_read_no_further_than_the_limit(monkeypatch):
    monkeypatch.setattr(image_files, "MAX_BYTES", 1000)
    with pytest.raises(UserError, match="/dev/zero is a device, not a file"):
        read_image("/dev/zero", SIDE)


@pytest.mark.parametrize("change", [{"fit": "stretch"}, {"polarity": "black"}])
def test_choices_that_do_not_exist_are_refused_with_those_that_do(change):
    ((name, value),) = change.items()
    with pytest.raises(UserError, match=f"{name}='{value}' is unknown: use .*(squash|keep)$"):
        read_image(SAME["grey"], SIDE, **change)


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


HEADERS = [b"", *(SAME[kind][:24] for kind in ("grey", "GIF", "TIFF", "WebP", "BMP", "PGM", "PGM in letters"))]


@pytest.mark.filterwarnings("ignore")  # Pillow warns of what it misses; the command says it in a sentence
@pytest.mark.parametrize("what", PICTURES)
def test_hostile_files_are_read_or_refused_at_once_and_never_run(tmp_path, monkeypatch, what):
    def run(*_, **__):
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "Popen", run)
    path = tmp_path / "a.png"
    path.write_bytes(PICTURES[what]())
    began = time.process_time()
    try:
        image = read_image(path, SIDE)
    except UserError as error:
        refused = str(error)
        assert str(path) in refused
        assert len(refused) < 400 + len(str(path))
    else:
        assert (image.dtype, image.shape) == (np.uint8, (SIDE, SIDE, 1))
    assert time.process_time() - began < 2
    with contextlib.suppress(ValueError):
        from_png(path.read_bytes())


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_not_a_file_is_refused_at_once(tmp_path, make):
    make(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png is a (named pipe|folder|device), not a file"):
        read_image(tmp_path / "a.png", SIDE)


def test_pipes_and_sockets_in_a_folder_of_pictures_are_foreign(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "socket"))
        assert [is_foreign(tmp_path / name) for name in ("pipe", "null", "socket")] == [True, True, True]


@pytest.mark.filterwarnings("ignore")
@hypothesis.given(st.sampled_from(HEADERS), st.binary(max_size=200), st.sampled_from([1, 3]))
@hypothesis.settings(max_examples=200)
def test_any_bytes_are_read_or_refused_never_anything_else(header, rest, channels):
    try:
        image = read_image(header + rest, SIDE, channels)
    except UserError:
        return
    assert (image.dtype, image.shape) == (np.uint8, (SIDE, SIDE, channels))


@pytest.mark.filterwarnings("ignore")
@hypothesis.given(
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.randoms(use_true_random=False),
    st.sampled_from(["pad", "ink"]),
)
@hypothesis.settings(max_examples=100)
def test_tiny_pages_of_any_shape_are_read_or_blank(shape, random, fit):
    page = np.array([random.randrange(256) for _ in range(shape[0] * shape[1])], np.uint8).reshape(shape)
    try:
        image = read_image(Image.fromarray(page), SIDE, fit=fit)
    except UserError as error:
        assert "is blank" in str(error)  # noqa: PT017
    else:
        assert (image.dtype, image.shape) == (np.uint8, (SIDE, SIDE, 1))


def test_the_official_runs_files_are_read_as_training_sees_them(archives):
    from siamese_jax.data.omniglot import _ink

    path = archives / "omniglot" / "all_runs.zip"
    with zipfile.ZipFile(path) as runs:
        for name in ("run01/training/class01.png", "run20/test/item20.png"):
            content = runs.read(name)
            drawing = 255 * _ink(Path(path), name, content).astype(np.uint8)
            np.testing.assert_array_equal(read_image(content, 48)[..., 0], average_areas(drawing, 48))
