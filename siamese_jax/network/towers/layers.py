"""What several towers share."""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from siamese_jax.network.initialisers import BIASES, DENSE_KERNELS
from siamese_jax.specs import NetSpec


def fully_connected(spec: NetSpec, features: Array) -> Array:
    """Apply the last layer of an `FcTower`, `fc`, and its head; call it inside a compact method.

    Args:
        spec: the network; its tower says how many units, and whether they are sigmoids.
        features: of any shape.

    Returns:
        The embedding [units], float32.
    """
    tower, start = spec.tower, spec.initialiser
    layer = nn.Dense(
        tower.units,
        dtype=jnp.dtype(tower.compute_dtype),
        kernel_init=DENSE_KERNELS[start],
        bias_init=BIASES[start],
        name="fc",
    )
    units = layer(features.reshape(-1)).astype(jnp.float32)
    return nn.sigmoid(units) if tower.ends_in_sigmoid else units
