"""Resizing of stored images, uint8 [..., H, W], 0 for paper and 255 for full ink.

Training, evaluation and reading of image files resize with these functions, so that they all see the same pixels.
"""

import chex
import numpy as np


def average_blocks(images: np.ndarray, k: int) -> np.ndarray:
    """Average blocks of k×k pixels.

    Args:
      images: uint8 [..., H, W], where k divides H and W.
      k: Side of a block in pixels.

    Returns:
      uint8 [..., H / k, W / k], rounded to the nearest value, halves upwards.
    """
    _check(images)
    if images.shape[-2] % k or images.shape[-1] % k:
        raise ValueError(f"blocks of {k}×{k} pixels do not tile images of shape {images.shape}")
    if k == 1:
        return images
    total = np.zeros((*images.shape[:-2], images.shape[-2] // k, images.shape[-1] // k), np.int32)
    for row, column in np.ndindex(k, k):
        total += images[..., row::k, column::k]
    return ((total + k * k // 2) // (k * k)).astype(np.uint8)


def average_areas(images: np.ndarray, side: int) -> np.ndarray:
    """Resize images to a square; each new pixel is the mean of the area that it covers.

    An image that is not square is centred on a square of paper first. Its proportions are kept.

    Args:
      images: uint8 [..., H, W].
      side: Height and width of the result in pixels.

    Returns:
      uint8 [..., side, side], rounded to the nearest value.
    """
    _check(images)
    height, width = images.shape[-2:]
    square = max(height, width)
    share = _shares(square, side)
    # Paper is 0 and adds nothing to a mean, so its part of the square is left out of the sums.
    top, left = (square - height) // 2, (square - width) // 2
    rows, columns = share[:, top : top + height], share[:, left : left + width]
    return np.rint(rows @ images.astype(np.float32, order="C") @ columns.T).astype(np.uint8)


def squash_areas(images: np.ndarray, side: int) -> np.ndarray:
    """Resize images to a square as `average_areas`, but stretch one that is not square: its proportions change.

    Args:
      images: uint8 [..., H, W].
      side: Height and width of the result in pixels.

    Returns:
      uint8 [..., side, side], rounded to the nearest value.
    """
    _check(images)
    height, width = images.shape[-2:]
    mean = _shares(height, side) @ images.astype(np.float32, order="C") @ _shares(width, side).T
    return np.rint(mean).astype(np.uint8)


def _shares(pixels: int, side: int) -> np.ndarray:
    """Return the share that each old pixel has in each new one, float32 [side, pixels]; every row adds up to 1."""
    edges, starts = np.linspace(0, pixels, side + 1), np.arange(pixels)
    overlap = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    return (np.maximum(overlap, 0) * side / pixels).astype(np.float32)


def _check(images: np.ndarray) -> None:
    chex.assert_type(images, np.uint8)
    if images.ndim < 2:
        raise ValueError(f"images must be [..., H, W], not {list(images.shape)}")
