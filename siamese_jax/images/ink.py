"""Drawings on any paper become ink: float32 [H, W], 0 for paper and 1 for full ink.

A network for drawings was trained on black ink and white paper. Files show grey paper, faint pencil, uneven light, or
light ink on a dark page. `light` is the lightness of a page, float32 [H, W], 0 for black and 1 for white.

The constants were chosen on simulated pages (JPEG, pencil, photographs with uneven light) of Omniglot's official runs,
where the result hardly depends on them; see benchmarks/reading.py.
"""

from typing import NamedTuple

import chex
import numpy as np
from scipy import ndimage

WHITE, BLACK = 0.96, 0.2
"""A page with paper at least so light and ink at most so light is used as it is."""
CONTRAST, SIGNAL_TO_NOISE = 0.04, 5.0
"""A page is blank if nothing differs from the paper by this much, and by so many standard deviations of the noise."""
NOISE, FAINTEST, LEVEL = 3.0, 0.2, 75
"""Paper is all that differs by less than NOISE standard deviations, or by less than FAINTEST of the ink's level.

The level of the ink is the percentile LEVEL of all ink.
"""
LONGER_SIDE = 0.64
"""Longer side of the ink's box as a share of the page. It is Omniglot's mean over the background drawings."""
SMALL, SMALLEST = 0.3, 0.18
"""Shares of the page's side that the longer side of a drawing usually exceeds.

Of Omniglot's background drawings 1 in 100 is below the first, and 1 in 1,000 below the second.
"""
OFF_CENTRE = 0.2
"""Distance from the middle of a drawing to that of its page, as a share of the side, that is usual at most.

Of Omniglot's background drawings 1 in 300 exceeds it.
"""
SPECK = 0.005
"""Connected parts with a smaller share of all ink are dust, and do not count for the box."""


