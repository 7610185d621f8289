"""What training minimises: the paper's cross-entropy of "same" (section 3.2; its printed sign is a slip) or a loss of
distances, and an L2 penalty per layer. Losses of grid batches compare every image with others of its alphabet.
"""

from collections.abc import Mapping
from typing import Any

import chex
import jax.numpy as jnp
import optax
from jax import Array

from siamese_jax.specs import LossSpec, OptimizerSpec

NEVER = -1e9
"""The score of a character that is not there: no choice, and still finite."""


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


def grid_loss(logits: Array, present: Array, spec: LossSpec) -> tuple[Array, Array]:
    """Returns the loss [] of a grid batch and the share [] of right decisions: of choices, or as pairs are weighted.

    `logits` [A, K, M, K, M] are of pairs of images of an alphabet, `present` [A, K] says which characters count.
    """
    return (n_way if spec.name == "n_way" else all_pairs)(logits, present)


def all_pairs(logits: Array, present: Array) -> tuple[Array, Array]:
    """Mean cross-entropy in nats of all pairs of different images, "same" and "different" weighted half and half.

    `logits` [A, K, M, K, M], `present` [A, K]. The share [] of right answers is weighted likewise: chance is ½.
    """
    characters, drawers = _check_grid(logits, present)
    same = jnp.eye(characters, dtype=bool)[:, None, :, None]
    itself = same & jnp.eye(drawers, dtype=bool)[None, :, None, :]
    counted = (present[:, :, None] & present[:, None, :])[:, :, None, :, None] & ~itself[None]
    same = jnp.broadcast_to(same[None], logits.shape)
    weight = _shares(counted & same) / 2 + _shares(counted & ~same) / 2
    entropy = optax.sigmoid_binary_cross_entropy(logits, same.astype(logits.dtype))
    return jnp.sum(weight * entropy), jnp.sum(weight * ((logits > 0) == same))


def n_way(logits: Array, present: Array) -> tuple[Array, Array]:
    """Mean cross-entropy in nats of one-shot choices, and the share [] of right ones.

    `logits` [A, K, M, K, M], `present` [A, K]. Each image is a query once for each other drawer, whose images of the
    alphabet's characters are its supports: a trial as in the released runs.
    """
    characters, drawers = _check_grid(logits, present)
    scores = jnp.where(present[:, None, None, None, :], jnp.moveaxis(logits, 3, 4), NEVER)  # [A, K, M, M, K]
    other = ~jnp.eye(drawers, dtype=bool)[None, None]
    weight = _shares(jnp.broadcast_to(present[:, :, None, None] & other, scores.shape[:-1]))
    answer = jnp.broadcast_to(jnp.arange(characters)[None, :, None, None], scores.shape[:-1])
    entropy = optax.softmax_cross_entropy_with_integer_labels(scores, answer)
    return jnp.sum(weight * entropy), jnp.sum(weight * (scores.argmax(-1) == answer))


def n_way_of_guessing(present: Array) -> Array:
    """Returns what `n_way` has where all scores are equal, in nats []: less than ln K, where alphabets are small.

    `present` [A, K] says which characters count.
    """
    chex.assert_rank(present, 2)
    characters = present.sum(axis=1)
    return jnp.sum(characters * jnp.log(characters)) / characters.sum()


def _check_grid(logits: Array, present: Array) -> tuple[int, int]:
    """Returns how many characters and drawers there are; AssertionError for shapes that do not fit."""
    chex.assert_rank([logits, present], [5, 2])
    alphabets, characters, drawers = logits.shape[:3]
    chex.assert_shape(logits, (alphabets, characters, drawers, characters, drawers))
    chex.assert_shape(present, (alphabets, characters))
    return characters, drawers


def _shares(counted: Array) -> Array:
    """Returns weights that sum to 1, equal where `counted` and 0 elsewhere."""
    return counted / jnp.maximum(counted.sum(), 1)


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
    if spec.name == "adamw":  # its decay of weights is no part of a loss
        return total
    for layer, values in params.items():
        for name, value in values.items():
            if name != "bias" or spec.l2_on_biases:
                total += spec.layers[layer].l2 * jnp.sum(jnp.square(value))
    return total
