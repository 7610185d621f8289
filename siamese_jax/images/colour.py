"""Random changes of colour, for training images with three channels: artists and cameras differ in it."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax import Array

from siamese_jax.specs import DistortSpec


class Tint(NamedTuple):
    """A change of colour: `saturation` float32 [] and `gain` float32 [C], factors; 1 changes nothing."""

    saturation: Array | float
    gain: Array


def sample_tint(key: Array, spec: DistortSpec, channels: int) -> Tint:
    """Sample a change of colour. With `spec.probability` a factor is uniform in 1 ± `spec.colour`, else it is 1.

    Args:
      key: a random key.
      spec: range and probability.
      channels: of the images.
    """
    key_value, key_included = jax.random.split(key)
    change = spec.colour * jax.random.uniform(key_value, (1 + channels,), minval=-1.0, maxval=1.0)
    included = jax.random.bernoulli(key_included, spec.probability, change.shape)
    factor = 1.0 + jnp.where(included, change, 0.0)
    return Tint(factor[0], factor[1:])


def apply_tint(image: Array, tint: Tint) -> Array:
    """Change the colours of an image; paper stays paper.

    The difference of each channel from the mean of the channels is multiplied by `saturation`, then each channel by its
    `gain`.

    Args:
      image: float32 [H, W, C] in [0, 1], 0 for paper.
      tint: the change.

    Returns:
      float32 [H, W, C] in [0, 1].
    """
    chex.assert_rank(image, 3)
    grey = image.mean(axis=-1, keepdims=True)
    return jnp.clip((grey + tint.saturation * (image - grey)) * tint.gain[None, None, :], 0.0, 1.0)
