"""Image files become what a network is trained on: uint8 [side, side, C], 0 for paper and 255 for full ink."""

import io
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from siamese_jax.errors import UserError
from siamese_jax.images.resize import average_areas
from siamese_jax.storage.files import explained

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""File formats that are read. Of several pictures in one file, the first is read."""
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "I;16", "I;16L", "I;16B")
"""Kinds of pixels that are read, by Pillow's names: 1, 8 or 16 bits of grey, a palette, or colour; some with alpha."""
MAX_PIXELS = 64_000_000
"""Larger images are refused: a small file can hold an image that fills the memory."""
MAX_BYTES = 256_000_000
"""Longer files are refused."""


def read_image(
    source: str | os.PathLike[str] | bytes | BinaryIO | Image.Image, side: int, channels: int = 1
) -> np.ndarray:
    """Read one image of dark ink on light paper, and resize it exactly as training does.

    Transparent pixels become white paper. A photograph is turned as its EXIF orientation says. An image that is not
    square is centred on a square of paper.

    Args:
      source: A path, the bytes of a file, a file opened in binary mode, or a Pillow image. Files are PNG, JPEG, WebP,
        GIF, BMP or TIFF.
      side: Height and width of the result in pixels, 1 or more. A trained network has it as `Model.side`.
      channels: 1 for grey, 3 for red, green and blue.

    Returns:
      uint8 [side, side, channels], 0 for white paper, 255 for black ink.

    Raises:
      UserError: The file cannot be read, is damaged or too large, has another format, or all its pixels are equal.
        The message names the file.
    """
    if side < 1 or channels not in (1, 3):
        raise UserError(
            f"side={side}, channels={channels} cannot be read: use a side of 1 or more, and 1 or 3 channels"
        )
    name = _name(source)
    image = source if isinstance(source, Image.Image) else _opened(_content(source, name), name)
    height, width = image.height, image.width
    if height * width > MAX_PIXELS:
        raise UserError(
            f"{name} has {width}×{height} pixels, more than {MAX_PIXELS:,}: reduce it, for example to {side}×{side}"
        )
    if image.mode not in MODES:
        raise UserError(f"{name} has pixels of an unknown kind ({image.mode!r}): convert it to PNG in grey or RGB")
    try:
        ink = _ink(ImageOps.exif_transpose(image), channels)
    except Exception as error:  # decoders raise many kinds of errors for damaged files
        raise UserError(f"{name} is damaged ({error}): replace the file") from error
    if (ink == ink[:, :1, :1]).all():
        raise UserError(f"{name} is blank, all its pixels are equal: use an image that shows something")
    return np.stack([average_areas(channel, side) for channel in ink], axis=-1)


def _name(source: object) -> str:
    """Return what messages call the source."""
    if isinstance(source, str | os.PathLike):
        return os.fsdecode(source)
    name = getattr(source, "filename" if isinstance(source, Image.Image) else "name", "")
    return name if isinstance(name, str) and name else "the image"


def _content(source: str | os.PathLike[str] | bytes | BinaryIO, name: str) -> bytes:
    """Return the bytes of a source; UserError if there are none, or too many."""
    with explained(name, "read"):
        if isinstance(source, str | os.PathLike):
            with Path(source).open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        else:
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


def _ink(image: Image.Image, channels: int) -> np.ndarray:
    """Decode an image: uint8 [channels, H, W], 0 for white or transparent, 255 for black."""
    if image.mode.startswith("I;16"):
        image = _in_8_bits(image)
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")
        paper.alpha_composite(image.convert("RGBA"))
        image = paper
    image = image.convert("L" if channels == 1 else "RGB")
    return 255 - np.stack([np.asarray(band) for band in image.split()])


def _in_8_bits(image: Image.Image) -> Image.Image:
    """Return a 16-bit grey image in 8 bits. Pillow's own conversion cuts all values above 255."""
    values = np.asarray(image)
    grey = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    grey[values == image.info.get("transparency", -1)] = 255
    return Image.fromarray(grey)
