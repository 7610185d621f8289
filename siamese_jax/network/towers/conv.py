"""The paper's tower: four convolutions and one fully connected layer (section 3.1)."""

import chex
import flax.linen as nn
from jax import Array

from siamese_jax.network.convolution import convolve, max_pool
from siamese_jax.network.initialisers import BIASES, CONV_KERNELS
from siamese_jax.network.towers.layers import fully_connected
from siamese_jax.specs import Conv, ConvSpec


class ConvTower(nn.Module):
    """Four convolutions, then `fc`."""

    spec: Conv
    initialiser: str

    @nn.compact
    def __call__(self, image: Array) -> Array:
        """Embed one image [H, W, C]."""
        chex.assert_rank(image, 3)
        features = image.astype(self.spec.compute_dtype)
        for name, conv in self.spec.convs.items():
            features = ConvLayer(conv, self.initialiser, name=name)(features)
        return fully_connected(self.spec, self.initialiser, features)


class ConvLayer(nn.Module):
    """Convolution (stride 1, no padding), bias, ReLU and optionally a 2×2 max-pool: [H, W, C] -> [H', W', filters].

    It computes in the dtype of the image; parameters are float32.
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
        if self.spec.pool:  # it commutes with bias and ReLU, which then have a quarter of the work
            features = max_pool(features)
        features = nn.relu(features + bias[None, None, :])
        self.sow("relus", "output", features)
        return features
