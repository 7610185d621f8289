"""The energy: two embeddings [D] to one logit [] of "same character" (paper, section 3.1)."""

import chex
import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from siamese_jax.initialisers import BIASES, ENERGY_WEIGHTS


class WeightedL1(nn.Module):
    """Σ_j α_j |left_j − right_j| + b: symmetric, with a learned weight per unit; p(same) is its sigmoid.

    The paper does not say how α and b start: "paper" takes what it says of the fully connected layer.
    """

    initialiser: str

    @nn.compact
    def __call__(self, left: Array, right: Array) -> Array:
        chex.assert_rank([left, right], 1)
        chex.assert_equal_shape([left, right])
        weight = self.param("weight", ENERGY_WEIGHTS[self.initialiser], (left.shape[0], 1))
        bias = self.param("bias", BIASES[self.initialiser], (1,))
        return (jnp.abs(left - right) @ weight + bias)[0]
