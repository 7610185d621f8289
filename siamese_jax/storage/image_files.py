"""Image files become what a network is trained on: uint8 [side, side, C], 0 for paper and 255 for full ink."""

import io
import os
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from siamese_jax.errors import UserError
from siamese_jax.images import ink as inks
from siamese_jax.images.resize import average_areas, squash_areas
from siamese_jax.storage.files import explained, open_file

Source = str | os.PathLike[str] | bytes | BinaryIO | Image.Image
"""A path, the bytes of a file, a file opened in binary mode, or a Pillow image."""

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
"""File formats that are read; PPM stands for PGM, PBM and PNM, too. Of several pictures in one file, the first is read.

Pillow tries no other format, whatever a file is called: an EPS file would be run by Ghostscript.
"""
NARROW = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
WIDE = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
"""Kinds of pixels that are read, by Pillow's names. Wide ones are grey with more than 8 bits, or floating point."""
WHITE_LEVELS = (1, 255, 1023, 4095, 16383, 65535)
"""What white may be in wide pixels: 1 in floating point, else the largest number of 8, 10, 12, 14 or 16 bits."""
FITS = ("pad", "ink", "crop", "squash")
POLARITIES = ("auto", "dark", "light", "keep")
MAX_PIXELS = 64_000_000
"""Larger images are refused: a small file can hold an image that fills the memory."""
MAX_BYTES = 256_000_000
"""Longer files are refused."""
LARGE = 1024
"""Images of at least twice this side are reduced by a whole factor first, to no less than this side."""
THUMBNAIL = 96
"""Longer side of a thumbnail in pixels, at most."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One image, as a network sees it.

    Attributes:
      pixels: uint8 [side, side, C], 0 for paper and 255 for full ink.
      notes: What was done to the image beyond resizing, in a few words each, for example "light ink on dark paper:
        inverted". Empty for black ink on a square white page.
      size: Width and height of the original image in pixels.
      reduced: The original on white paper, with at most 96 pixels a side.
    """

    pixels: np.ndarray = field(repr=False)
    notes: tuple[str, ...]
    size: tuple[int, int]
    reduced: Image.Image = field(repr=False)

    def thumbnail(self) -> bytes:
        """Return the reduced original as a PNG file."""
        file = io.BytesIO()
        self.reduced.save(file, "PNG", optimize=True)
        return file.getvalue()


def read_image(source: Source, side: int, channels: int = 1, fit: str = "pad", polarity: str = "auto") -> np.ndarray:
    """Read one image and resize it exactly as training does.

    A drawing (one channel) becomes black ink on white paper: light ink on dark paper is inverted, grey paper becomes
    white and faint ink black. Colour (three channels) is left as it is, and so is grey with polarity="keep".
    Transparent pixels become white paper. A photograph is turned as its EXIF orientation says.

    Args:
      source: A path, the bytes of a file, a file opened in binary mode, or a Pillow image. Files are PNG, JPEG, WebP,
        GIF, BMP, TIFF, PGM or PPM.
      side: Height and width of the result in pixels, 1 or more. A trained network has it as `Model.side`.
      channels: 1 for drawings, 3 for red, green and blue.
      fit: How a page becomes a square. "ink" cuts out the drawing and moves it to the middle of a square page, which it
        fills as well as Omniglot's drawings do. "pad" does so if the page is not square, or the drawing very small on
        it. For colour both put the image on a square of white paper. "crop" keeps the square in the middle, and
        "squash" stretches the page.
      polarity: "dark" if a drawing's ink is darker than its paper, "light" if it is lighter, "auto" to find out. "keep"
        leaves the levels of grey as they are, for pictures that are no drawings. It does not matter for colour.

    Returns:
      uint8 [side, side, channels], 0 for white paper, 255 for black ink.

    Raises:
      UserError: The file cannot be read, is damaged or too large, has another format, or is blank. The message names
        the file.
    """
    return read_picture(source, side, channels, fit, polarity).pixels


