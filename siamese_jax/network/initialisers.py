"""How parameters start, by the name in `NetSpec.initialiser` (paper, section 3.2, and a sounder way)."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

Initialiser = Callable[..., Array]


def normal(mean: float, deviation: float) -> Initialiser:
    """Returns an initialiser that draws from N(mean, deviation²), as the paper writes its own."""
    return lambda key, shape, dtype=jnp.float32: mean + deviation * jax.random.normal(key, shape, dtype)


def constant(value: float) -> Initialiser:
    """Returns an initialiser of equal values."""
    return lambda key, shape, dtype=jnp.float32: jnp.full(shape, value, dtype)


DISTANCE_SCALE = 20.0
"""Of an energy's start: the distance of two embeddings whose units differ by 1 each, however many units there are."""

BIASES = {"paper": normal(0.5, 1e-2), "scaled": nn.initializers.zeros}
CONV_KERNELS = {"paper": normal(0.0, 1e-2), "scaled": nn.initializers.he_normal()}
DENSE_KERNELS = {"paper": normal(0.0, 2e-1), "scaled": nn.initializers.lecun_normal()}
ENERGY_WEIGHTS = {
    "paper": normal(0.0, 2e-1),
    # A plain distance to begin with: more different is less alike, and every unit counts the same.
    "scaled": lambda key, shape, dtype=jnp.float32: jnp.full(shape, -DISTANCE_SCALE / shape[0], dtype),
}
