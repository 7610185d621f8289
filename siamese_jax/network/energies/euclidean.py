"""The Euclidean distance as an energy."""

import jax.numpy as jnp
from jax import Array

from siamese_jax.network.energies.sum_of_units import TINY, SumOfUnits
from siamese_jax.network.initialisers import DISTANCE_SCALE, constant


class EuclideanEnergy(SumOfUnits):
    """bias − scale ‖left − right‖, with a learned scale; the term of a unit is its share of the squared distance."""

    def terms(self, left: Array, right: Array) -> Array:
        """Return −scale (left_j − right_j)² / ‖left − right‖."""
        scale = self.param("weight", constant(DISTANCE_SCALE / left.shape[0] ** 0.5), (1, 1))
        square = jnp.square(left - right)
        return -scale[0] * square / jnp.sqrt(square.sum() + TINY)