def read_picture(
    source: Source,
    side: int,
    channels: int = 1,
    fit: str = "pad",
    polarity: str = "auto",
    max_pixels: int = MAX_PIXELS,
) -> Picture:
    """Read one image as `read_image`; return what was done to it and a thumbnail, too.

    Images of more than `max_pixels` are refused before they are decoded.
    """
    check_choices(side, channels, fit, polarity)
    name = _name(source)
    image = source if isinstance(source, Image.Image) else _opened(_content(source, name), name)
    if image.height * image.width > max_pixels:
        raise UserError(
            f"{name} has {image.width}×{image.height} pixels, more than {max_pixels:,}: reduce it, for example to "
            f"{side}×{side}"
        )
    if image.mode not in NARROW + WIDE:
        raise UserError(f"{name} has pixels of an unknown kind ({image.mode!r}): convert it to PNG in grey or RGB")
    notes: list[str] = []
    try:
        image = _turned(image, notes)
        page = _on_paper(image, "white", notes)
        if channels == 1 and polarity != "keep":
            pixels = _drawing(image, page, side, fit, polarity, notes)
        else:
            pixels = _as_it_is(page, "L" if channels == 1 else "RGB", side, fit, notes)
        reduced = _thumbnail(page)
    except Exception as error:  # decoders raise many kinds of errors for damaged files
        raise UserError(f"{name} is damaged ({error}): replace the file") from error
    if pixels is None:
        keep = '; for pictures that are no drawings, polarity is "keep"' if channels == 1 and polarity != "keep" else ""
        raise UserError(
            f"{name} is blank, nothing on it can be told from its paper: use an image that shows something{keep}"
        )
    return Picture(pixels, tuple(notes), image.size, reduced)


def check_choices(side: int, channels: int, fit: str, polarity: str) -> None:
    """Raise UserError unless an image can be read with these arguments of `read_image`."""
    if side < 1 or channels not in (1, 3):
        raise UserError(
            f"side={side}, channels={channels} cannot be read: use a side of 1 or more, and 1 or 3 channels"
        )
    for name, value, choices in (("fit", fit, FITS), ("polarity", polarity, POLARITIES)):
        if value not in choices:
            raise UserError(f"{name}={value!r} is unknown: use {', '.join(choices[:-1])} or {choices[-1]}")


def _name(source: Source) -> str:
    """Return what messages call the source."""
    if isinstance(source, str | os.PathLike):
        return os.fsdecode(source)
    name = getattr(source, "filename" if isinstance(source, Image.Image) else "name", "")
    return name if isinstance(name, str) and name else "the image"


def _content(source: str | os.PathLike[str] | bytes | BinaryIO, name: str) -> bytes:
    """Return the bytes of a source; UserError if there are none, or too many."""
    if isinstance(source, str | os.PathLike):
        with open_file(source) as file, explained(name, "read"):
            content = file.read(MAX_BYTES + 1)
    else:
        with explained(name, "read"):
            content = source if isinstance(source, bytes) else source.read(MAX_BYTES + 1)
    if not isinstance(content, bytes):
        raise UserError(f"{name} was opened as text: open it in binary mode, for example open(path, 'rb')")
    if not content:
        raise UserError(f"{name} is empty: replace the file")
    if len(content) > MAX_BYTES:
        raise UserError(f"{name} is longer than {MAX_BYTES:,} bytes: reduce the image")
    return content


