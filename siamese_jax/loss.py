"""What training minimises: the paper's cross-entropy of "same" (section 3.2; its printed sign is a slip) or a loss of
distances, and an L2 penalty per layer.
"""

from collections.abc import Mapping
from typing import Any

import chex
import jax.numpy as jnp
import optax
from jax import Array

from siamese_jax.specs import LossSpec, OptimizerSpec


def batch_loss(logits: Array, bias: Array, same: Array, spec: LossSpec) -> tuple[Array, Array]:
    """Returns the loss [] of a batch and the share [] of right decisions, by the rule that the loss trains.

    `logits` [B] and `same` [B] are of pairs; for the triplet loss, pairs 2i ("same") and 2i + 1 ("different") share an
    image. The distance of a pair is `bias` [], the energy's, minus its logit. Right is a probability on the right side
    of ½; for the contrastive loss a distance on the right side of half the margin; for the triplet loss the "same" pair
    as the nearer.
    """
    distances = bias - logits
    if spec.name == "cross_entropy":
        return cross_entropy(logits, same), jnp.mean((logits > 0) == (same > 0.5))
    if spec.name == "contrastive":
        right = (distances < spec.margin / 2) == (same > 0.5)
        return contrastive(distances, same, spec.margin), jnp.mean(right)
    nearer, farther = distances[0::2], distances[1::2]
    return triplet(nearer, farther, spec.margin), jnp.mean(nearer < farther)


def cross_entropy(logits: Array, same: Array) -> Array:
    """Mean cross-entropy in nats of logits [B] against `same` [B] in {0, 1}; ln 2 = 0.693 is chance."""
    chex.assert_rank([logits, same], 1)
    chex.assert_equal_shape([logits, same])
    return optax.sigmoid_binary_cross_entropy(logits, same).mean()


def contrastive(distances: Array, same: Array, margin: float) -> Array:
    """Mean of ½d² for "same" pairs, ½max(0, margin − d)² for others; `distances`, `same` [B] (Hadsell et al. 2006)."""
    chex.assert_rank([distances, same], 1)
    chex.assert_equal_shape([distances, same])
    pushed = jnp.square(jnp.maximum(margin - distances, 0.0))
    return jnp.mean(jnp.where(same > 0.5, jnp.square(distances), pushed)) / 2


def triplet(positive: Array, negative: Array, margin: float) -> Array:
    """Mean of max(0, margin + d(anchor, positive) − d(anchor, negative)); both [T] (Schroff et al. 2015)."""
    chex.assert_rank([positive, negative], 1)
    chex.assert_equal_shape([positive, negative])
    return jnp.maximum(margin + positive - negative, 0.0).mean()


def penalty(params: Mapping[str, Mapping[str, Any]], spec: OptimizerSpec) -> Array:
    """Σ_j λ_j ‖w_j‖² over layers, without biases unless `spec.l2_on_biases`; the optimizer adds its gradient, 2λw."""
    total = jnp.float32(0.0)
    for layer, values in params.items():
        for name, value in values.items():
            if name != "bias" or spec.l2_on_biases:
                total += spec.layers[layer].l2 * jnp.sum(jnp.square(value))
    return total
