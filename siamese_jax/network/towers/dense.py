"""A tower without convolutions: two hidden layers of ReLUs and one fully connected layer."""

import chex
import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from siamese_jax.network.initialisers import BIASES, DENSE_KERNELS
from siamese_jax.network.towers.layers import fully_connected
from siamese_jax.specs import NetSpec


class DenseTower(nn.Module):
    """All pixels, then `dense1`, `dense2` and `fc`."""

    spec: NetSpec

    @nn.compact
    def __call__(self, image: Array) -> Array:
        """Embed one image [H, W, C]."""
        chex.assert_rank(image, 3)
        tower, start = self.spec.tower, self.spec.initialiser
        dtype = jnp.dtype(tower.compute_dtype)
        features = image.astype(dtype).reshape(-1)
        for name in ("dense1", "dense2"):
            starts = {"kernel_init": DENSE_KERNELS[start], "bias_init": BIASES[start]}
            features = ReluLayer(tower.hidden, dtype=dtype, name=name, **starts)(features)
        return fully_connected(self.spec, features)


class ReluLayer(nn.Dense):
    """Matrix product, bias and ReLU: [D] -> [units]."""

    @nn.compact
    def __call__(self, features: Array) -> Array:
        features = nn.relu(super().__call__(features))
        self.sow("relus", "output", features)
        return features