def _opened(content: bytes, name: str) -> Image.Image:
    """Return the image of a file, of which only the header has been decoded."""
    try:
        return Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.UnidentifiedImageError as error:
        known = ", ".join(FORMATS)
        raise UserError(
            f"{name} is not an image, or damaged, or of a format that is not read: use one of {known}"
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UserError(f"{name} has more than {MAX_PIXELS:,} pixels: reduce the image") from error
    except Exception as error:
        raise UserError(f"{name} is damaged ({error}): replace the file") from error


def _turned(image: Image.Image, notes: list[str]) -> Image.Image:
    """Decode an image, and turn it as its EXIF orientation says."""
    if getattr(image, "is_animated", False):
        notes.append("several pictures in one file: the first is read")
    image.load()
    try:
        turned = image.getexif().get(0x0112, 1) in range(2, 9)
        image = ImageOps.exif_transpose(image)
    except Exception:  # the pixels are whole
        notes.append("EXIF damaged: not turned")
    else:
        notes.extend(["EXIF: turned"] * turned)
    return image


def _on_paper(image: Image.Image, paper: str, notes: list[str]) -> Image.Image:
    """Return a decoded image in mode L, RGB or F (0 for black, 255 for white); transparent pixels show the paper."""
    if image.mode in WIDE:
        return _of_wide(image, paper, notes)
    if image.has_transparency_data:
        alpha = image.convert("RGBA")
        if np.asarray(alpha.getchannel("A")).min() < 255:
            notes.append(f"transparent: put on {paper} paper")
        flat = Image.new("RGBA", image.size, paper)
        flat.alpha_composite(alpha)
        return _smaller(flat.convert("RGB"))
    return _smaller(image.convert("L" if image.mode in ("1", "L") else "RGB"))


def _of_wide(image: Image.Image, paper: str, notes: list[str]) -> Image.Image:
    """Return a grey image of more than 8 bits, or of floating point, in mode F."""
    values = np.asarray(image).astype(np.float32)
    transparent = values == image.info.get("transparency", np.nan)
    if transparent.any():
        notes.append(f"transparent: put on {paper} paper")
        values[transparent] = 0
    if not np.isfinite(values).all():
        raise ValueError("some pixels are not finite numbers")
    lowest, highest = float(values.min()), float(values.max())
    whites = [level for level in WHITE_LEVELS if level >= highest and (level > 1 or image.mode == "F")]
    if lowest < 0 or not whites:
        notes.append(f"values from {lowest:g} to {highest:g}: taken from black to white")
        values = (values - lowest) / max(highest - lowest, 1e-30)
    else:
        values /= whites[0]
        if 255 < whites[0] < 65535:
            notes.append(f"values up to {highest:g}: {whites[0]} taken as white")
    values[transparent] = paper == "white"
    return _smaller(Image.fromarray(255 * values))


def _smaller(image: Image.Image) -> Image.Image:
    """Return a large image reduced by a whole factor: the network needs few pixels, and time and memory are saved."""
    factor = max(image.size) // LARGE
    return image.reduce(factor) if factor > 1 else image


def _drawing(
    image: Image.Image, page: Image.Image, side: int, fit: str, polarity: str, notes: list[str]
) -> np.ndarray | None:
    """Return a drawing as uint8 [side, side, 1]; None if it is blank.

    Args:
      image: The decoded image.
      page: The same on white paper.
      side: As in `read_image`, like `fit` and `polarity`.
      notes: What is done is added here.
    """
    light = _lightness(page)
    if image.has_transparency_data and (polarity == "light" or (polarity == "auto" and inks.is_blank(light))):
        notes[:] = [note for note in notes if not note.startswith("transparent")]
        light = _lightness(_on_paper(image, "black", notes))
    if polarity == "light" or (polarity == "auto" and inks.is_light_on_dark(light)):
        notes.append("light ink on dark paper: inverted")
        light = 1 - light
    if inks.is_clean(light):
        ink = 1 - light
    elif inks.is_blank(light):
        return None
    else:
        ink = inks.as_ink(light)
        notes.append("paper not white, or ink not black: levels corrected")
    height, width = ink.shape
    if fit in ("pad", "ink"):
        box = inks.box_of(ink)
        share = box.longer_side / max(height, width)
        if fit == "ink":
            ink = inks.framed(ink, box)
        elif height != width or share < inks.SMALLEST:
            notes.append(f"page of {image.width}×{image.height}: the drawing moved to the middle of a square")
            ink = inks.framed(ink, box)
        elif share < inks.SMALL or box.off_centre(height, width) > inks.OFF_CENTRE:
            notes.append("small drawing, or not in the middle of its page: fit=ink moves it there")
    return _fitted(np.rint(255 * ink).astype(np.uint8)[None], side, fit, notes)


def _lightness(page: Image.Image) -> np.ndarray:
    """Return the lightness of a page, float32 [H, W], 0 for black and 1 for white."""
    grey = page if page.mode == "F" else page.convert("L")
    return np.asarray(grey, np.float32) / np.float32(255)


def _as_it_is(page: Image.Image, mode: str, side: int, fit: str, notes: list[str]) -> np.ndarray | None:
    """Return an image on paper as uint8 [side, side, C], 0 for white; None if all its pixels are equal.

    Args:
      page: The image on white paper.
      mode: "L" for one channel, "RGB" for three.
      side: As in `read_image`, like `fit`.
      notes: What is done is added here.
    """
    if page.mode == "F":
        page = Image.fromarray(np.rint(np.asarray(page)).astype(np.uint8))
    inverse = 255 - np.moveaxis(np.atleast_3d(np.asarray(page.convert(mode))), -1, 0)
    if (inverse == inverse[:, :1, :1]).all():
        return None
    return _fitted(inverse, side, fit, notes)


def _fitted(images: np.ndarray, side: int, fit: str, notes: list[str]) -> np.ndarray:
    """Resize uint8 [C, H, W] to uint8 [side, side, C]."""
    height, width = images.shape[1:]
    square = min(height, width)
    if height != width:
        done = {"crop": "cropped", "squash": "stretched"}.get(fit, "padded")
        notes.append(f"not square: {done} to a square")
    if fit == "squash":
        return np.moveaxis(squash_areas(images, side), 0, -1)
    if fit == "crop":
        top, left = (height - square) // 2, (width - square) // 2
        images = images[:, top : top + square, left : left + square]
    return np.moveaxis(average_areas(images, side), 0, -1)


def _thumbnail(page: Image.Image) -> Image.Image:
    """Return a small copy of an image on paper, in mode L or RGB."""
    small = page.reduce(max(1, max(page.size) // (2 * THUMBNAIL)))
    small = small.convert("L") if small.mode == "F" else small
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    return small
