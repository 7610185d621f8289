"""Convolution with small kernels by Winograd tiles.

For m outputs, a correlation with r taps needs m + r - 1 multiplications instead of m·r (Toom and Cook; Winograd). Tile
and taps are treated as polynomials, evaluated at m + r - 1 points, and multiplied there. In two dimensions a 3×3 kernel
needs 36 products for 16 outputs instead of 144. The points are the first axes of the results, as the product over
channels needs them.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.polynomial import polynomial

from siamese_jax.network.convolution.linear import linear

LARGEST_KERNEL = 3
"""Rows or columns of a kernel: more taps need more points, and every point costs a digit of precision."""
POINTS = (0, 1, -1, 2, -2)
"""Where polynomials are evaluated: the first of these, as many as are needed, and infinity."""
OUTPUTS = (4, 3, 2)
"""Possible numbers of outputs of a tile along an axis."""


class Tiling(NamedTuple):
    """Tiles along an axis: their number, the outputs of each, and its inputs, as many as its points."""

    count: int
    outputs: int
    points: int

    @property
    def length(self) -> int:
        """The length of an axis that all tiles fill."""
        return self.count * self.outputs + self.points - self.outputs


def correlate(image: Array, kernel: Array) -> Array:
    """Correlate an image with a small kernel, without padding.

    Args:
        image: [H, W, C], float32.
        kernel: [kh, kw, C, F], float32, with at most 3 rows and columns.

    Returns:
        [H - kh + 1, W - kw + 1, F].

    Lavin and Gray (2016), "Fast algorithms for convolutional neural
    networks".
    """
    (height, width, channels), (kh, kw, _, filters) = image.shape, kernel.shape
    rows, columns = _tiling(height, kh), _tiling(width, kw)
    tile, taps, outputs = (np.kron(*both) for both in zip(_matrices(rows), _matrices(columns), strict=True))
    whole = jnp.pad(image, ((0, rows.length - height), (0, columns.length - width), (0, 0)))
    of_tiles = linear(tile, 1, _cut(rows, columns, whole))
    # Filters stand before channels, so that the products of the gradient have a form that XLA computes fast on a CPU.
    of_kernel = linear(taps, 1, jnp.swapaxes(kernel.reshape(kh * kw, channels, filters), 1, 2))
    values = linear(outputs, 1, jnp.einsum("pijc,pfc->pijf", of_tiles, of_kernel))
    by_axis = values.reshape(rows.outputs, columns.outputs, *values.shape[1:])
    return _join(by_axis)[: height - kh + 1, : width - kw + 1]


def multiplications(image_shape: tuple[int, ...], kernel_shape: tuple[int, ...]) -> float:
    """Return the number of real multiplications for the value of one image, with transforms; infinite if too large."""
    (height, width, channels), (kh, kw, _, filters) = image_shape, kernel_shape
    if max(kh, kw) > LARGEST_KERNEL:
        return math.inf
    rows, columns = _tiling(height, kh), _tiling(width, kw)
    points, outputs = rows.points * columns.points, rows.outputs * columns.outputs
    return rows.count * columns.count * points * (channels * filters + points * channels + outputs * filters)


def _tiling(length: int, taps: int) -> Tiling:
    """Return the tiles for an axis with the fewest products; among equal ones the largest."""
    outputs = length - taps + 1
    tilings = [Tiling(-(-outputs // size), size, size + taps - 1) for size in OUTPUTS]
    return min(tilings, key=lambda tiling: tiling.count * tiling.points)


def _matrices(axis: Tiling) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return three matrices: tile to its points [n, n], taps to theirs [n, r], products to outputs [m, n].

    A correlation is the transpose of a product of polynomials: outputs and taps are evaluated, and the tile is
    multiplied by the transpose of Lagrange's interpolation.
    """
    points, taps = np.array(POINTS[: axis.points - 1], float), axis.points - axis.outputs + 1
    others = [np.delete(points, n) for n in range(len(points))]
    infinity = np.eye(axis.points)[-1:]
    tile = [*(np.append(polynomial.polyfromroots(other), 0) for other in others), polynomial.polyfromroots(points)]
    scale = np.array([np.prod(point - other) for point, other in zip(points, others, strict=True)])
    of_taps = np.concatenate([np.vander(points, taps, increasing=True) / scale[:, None], infinity[:, -taps:]])
    of_outputs = np.concatenate([np.vander(points, axis.outputs, increasing=True), infinity[:, -axis.outputs :]])
    return np.stack(tile), of_taps, of_outputs.T


def _cut(rows: Tiling, columns: Tiling, image: Array) -> Array:
    """Cut an image into overlapping tiles, with the points of a tile, row by row, first: [nh·nw, count, count, C].

    It has its own gradient, because JAX's would add 36 arrays as large as the image.
    """
    return _cut_with_gradient(rows, columns, image)


def _cut_value(rows: Tiling, columns: Tiling, image: Array) -> Array:

    def every(start: int, axis: Tiling) -> tuple[int, int, int]:
        return start, start + (axis.count - 1) * axis.outputs + 1, axis.outputs

    steps = ((every(i, rows), every(j, columns)) for i in range(rows.points) for j in range(columns.points))
    return jnp.stack([image[slice(*i), slice(*j)] for i, j in steps])


def _cut_forward(rows: Tiling, columns: Tiling, image: Array) -> tuple[Array, None]:
    return _cut(rows, columns, image), None


def _cut_backward(rows: Tiling, columns: Tiling, _: None, gradient: Array) -> tuple[Array]:
    by_axis = gradient.reshape(rows.points, columns.points, *gradient.shape[1:])
    whole = _join(_overlap(_overlap(by_axis, rows, 0), columns, 1))
    return (whole[: rows.length, : columns.length],)


_cut_with_gradient = jax.custom_vjp(_cut_value, nondiff_argnums=(0, 1))
_cut_with_gradient.defvjp(_cut_forward, _cut_backward)


def _overlap(tiles: Array, tiling: Tiling, axis: int) -> Array:
    """Add what each tile has beyond its outputs to the next tile; axis `axis` holds points, `axis` + 2 tiles."""
    own, beyond = jnp.split(tiles, [tiling.outputs], axis)
    after, before = [[(0, 0)] * tiles.ndim for _ in range(2)]
    after[axis + 2], before[axis + 2] = (0, 1), (1, 0)
    before[axis] = (0, 2 * tiling.outputs - tiling.points)
    return jnp.pad(own, after) + jnp.pad(beyond, before)


def _join(tiles: Array) -> Array:
    """Join tiles that do not overlap: [m, m, count, count, C] -> [count·m, count·m, C]."""
    outputs_h, outputs_w, count_h, count_w, channels = tiles.shape
    return tiles.transpose(2, 0, 3, 1, 4).reshape(count_h * outputs_h, count_w * outputs_w, channels)
