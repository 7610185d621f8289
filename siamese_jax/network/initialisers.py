"""Initial parameters by `NetSpec.initialiser`: "paper" (section 3.2) and "scaled" (variances by fan-in)."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

Initialiser = Callable[..., Array]


def normal(mean: float, deviation: float) -> Initialiser:
    """Return an initialiser that samples from N(mean, deviation²)."""
    return lambda key, shape, dtype=jnp.float32: mean + deviation * jax.random.normal(key, shape, dtype)


def constant(value: float) -> Initialiser:
    """Return an initialiser of equal values."""
    return lambda key, shape, dtype=jnp.float32: jnp.full(shape, value, dtype)


DISTANCE_SCALE = 20.0
"""The initial distance of two embeddings whose units differ by 1 each, for any number of units."""

BIASES = {"paper": normal(0.5, 1e-2), "scaled": nn.initializers.zeros}
CONV_KERNELS = {"paper": normal(0.0, 1e-2), "scaled": nn.initializers.he_normal()}
DENSE_KERNELS = {"paper": normal(0.0, 2e-1), "scaled": nn.initializers.lecun_normal()}
ENERGY_WEIGHTS = {
    "paper": normal(0.0, 2e-1),
    # A plain distance: every unit has the same weight, and a larger difference gives a lower logit.
    "scaled": lambda key, shape, dtype=jnp.float32: jnp.full(shape, -DISTANCE_SCALE / shape[0], dtype),
}
