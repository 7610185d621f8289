"""The twin: a net from one image [H, W, 1] in [0, 1] to one embedding [D] in (0, 1) (paper, section 3.1).

It computes in the dtype of its spec; parameters and embeddings are float32.
"""

from functools import partial

import chex
import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from siamese_jax.convolution import convolve, max_pool
from siamese_jax.initialisers import BIASES, CONV_KERNELS, DENSE_KERNELS
from siamese_jax.specs import ConvSpec, NetSpec, UserError


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


class Twin(nn.Module):
    """The paper's tower: four convolutions, then one fully connected layer of sigmoids; or hidden layers instead."""

    spec: NetSpec

    @nn.compact
    def __call__(self, image: Array) -> Array:
        chex.assert_rank(image, 3)
        start, dtype = self.spec.initialiser, jnp.dtype(self.spec.compute_dtype)
        features = image.astype(dtype)
        for name, conv in self.spec.convs.items():
            features = ConvLayer(conv, start, name=name)(features)
        features = features.reshape(-1)
        dense = partial(nn.Dense, dtype=dtype, kernel_init=DENSE_KERNELS[start], bias_init=BIASES[start])
        for name in self.spec.hidden_layers:
            features = nn.relu(dense(self.spec.hidden, name=name)(features))
        return nn.sigmoid(dense(self.spec.units, name="fc")(features).astype(jnp.float32))


def feature_sides(spec: NetSpec, side: int) -> dict[str, int]:
    """Returns the side of each layer's output for a square image; UserError where no pixel is left."""
    sides = {}
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
