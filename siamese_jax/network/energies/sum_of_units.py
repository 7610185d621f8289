"""What energies share that are a sum over the units of an embedding."""

import chex
import flax.linen as nn
from jax import Array

from siamese_jax.network.initialisers import BIASES
from siamese_jax.specs import Energy

TINY = 1e-12
"""Keeps the gradient of a root finite where two embeddings are equal; far below the resolution of float32."""


class SumOfUnits(nn.Module):
    """One term per unit, whose sum is minus a learned, symmetric distance, plus a bias.

    So every logit can be split exactly into contributions of units. A subclass defines `terms`.
    """

    spec: Energy
    initialiser: str

    def terms(self, left: Array, right: Array) -> Array:
        """Return the term of each unit for two embeddings [D]: [D]."""
        raise NotImplementedError

    @nn.compact
    def contributions(self, left: Array, right: Array) -> tuple[Array, Array]:
        """Return the terms [D] for two embeddings [D], and the bias []; they add up to the logit."""
        chex.assert_rank([left, right], 1)
        chex.assert_equal_shape([left, right])
        return self.terms(left, right), self.param("bias", BIASES[self.initialiser], (1,))[0]

    def __call__(self, left: Array, right: Array) -> Array:
        """Return the logit [] of "same" for two embeddings [D]."""
        terms, bias = self.contributions(left, right)
        return terms.sum() + bias

    def distance(self, left: Array, right: Array) -> Array:
        """Return the learned distance [] of two embeddings [D]."""
        return -self.contributions(left, right)[0].sum()
