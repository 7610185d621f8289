"""What several towers share."""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from siamese_jax.network.initialisers import BIASES, DENSE_KERNELS
from siamese_jax.specs import FcTower


def fully_connected(spec: FcTower, initialiser: str, features: Array) -> Array:
    """Apply the last layer of an `FcTower`, `fc`, and its head; call it inside a compact method.

    Args:
        spec: how many units the tower has, and whether they are sigmoids.
        initialiser: the initial parameters, `NetSpec.initialiser`.
        features: of any shape.

    Returns:
        The embedding [units], float32.
    """
    layer = nn.Dense(
        spec.units,
        dtype=jnp.dtype(spec.compute_dtype),
        kernel_init=DENSE_KERNELS[initialiser],
        bias_init=BIASES[initialiser],
        name="fc",
    )
    units = layer(features.reshape(-1)).astype(jnp.float32)
    return nn.sigmoid(units) if spec.ends_in_sigmoid else units
