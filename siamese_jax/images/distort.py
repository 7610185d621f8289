"""Distortions of one image, affine (Koch et al. 2015, section 4.3) and optionally elastic.

One function samples the parameters, and another applies them. An image is float32 [H, W, C] in [0, 1]. The background
is 0, and so are the pixels that a warp brings in from outside. Angles are in degrees and shifts in pixels; x points to
the right and y down.
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
    """A distortion.

    Attributes:
      affine: the affine map.
      bend: float32 [2, p, q], by how many pixels the points of a coarse grid are displaced, in rows and in columns.
        None: no displacement.
    """

    affine: Affine
    bend: Array | None = None


def sample_warp(key: Array, spec: DistortSpec, shape: tuple[int, int]) -> Warp:
    """Sample a distortion: an affine map, and a bend with probability `spec.probability`.

    Args:
      key: a random key.
      spec: ranges and probabilities.
      shape: rows and columns of the images.
    """
    affine = sample_affine(key, spec)
    if not spec.elastic:
        return Warp(affine)
    # A separate stream: the affine map is the same with and without a bend, and whether it is included, too.
    key_value, key_included = jax.random.split(stream(key, "bend"))
    points = tuple(max(2, round(pixels / spec.elastic_scale)) for pixels in shape)
    bend = spec.elastic * jax.random.normal(key_value, (2, *points))
    return Warp(affine, jnp.where(jax.random.bernoulli(key_included, spec.probability), bend, 0.0))


def without(warp: Warp, none: Array) -> Warp:
    """Return the warp, or the identity if `none` (bool []) is true."""
    identity = Warp(IDENTITY, None if warp.bend is None else jnp.zeros_like(warp.bend))
    return jax.tree.map(lambda sampled, plain: jnp.where(none, plain, sampled), warp, identity)


def turned(warp: Warp, quarters: Array) -> Warp:
    """Return the warp followed by so many clockwise turns of 90°."""
    return warp._replace(affine=warp.affine._replace(rotation=warp.affine.rotation + 90.0 * quarters))


def sample_affine(key: Array, spec: DistortSpec) -> Affine:
    """Sample an affine map. With `spec.probability` a component is uniform in its range, else that of the identity."""
    key_value, key_included = jax.random.split(key)
    reach = jnp.array(
        [spec.rotation, spec.shear, spec.shear, spec.scale, spec.scale, spec.translation, spec.translation], jnp.float32
    )
    offset = reach * jax.random.uniform(key_value, reach.shape, minval=-1.0, maxval=1.0)
    included = jax.random.bernoulli(key_included, spec.probability, reach.shape)
    return Affine(*(jnp.array(IDENTITY, jnp.float32) + jnp.where(included, offset, 0.0)))


def forward_matrix(affine: Affine) -> Array:
    """Return the matrix [2, 2] that maps a point (x, y), relative to the centre, to its place in the warped image.

    Scale is applied first, then shear, then rotation; the paper does not say.
    """
    angle = jnp.deg2rad(affine.rotation)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    rotation = jnp.array([[cos, -sin], [sin, cos]])
    shear = jnp.array([[1.0, affine.shear_x], [affine.shear_y, 1.0]])
    scale = jnp.array([[affine.scale_x, 0.0], [0.0, affine.scale_y]])
    return rotation @ shear @ scale


def apply_affine(image: Array, affine: Affine) -> Array:
    """Warp an image about its centre, then shift it; see `apply_warp`."""
    return apply_warp(image, Warp(affine))


def apply_warp(image: Array, warp: Warp) -> Array:
    """Warp an image about its centre, shift it and bend it, with one bilinear resampling.

    Each output pixel reads the input at the inverse affine position plus a displacement. Displacements are given on a
    coarse, even grid (`bend`) and interpolated cubically.

    Args:
      image: float32 [H, W, C].
      warp: the distortion.

    Returns:
      float32 [H, W, C] in the range of the image, with 0 where a pixel comes from outside.
    """
    chex.assert_rank(image, 3)
    (height, width, _), affine = image.shape, warp.affine
    centre_y, centre_x = (height - 1) / 2, (width - 1) / 2
    y, x = jnp.meshgrid(jnp.arange(height) - centre_y, jnp.arange(width) - centre_x, indexing="ij")
    matrix = forward_matrix(affine)
    x, y = x - affine.shift_x, y - affine.shift_y
    # The inverse of the forward matrix, written out for 2×2.
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
