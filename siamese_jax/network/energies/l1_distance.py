"""The weighted L1 distance as an energy: the paper's energy (section 3.1), kept a distance."""

import jax.numpy as jnp
from jax import Array

from siamese_jax.network.energies.sum_of_units import SumOfUnits
from siamese_jax.network.initialisers import ENERGY_WEIGHTS


class L1DistanceEnergy(SumOfUnits):
    """bias − Σ_j |a_j| |left_j − right_j|, with a learned a_j per unit.

    The paper's α_j is −|a_j| here, so it is never positive, and the nearest support by L1 has the highest logit. The
    absolute value starts where the paper's energy starts and has a gradient of full size everywhere but at 0. With a
    softplus instead, the gradient would shrink with the weight: the initial weights of thousands of units are tiny.
    """

    def terms(self, left: Array, right: Array) -> Array:
        """Return −|a_j| |left_j − right_j|."""
        weight = self.param("weight", ENERGY_WEIGHTS[self.initialiser], (left.shape[0], 1))
        return -jnp.abs(weight[:, 0]) * jnp.abs(left - right)
