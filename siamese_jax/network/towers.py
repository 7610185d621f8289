"""The twin: a net from one image [H, W, 1] in [0, 1] to one embedding [D], the paper's in (0, 1) (section 3.1).

It computes in the dtype of its spec; parameters and embeddings are float32.
"""

from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from siamese_jax.errors import UserError
from siamese_jax.network.convolution import convolve, max_pool
from siamese_jax.network.initialisers import BIASES, CONV_KERNELS, DENSE_KERNELS
from siamese_jax.specs import ConvSpec, NetSpec

GROUP = 8
"""Channels that are normalised together."""
TINY = 1e-5
"""Added to a variance that would be divided by: an empty image has none."""


class ConvLayer(nn.Module):
    """Convolution (stride 1, no padding), bias, ReLU and perhaps a 2×2 max-pool: [H, W, C] -> [H', W', filters].

    Computes in the dtype of the image; parameters are float32.
    """

    spec: ConvSpec
    initialiser: str

    @nn.compact
    def __call__(self, image: Array) -> Array:
        shape = (self.spec.size, self.spec.size, image.shape[-1], self.spec.filters)
        kernel = self.param("kernel", CONV_KERNELS[self.initialiser], shape)
        bias = self.param("bias", BIASES[self.initialiser], (self.spec.filters,))
        kernel, bias = kernel.astype(image.dtype), bias.astype(image.dtype)
        features = convolve(image, kernel)
        if self.spec.pool:  # commutes with bias and ReLU, which then have a quarter of the work
            features = max_pool(features)
        return nn.relu(features + bias[None, None, :])


class NormalisedLayer(nn.Module):
    """3×3 convolution that keeps the side, perhaps a 2×2 max-pool, normalisation, scale and bias.

    Computes in the dtype of the features, as ConvLayer does; moments are float32.
    """

    filters: int
    spec: NetSpec
    pool: bool = False

    @nn.compact
    def __call__(self, features: Array) -> Array:
        start = self.spec.initialiser
        kernel = self.param("kernel", CONV_KERNELS[start], (3, 3, features.shape[-1], self.filters))
        features = convolve(features, kernel.astype(features.dtype), "SAME")
        if self.pool:
            features = max_pool(features)
        features = normalise(features, self.spec.normalisation)
        if self.spec.normalisation != "none":
            scale = self.param("scale", nn.initializers.ones, (self.filters,))
            features = features * scale.astype(features.dtype)[None, None, :]
        bias = self.param("bias", BIASES[start], (self.filters,))
        return features + bias.astype(features.dtype)[None, None, :]


class Shortcut(nn.Module):
    """The way around a stage that widens: each pixel's channels, mixed: [H, W, C] -> [H, W, filters]."""

    filters: int
    spec: NetSpec

    @nn.compact
    def __call__(self, features: Array) -> Array:
        shape = features.shape[-1], self.filters
        return features @ self.param("kernel", DENSE_KERNELS[self.spec.initialiser], shape).astype(features.dtype)


def normalise(features: Array, kind: str) -> Array:
    """Brings features [H, W, C] of one image to mean 0 and variance 1 over all pixels and channels of a group.

    `kind` is `NetSpec.normalisation`: "layer" has one group of all channels, "group" groups of GROUP.
    """
    if kind == "none":
        return features
    channels, exactly = features.shape[-1], features.astype(jnp.promote_types(features.dtype, jnp.float32))
    together = channels if kind == "layer" else GROUP

    def of_groups(by_channel: Array) -> Array:
        return jnp.repeat(by_channel.reshape(-1, together).mean(axis=1), together)[None, None, :]

    # By channel first, and each pixel read once for both sums: a sum over pixels alone is what a CPU does fast.
    mean = of_groups(exactly.mean(axis=(0, 1)))
    square = of_groups(jnp.square(exactly).mean(axis=(0, 1)))
    normal = (exactly - mean) * jax.lax.rsqrt(jnp.maximum(square - jnp.square(mean), 0.0) + TINY)
    return normal.astype(features.dtype)


class Twin(nn.Module):
    """The paper's tower: four convolutions, then one fully connected layer of sigmoids; or another in their place."""

    spec: NetSpec

    def __call__(self, image: Array) -> Array:
        """One image [H, W, 1] -> its embedding [D]."""
        return self.head(self.layers(image)["fc"])

    def head(self, units: Array) -> Array:
        """What `fc` gives, [D] -> the embedding [D]."""
        return nn.sigmoid(units) if self.spec.head == "sigmoid" else units

    @nn.compact
    def layers(self, image: Array) -> dict[str, Array]:
        """One image [H, W, 1] -> what each layer gives, by name, channels last: after its ReLU, or `fc` without one."""
        chex.assert_rank(image, 3)
        start, dtype = self.spec.initialiser, jnp.dtype(self.spec.compute_dtype)
        given: dict[str, Array] = {}
        features = image.astype(dtype)
        for name, conv in self.spec.convs.items():
            features = given[name] = ConvLayer(conv, start, name=name)(features)
        if self.spec.tower == "residual":
            given |= self._residual(features)
            features = given[f"stage{self.spec.stages}"]
        features = features.reshape(-1)
        dense = partial(nn.Dense, dtype=dtype, kernel_init=DENSE_KERNELS[start], bias_init=BIASES[start])
        for name in self.spec.hidden_layers:
            features = given[name] = nn.relu(dense(self.spec.hidden, name=name)(features))
        return given | {"fc": dense(self.spec.units, name="fc")(features).astype(jnp.float32)}

    def _residual(self, features: Array) -> dict[str, Array]:
        """One convolution and a pool, then the stages, each of which ends in a pool."""
        spec = self.spec
        features = nn.relu(NormalisedLayer(spec.width, spec, pool=True, name="stem")(features))
        given = {"stem": features}
        for stage, filters in enumerate(_stage_filters(spec), start=1):
            first = nn.relu(NormalisedLayer(filters, spec, name=f"stage{stage}a")(features))
            second = NormalisedLayer(filters, spec, name=f"stage{stage}b")(first)
            if features.shape[-1] != filters:
                features = Shortcut(filters, spec, name=f"stage{stage}_around")(features)
            features = nn.relu(max_pool(features + second))
            given |= {f"stage{stage}a": first, f"stage{stage}": features}
        return given


def _stage_filters(spec: NetSpec) -> list[int]:
    return [spec.width * 2**stage for stage in range(spec.stages)]


def feature_sides(spec: NetSpec, side: int) -> dict[str, int]:
    """Returns the side of each layer's output for a square image; UserError where no pixel is left.

    Of a residual tower, those of its stages; UserError, too, where its channels do not come in whole groups.
    """
    sides = {}
    if spec.tower == "residual":
        if spec.normalisation == "group" and spec.width % GROUP:
            raise UserError(
                f"network.width={spec.width} is no multiple of {GROUP}, the channels of a group: "
                "take one, or network.normalisation=layer"
            )
        sides = {f"stage{stage}": side >> (stage + 1) for stage in range(1, spec.stages + 1)}
        if min(sides.values()) < 1:
            raise UserError(
                f"network.stages={spec.stages} leaves no pixels of a {side}×{side} image: take fewer, or larger images"
            )
    for name, conv in spec.convs.items():
        after = side - conv.size + 1
        after = after // 2 if conv.pool else after
        if after < 1:
            raise UserError(
                f"network.{name}.size={conv.size} leaves no pixels of its {side}×{side} input"
                f"{' after the 2×2 pool' if conv.pool else ''}: take a smaller filter, fewer pools or larger images"
            )
        sides[name] = side = after
    return sides