class Box(NamedTuple):
    """Rows `top` to `bottom` and columns `left` to `right` of a page; the ends are not included."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def longer_side(self) -> int:
        """Its longer side in pixels."""
        return max(self.bottom - self.top, self.right - self.left)

    def off_centre(self, height: int, width: int) -> float:
        """Return how far its middle is from that of a page of this size, in rows or columns, as a share of them."""
        return max(abs(self.top + self.bottom - height) / height, abs(self.left + self.right - width) / width) / 2


def is_light_on_dark(light: np.ndarray) -> bool:
    """Tell whether ink is lighter than its paper.

    Ink covers the smaller part of a page, most of all at the border. Otsu's threshold separates light pixels from dark
    ones. Before that the plane that fits the page best is subtracted, because one side of a photographed page is often
    darker than the other.

    Args:
      light: float32 [H, W], the page.
    """
    _check(light)
    level = light - _plane(light)
    is_light = level > otsu(level)
    return bool((is_light.mean() + _border(is_light).mean()) / 2 < 0.5)


def is_clean(light: np.ndarray) -> bool:
    """Tell whether a page has a black and a white part, so that dark ink is 1 - light."""
    _check(light)
    threshold = otsu(light)
    of_paper, of_ink = light[light > threshold], light[light <= threshold]
    return bool(of_paper.size and of_ink.size and np.median(of_paper) >= WHITE and np.median(of_ink) <= BLACK)


def is_blank(light: np.ndarray) -> bool:
    """Tell whether nothing on a page stands out from light, noise and texture, neither darker nor lighter."""
    _check(light)
    level = _means(light - _plane(light), -(-max(light.shape) // 128))
    smooth = ndimage.gaussian_filter(level, max(1.0, 0.012 * max(level.shape)), mode="nearest")
    for page in (smooth, -smooth):  # dark ink, or light ink
        darkness = _surface(page) - page
        darkness = darkness - np.median(darkness)
        noise = 1.4826 * np.median(np.abs(darkness))  # the standard deviation, if most pixels are paper
        if darkness.max() >= max(CONTRAST, SIGNAL_TO_NOISE * noise):
            return False
    return True


def as_ink(light: np.ndarray) -> np.ndarray:
    """Return the ink of dark strokes on lighter paper of any level: paper becomes 0 and ink 1.

    The lightness of the paper is estimated at each pixel by a grey closing, which removes dark strokes, so that uneven
    light does not matter.

    Args:
      light: float32 [H, W], the page.

    Returns:
      float32 [H, W] in [0, 1].
    """
    _check(light)
    paper = _surface(light)
    darkness = (paper - light) / np.maximum(paper, 1e-3)
    darkness = darkness - np.median(darkness)  # most pixels are paper
    noise = 1.4826 * np.median(np.abs(darkness))
    ink = darkness[darkness > otsu(darkness)]
    level = float(np.percentile(ink, LEVEL)) if ink.size else 0.0
    if level <= 0:
        return np.zeros_like(light)
    faintest = min(max(NOISE * noise, FAINTEST * level), 0.6 * level)
    return np.clip((darkness - faintest) / (level - faintest), 0, 1).astype(np.float32)


def box_of(ink: np.ndarray) -> Box:
    """Return the smallest box that holds all ink except dust.

    Args:
      ink: float32 [H, W] in [0, 1]; some pixel is above 0.

    Returns:
      The box of the pixels with at least half of the most ink.
    """
    _check(ink)
    parts = np.zeros(ink.shape, np.int32)
    ndimage.label(ink >= ink.max() / 2, structure=np.ones((3, 3)), output=parts)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    kept = (sizes >= SPECK * sizes.sum())[parts] & (parts > 0)
    rows, columns = np.flatnonzero(kept.any(axis=1)), np.flatnonzero(kept.any(axis=0))
    return Box(int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)


def framed(ink: np.ndarray, box: Box) -> np.ndarray:
    """Return a square page around a box, of which the longer side of the box is the share `LONGER_SIDE`.

    Args:
      ink: float32 [H, W].
      box: The part that becomes the middle of the square. Ink outside the box, and outside the old page, is left out.

    Returns:
      float32 [S, S].
    """
    _check(ink)
    height, width = box.bottom - box.top, box.right - box.left
    side = round(box.longer_side / LONGER_SIDE)
    square = np.zeros((side, side), ink.dtype)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = ink[box.top : box.bottom, box.left : box.right]
    return square


def otsu(values: np.ndarray, bins: int = 256) -> float:
    """Return the threshold that separates values into two classes with the largest variance between them (Otsu 1979).

    Values above it are of the upper class. If all values are equal, none is above.
    """
    lowest, highest = float(values.min()), float(values.max())
    if not lowest < highest:
        return highest
    counts, edges = np.histogram(values, bins, (lowest, highest))
    centres = (edges[1:] + edges[:-1]) / 2
    below, total = np.cumsum(counts)[:-1], counts.sum()
    sums = np.cumsum(counts * centres)
    between = (sums[-1] * below / total - sums[:-1]) ** 2 / (below * (total - below))
    return float(edges[1 + between.argmax()])


def _border(page: np.ndarray, share: float = 0.06) -> np.ndarray:
    """Return the pixels near the edges of a page, in one row."""
    width = max(1, round(share * min(page.shape)))
    near = np.ones(page.shape, bool)
    near[width:-width, width:-width] = False
    return page[near]


def _plane(light: np.ndarray) -> np.ndarray:
    """Return the plane that fits a page best, float32 [H, W]."""
    height, width = light.shape
    # Row and column numbers with mean 0 are orthogonal, so that each slope is one quotient.
    row, column = np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2
    down = light.mean(axis=1) @ row / max(row @ row, 1)
    across = light.mean(axis=0) @ column / max(column @ column, 1)
    return (light.mean() + down * row[:, None] + across * column).astype(np.float32)


def _surface(light: np.ndarray) -> np.ndarray:
    """Return the lightness of the paper at each pixel, float32 [H, W]: a smooth surface above all dark strokes."""
    height, width = light.shape
    k = -(-max(height, width) // 64)
    means = _means(light, k)
    window = max(3, round(max(means.shape) / 3))
    paper = ndimage.grey_closing(means, size=(window, window), mode="nearest")
    paper = ndimage.gaussian_filter(paper, window / 4, mode="nearest")
    if k > 1:
        paper = ndimage.zoom(paper, k, order=1, mode="nearest", grid_mode=True)
    return np.asarray(paper[:height, :width], np.float32)


def _means(page: np.ndarray, k: int) -> np.ndarray:
    """Return the means of blocks of k×k pixels; edges are repeated where the last blocks are not full."""
    height, width = page.shape
    padded = np.pad(page, ((0, -height % k), (0, -width % k)), mode="edge")
    return padded.reshape(padded.shape[0] // k, k, padded.shape[1] // k, k).mean(axis=(1, 3))


def _check(page: np.ndarray) -> None:
    chex.assert_rank(page, 2)
    chex.assert_type(page, np.float32)
