"""Images of a gallery as PNG files: dark ink on light paper, so that people can look at them."""

import hashlib
import io

import numpy as np
from PIL import Image

from siamese_jax.images.resize import average_areas

MAX_SIDE = 4096
"""Larger images are not decoded."""


def digest(image: np.ndarray) -> bytes:
    """Return 16 bytes that are equal for equal images, uint8 [H, W, C]."""
    return hashlib.blake2b(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes(), digest_size=16).digest()


def to_png(image: np.ndarray) -> bytes:
    """Return the PNG file of an image, uint8 [side, side, C] with 0 for paper and C = 1 or 3."""
    file = io.BytesIO()
    Image.fromarray(255 - (image[..., 0] if image.shape[2] == 1 else image)).save(file, "PNG")
    return file.getvalue()


def from_png(content: bytes) -> np.ndarray:
    """Return the image of a file by `to_png`; ValueError if it is damaged, or another kind of file."""
    try:
        image = Image.open(io.BytesIO(content), formats=("PNG",))
        if image.mode not in ("L", "RGB") or max(image.size) > MAX_SIDE:
            raise ValueError(f"it has {image.width}×{image.height} pixels of the kind {image.mode}")
        pixels = 255 - np.asarray(image)
    except Exception as error:  # decoders raise many kinds of errors for damaged files
        raise ValueError(str(error)) from error
    return pixels[..., None] if pixels.ndim == 2 else pixels


def check_png(content: bytes) -> None:
    """Raise ValueError unless these are the bytes of a PNG file."""
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            image.verify()
    except Exception as error:  # decoders raise many kinds of errors for damaged files
        raise ValueError(str(error)) from error


def fitted(image: np.ndarray, side: int, channels: int) -> np.ndarray:
    """Return an image as a network takes it.

    Args:
      image: uint8 [H, W, C] with C = 1 or 3.
      side: Height and width of the result in pixels.
      channels: Channels of the result, 1 or 3. Colours become grey as they do when a file is read.

    Returns:
      uint8 [side, side, channels].
    """
    if image.shape[2] != channels:
        paper = Image.fromarray(255 - (image[..., 0] if image.shape[2] == 1 else image))
        changed = 255 - np.asarray(paper.convert("L" if channels == 1 else "RGB"))
        image = changed.reshape(*image.shape[:2], channels)
    if image.shape[:2] == (side, side):
        return image
    return np.stack([average_areas(image[..., channel], side) for channel in range(channels)], axis=-1)
