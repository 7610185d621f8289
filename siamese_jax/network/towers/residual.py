"""A residual tower: stages of two 3×3 convolutions with a skip connection (He et al. 2016)."""

from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from siamese_jax.network.convolution import convolve, max_pool
from siamese_jax.network.initialisers import BIASES, CONV_KERNELS, DENSE_KERNELS
from siamese_jax.network.towers.layers import fully_connected
from siamese_jax.specs import Residual
from siamese_jax.specs.network import GROUP

TINY = 1e-5
"""Added to a variance before dividing by its root: an empty image has variance 0."""


class ResidualTower(nn.Module):
    """A 3×3 convolution and a pool, then stages that each end in a pool, then `fc`; see `specs.Residual`."""

    spec: Residual
    initialiser: str

    @nn.compact
    def __call__(self, image: Array) -> Array:
        """Embed one image [H, W, C]."""
        chex.assert_rank(image, 3)
        spec, start = self.spec, self.initialiser
        layer = partial(NormalisedLayer, initialiser=start, normalisation=spec.normalisation)
        features = image.astype(spec.compute_dtype)
        features = layer(spec.width, pool=True, relu=True, name="stem")(features)
        for stage, filters in enumerate(spec.filters, start=1):
            inside = layer(filters, relu=True, name=f"stage{stage}a")(features)
            inside = layer(filters, name=f"stage{stage}b")(inside)
            if features.shape[-1] != filters:
                features = Projection(filters, start, name=f"stage{stage}_around")(features)
            features = nn.relu(max_pool(features + inside))
            self.sow("relus", f"stage{stage}", features)
        return fully_connected(spec, start, features)


class NormalisedLayer(nn.Module):
    """3×3 convolution that keeps the side, optional 2×2 max-pool, normalisation, scale, bias and optional ReLU.

    It computes in the dtype of the features; parameters and moments are float32.
    """

    filters: int
    initialiser: str
    normalisation: str
    pool: bool = False
    relu: bool = False

    @nn.compact
    def __call__(self, features: Array) -> Array:
        kernel = self.param("kernel", CONV_KERNELS[self.initialiser], (3, 3, features.shape[-1], self.filters))
        features = convolve(features, kernel.astype(features.dtype), "SAME")
        if self.pool:
            features = max_pool(features)
        features = normalise(features, self.normalisation)
        if self.normalisation != "none":
            scale = self.param("scale", nn.initializers.ones, (self.filters,))
            features = features * scale.astype(features.dtype)[None, None, :]
        bias = self.param("bias", BIASES[self.initialiser], (self.filters,))
        features = features + bias.astype(features.dtype)[None, None, :]
        if self.relu:
            features = nn.relu(features)
            self.sow("relus", "output", features)
        return features


class Projection(nn.Module):
    """1×1 projection of the skip connection, for stages that widen: [H, W, C] -> [H, W, filters]."""

    filters: int
    initialiser: str

    @nn.compact
    def __call__(self, features: Array) -> Array:
        kernel = self.param("kernel", DENSE_KERNELS[self.initialiser], (features.shape[-1], self.filters))
        return features @ kernel.astype(features.dtype)


def normalise(features: Array, kind: str) -> Array:
    """Normalise the features of one image to mean 0 and variance 1, over all pixels and channels of a group.

    Args:
        features: [H, W, C].
        kind: "group", groups of 8 channels; "layer", one group of all channels; "none", no change.

    Returns:
        [H, W, C], in the dtype of `features`.

    Wu and He (2018), "Group normalization".
    """
    if kind == "none":
        return features
    channels, exact = features.shape[-1], features.astype(jnp.promote_types(features.dtype, jnp.float32))
    together = channels if kind == "layer" else GROUP

    def of_groups(by_channel: Array) -> Array:
        return jnp.repeat(by_channel.reshape(-1, together).mean(axis=1), together)[None, None, :]

    # Sums over pixels first, since a CPU is fast at them; and both sums read each pixel once.
    mean = of_groups(exact.mean(axis=(0, 1)))
    square = of_groups(jnp.square(exact).mean(axis=(0, 1)))
    normal = (exact - mean) * jax.lax.rsqrt(jnp.maximum(square - jnp.square(mean), 0.0) + TINY)
    return normal.astype(features.dtype)
