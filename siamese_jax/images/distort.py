"""Distortions of one image, affine (paper, section 4.3) and perhaps elastic: draw the parameters, then apply them.

An image is float32 [H, W, C] in [0, 1] with paper at 0, so what a warp brings in from outside is paper. Angles are
degrees, shifts pixels, x to the right and y down.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.ndimage import map_coordinates

from siamese_jax.keys import stream
from siamese_jax.specs import DistortSpec


class Affine(NamedTuple):
    """The paper's T = (θ, ρx, ρy, sx, sy, tx, ty); each float32 []."""

    rotation: Array | float = 0.0
    shear_x: Array | float = 0.0
    shear_y: Array | float = 0.0
    scale_x: Array | float = 1.0
    scale_y: Array | float = 1.0
    shift_x: Array | float = 0.0
    shift_y: Array | float = 0.0


IDENTITY = Affine()


class Warp(NamedTuple):
    """An affine map, and `bend` [2, p, q]: by how many pixels points on a coarse grid are displaced (rows, columns).

    None is no bend at all.
    """

    affine: Affine
    bend: Array | None = None


def sample_warp(key: Array, spec: DistortSpec, shape: tuple[int, int]) -> Warp:
    """Draws a distortion of images of that `shape`: T, and the bend with `spec.probability`, else none."""
    affine = sample_affine(key, spec)
    if not spec.elastic:
        return Warp(affine)
    # A stream of its own: T is the same with and without a bend, and the coins of the two have nothing in common.
    key_value, key_included = jax.random.split(stream(key, "bend"))
    points = tuple(max(2, round(pixels / spec.elastic_scale)) for pixels in shape)
    bend = spec.elastic * jax.random.normal(key_value, (2, *points))
    return Warp(affine, jnp.where(jax.random.bernoulli(key_included, spec.probability), bend, 0.0))


def without(warp: Warp, none: Array) -> Warp:
    """Returns the warp, or where `none` (bool []) the one that changes nothing."""
    identity = Warp(IDENTITY, None if warp.bend is None else jnp.zeros_like(warp.bend))
    return jax.tree.map(lambda drawn, plain: jnp.where(none, plain, drawn), warp, identity)


def turned(warp: Warp, quarters: Array) -> Warp:
    """Returns the warp followed by so many clockwise turns of 90°."""
    return warp._replace(affine=warp.affine._replace(rotation=warp.affine.rotation + 90.0 * quarters))


def sample_affine(key: Array, spec: DistortSpec) -> Affine:
    """Draws T: each component uniform in its range with `spec.probability`, else as in the identity."""
    key_value, key_included = jax.random.split(key)
    reach = jnp.array(
        [spec.rotation, spec.shear, spec.shear, spec.scale, spec.scale, spec.translation, spec.translation], jnp.float32
    )
    offset = reach * jax.random.uniform(key_value, reach.shape, minval=-1.0, maxval=1.0)
    included = jax.random.bernoulli(key_included, spec.probability, reach.shape)
    return Affine(*(jnp.array(IDENTITY, jnp.float32) + jnp.where(included, offset, 0.0)))


def forward_matrix(affine: Affine) -> Array:
    """Returns the matrix [2, 2] that takes a drawn point (x, y), from the image's centre, to where it lands.

    Scale first, then shear, then rotation; the paper leaves the order open.
    """
    angle = jnp.deg2rad(affine.rotation)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    rotation = jnp.array([[cos, -sin], [sin, cos]])
    shear = jnp.array([[1.0, affine.shear_x], [affine.shear_y, 1.0]])
    scale = jnp.array([[affine.scale_x, 0.0], [0.0, affine.scale_y]])
    return rotation @ shear @ scale


def apply_affine(image: Array, affine: Affine) -> Array:
    """Warps an image [H, W, C] about its centre, then shifts it; bilinear, paper outside. Same shape and range."""
    return apply_warp(image, Warp(affine))


def apply_warp(image: Array, warp: Warp) -> Array:
    """Warps an image [H, W, C] as `apply_affine` does, and bends it, in one resampling. Same shape and range.

    A pixel pulls from where the affine map says, displaced by the bend, whose points are spread evenly and filled up by
    cubic interpolation.
    """
    chex.assert_rank(image, 3)
    (height, width, _), affine = image.shape, warp.affine
    centre_y, centre_x = (height - 1) / 2, (width - 1) / 2
    y, x = jnp.meshgrid(jnp.arange(height) - centre_y, jnp.arange(width) - centre_x, indexing="ij")
    matrix = forward_matrix(affine)
    x, y = x - affine.shift_x, y - affine.shift_y
    # Each output pixel pulls from its source: the inverse of the forward matrix, written out for 2×2.
    determinant = matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]
    source_x = (matrix[1, 1] * x - matrix[0, 1] * y) / determinant
    source_y = (matrix[0, 0] * y - matrix[1, 0] * x) / determinant
    if warp.bend is not None:
        bend_y, bend_x = jax.image.resize(warp.bend, (2, height, width), "cubic")
        source_y, source_x = source_y + bend_y, source_x + bend_x
    source = [source_y + centre_y, source_x + centre_x]

    def resample(channel: Array) -> Array:
        return map_coordinates(channel, source, order=1, mode="constant", cval=0.0)

    return jax.vmap(resample, in_axes=-1, out_axes=-1)(image)
