"""The paper's energy (section 3.1)."""

import jax.numpy as jnp
from jax import Array

from siamese_jax.network.energies.sum_of_units import SumOfUnits
from siamese_jax.network.initialisers import ENERGY_WEIGHTS


class WeightedL1Energy(SumOfUnits):
    """Σ_j α_j |left_j − right_j| + bias, with a learned weight α_j per unit; a distance if no α is positive.

    The paper does not give initial values for α and the bias; "paper" uses those of the fully connected layer.
    """

    def terms(self, left: Array, right: Array) -> Array:
        """Return α_j |left_j − right_j|."""
        weight = self.param("weight", ENERGY_WEIGHTS[self.initialiser], (left.shape[0], 1))
        return weight[:, 0] * jnp.abs(left - right)
