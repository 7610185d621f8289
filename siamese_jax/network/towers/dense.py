"""A tower without convolutions: two hidden layers of ReLUs and one fully connected layer."""

import chex
import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from siamese_jax.network.initialisers import BIASES, DENSE_KERNELS
from siamese_jax.network.towers.layers import fully_connected
from siamese_jax.specs import Dense


class DenseTower(nn.Module):
    """All pixels, then `dense1`, `dense2` and `fc`."""

    spec: Dense
    initialiser: str

    @nn.compact
    def __call__(self, image: Array) -> Array:
        """Embed one image [H, W, C]."""
        chex.assert_rank(image, 3)
        dtype = jnp.dtype(self.spec.compute_dtype)
        features = image.astype(dtype).reshape(-1)
        kernel, bias = DENSE_KERNELS[self.initialiser], BIASES[self.initialiser]
        for name in ("dense1", "dense2"):
            layer = ReluLayer(self.spec.hidden, dtype=dtype, kernel_init=kernel, bias_init=bias, name=name)
            features = layer(features)
        return fully_connected(self.spec, self.initialiser, features)


class ReluLayer(nn.Dense):
    """Matrix product, bias and ReLU: [D] -> [units]."""

    @nn.compact
    def __call__(self, features: Array) -> Array:
        features = nn.relu(super().__call__(features))
        self.sow("relus", "output", features)
        return features
