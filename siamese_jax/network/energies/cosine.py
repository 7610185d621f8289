"""The cosine distance as an energy."""

import jax.numpy as jnp
from jax import Array

from siamese_jax.network.energies.sum_of_units import TINY, SumOfUnits
from siamese_jax.network.initialisers import DISTANCE_SCALE, constant


class CosineEnergy(SumOfUnits):
    """bias − scale (1 − cos(left, right)), with a learned scale; the term of a unit is its share of the product."""

    def terms(self, left: Array, right: Array) -> Array:
        """Return scale (left_j right_j / (‖left‖ ‖right‖) − 1 / D)."""
        scale = self.param("weight", constant(DISTANCE_SCALE), (1, 1))
        lengths = jnp.sqrt((jnp.square(left).sum() + TINY) * (jnp.square(right).sum() + TINY))
        return scale[0] * (left * right / lengths - 1 / left.shape[0])
