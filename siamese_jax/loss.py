"""The paper's loss: cross-entropy of "same" plus an L2 penalty per layer (section 3.2; its printed sign is a slip)."""

from collections.abc import Mapping
from typing import Any

import chex
import jax.numpy as jnp
import optax
from jax import Array

from siamese_jax.specs import OptimizerSpec


def cross_entropy(logits: Array, same: Array) -> Array:
    """Mean cross-entropy in nats of logits [B] against `same` [B] in {0, 1}; ln 2 = 0.693 is chance."""
    chex.assert_rank([logits, same], 1)
    chex.assert_equal_shape([logits, same])
    return optax.sigmoid_binary_cross_entropy(logits, same).mean()


def penalty(params: Mapping[str, Mapping[str, Any]], spec: OptimizerSpec) -> Array:
    """Σ_j λ_j ‖w_j‖² over layers, without biases unless `spec.l2_on_biases`; the optimizer adds its gradient, 2λw."""
    total = jnp.float32(0.0)
    for layer, values in params.items():
        for name, value in values.items():
            if name != "bias" or spec.l2_on_biases:
                total += spec.layers[layer].l2 * jnp.sum(jnp.square(value))
    return total
