"""The energy: two embeddings [D] to what each unit says of them, [D], and a bias []; the logit of "same" is their sum.

Every energy is a symmetric distance with learned weights, minus which the units' terms add up to; so a decision can be
taken apart by unit, exactly, whichever energy is used.
"""

import chex
import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from siamese_jax.network.initialisers import BIASES, DISTANCE_SCALE, ENERGY_WEIGHTS, constant

TINY = 1e-12
"""Keeps the gradient of a root finite where two embeddings are the same; far below what float32 tells apart."""


class WeightedL1(nn.Module):
    """α_j |left_j − right_j|, a learned weight per unit (paper, section 3.1); it is a distance while no α is positive.

    The paper does not say how α and the bias start: "paper" takes what it says of the fully connected layer.
    """

    initialiser: str

    @nn.compact
    def __call__(self, left: Array, right: Array) -> tuple[Array, Array]:
        _check(left, right)
        weight = self.param("weight", ENERGY_WEIGHTS[self.initialiser], (left.shape[0], 1))
        return weight[:, 0] * jnp.abs(left - right), _bias(self)


class Euclidean(nn.Module):
    """Minus ‖left − right‖ times a learned scale; a unit's term is its share of the square."""

    initialiser: str

    @nn.compact
    def __call__(self, left: Array, right: Array) -> tuple[Array, Array]:
        _check(left, right)
        scale = self.param("weight", constant(DISTANCE_SCALE / left.shape[0] ** 0.5), (1, 1))
        square = jnp.square(left - right)
        return -scale[0] * square / jnp.sqrt(square.sum() + TINY), _bias(self)


class Cosine(nn.Module):
    """Minus the cosine distance, 1 − cos(left, right), times a learned scale; a unit's term is its product's share."""

    initialiser: str

    @nn.compact
    def __call__(self, left: Array, right: Array) -> tuple[Array, Array]:
        _check(left, right)
        scale = self.param("weight", constant(DISTANCE_SCALE), (1, 1))
        lengths = jnp.sqrt((jnp.square(left).sum() + TINY) * (jnp.square(right).sum() + TINY))
        return scale[0] * (left * right / lengths - 1 / left.shape[0]), _bias(self)


Energy = WeightedL1 | Euclidean | Cosine

ENERGIES: dict[str, type[Energy]] = {"weighted_l1": WeightedL1, "euclidean": Euclidean, "cosine": Cosine}
"""By the name in `NetSpec.energy`."""


def _check(left: Array, right: Array) -> None:
    chex.assert_rank([left, right], 1)
    chex.assert_equal_shape([left, right])


def _bias(module: Energy) -> Array:
    return module.param("bias", BIASES[module.initialiser], (1,))[0]
