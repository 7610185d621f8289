"""Losses of batches of pairs, and losses of grid batches, where every image is compared with others of its group.

Logits are of "same". Losses are in nats. A grid batch has A groups, K classes of each and M authors of each
class; `present` marks classes that exist, where a group has fewer than K.
"""

import chex
import jax.numpy as jnp
import optax
from jax import Array

from siamese_jax.specs import Contrastive, LossSpec, Triplet

TRAIN_P_SAME = ("cross_entropy", "all_pairs")
"""Losses after which the sigmoid of a logit is p(same). Others train choices or distances."""
NEVER = -1e9
"""The score of a class that does not exist: it is never chosen, and it is finite."""


def pair_loss(scores: Array, same: Array, spec: LossSpec) -> tuple[Array, Array]:
    """Return the loss of a batch of pairs, and the share of right decisions.

    A decision is correct if p(same) is above ½ exactly for "same" pairs (cross-entropy), if the distance is below
    margin / 2 exactly for them (contrastive), or if the "same" pair is nearer than the "different" one (triplet).

    Args:
        scores: [B], distances if `spec.of_distances`, else logits. For the triplet loss, pairs 2i ("same") and 2i + 1
            ("different") share an image.
        same: [B], 1 for "same" pairs and 0 for others.
        spec: the loss.

    Returns:
        The loss [] and the share [].
    """
    if isinstance(spec, Contrastive):
        right = (scores < spec.margin / 2) == (same > 0.5)
        return contrastive(scores, same, spec.margin), jnp.mean(right)
    if isinstance(spec, Triplet):
        nearer, farther = scores[0::2], scores[1::2]
        return triplet(nearer, farther, spec.margin), jnp.mean(nearer < farther)
    return cross_entropy(scores, same), jnp.mean((scores > 0) == (same > 0.5))


def grid_loss(logits: Array, present: Array, spec: LossSpec) -> tuple[Array, Array]:
    """Return the loss of a grid batch, and the share of right decisions.

    Args:
        logits: [A, K, M, K, M], of each image with each image of its group.
        present: bool [A, K].
        spec: `all_pairs` or `n_way`.

    Returns:
        The loss [] and the share [].
    """
    return (n_way if spec.name == "n_way" else all_pairs)(logits, present)


def all_pairs(logits: Array, present: Array) -> tuple[Array, Array]:
    """Return the mean cross-entropy of all pairs of different images; "same" and "different" pairs weigh half each.

    Args:
        logits: [A, K, M, K, M].
        present: bool [A, K].

    Returns:
        The loss [], and the share [] of right decisions with the same weights: chance level is ½.
    """
    classes, authors = _check_grid(logits, present)
    same = jnp.eye(classes, dtype=bool)[:, None, :, None]
    itself = same & jnp.eye(authors, dtype=bool)[None, :, None, :]
    counted = (present[:, :, None] & present[:, None, :])[:, :, None, :, None] & ~itself[None]
    same = jnp.broadcast_to(same[None], logits.shape)
    weight = _shares(counted & same) / 2 + _shares(counted & ~same) / 2
    entropy = optax.sigmoid_binary_cross_entropy(logits, same.astype(logits.dtype))
    return jnp.sum(weight * entropy), jnp.sum(weight * ((logits > 0) == same))


def n_way(logits: Array, present: Array) -> tuple[Array, Array]:
    """Return the mean cross-entropy of one-shot choices.

    Each image is a query once for each other author. That author's images of all classes of the group are its
    supports, as in a released run.

    Args:
        logits: [A, K, M, K, M].
        present: bool [A, K].

    Returns:
        The loss [] and the share [] of right choices.
    """
    classes, authors = _check_grid(logits, present)
    scores = jnp.where(present[:, None, None, None, :], jnp.moveaxis(logits, 3, 4), NEVER)  # [A, K, M, M, K]
    other = ~jnp.eye(authors, dtype=bool)[None, None]
    weight = _shares(jnp.broadcast_to(present[:, :, None, None] & other, scores.shape[:-1]))
    answer = jnp.broadcast_to(jnp.arange(classes)[None, :, None, None], scores.shape[:-1])
    entropy = optax.softmax_cross_entropy_with_integer_labels(scores, answer)
    return jnp.sum(weight * entropy), jnp.sum(weight * (scores.argmax(-1) == answer))


def n_way_of_guessing(present: Array) -> Array:
    """Return the N-way loss [] of a network that guesses: the mean of ln(number of classes), at most ln K."""
    chex.assert_rank(present, 2)
    classes = present.sum(axis=1)
    return jnp.sum(classes * jnp.log(classes)) / classes.sum()


def _check_grid(logits: Array, present: Array) -> tuple[int, int]:
    """Return the numbers of classes and authors; AssertionError if the shapes do not fit."""
    chex.assert_rank([logits, present], [5, 2])
    groups, classes, authors = logits.shape[:3]
    chex.assert_shape(logits, (groups, classes, authors, classes, authors))
    chex.assert_shape(present, (groups, classes))
    return classes, authors


def _shares(counted: Array) -> Array:
    """Return weights that sum to 1, equal where `counted` and 0 elsewhere."""
    return counted / jnp.maximum(counted.sum(), 1)


def cross_entropy(logits: Array, same: Array) -> Array:
    """Return the mean cross-entropy of logits [B] and `same` [B] in {0, 1}; at chance level it is ln 2 = 0.693.

    The paper's loss (section 3.2, where the printed sign is a slip).
    """
    chex.assert_rank([logits, same], 1)
    chex.assert_equal_shape([logits, same])
    return optax.sigmoid_binary_cross_entropy(logits, same).mean()


def contrastive(distances: Array, same: Array, margin: float) -> Array:
    """Return the mean of ½d² over "same" pairs and ½max(0, margin − d)² over others (Hadsell et al. 2006).

    Args:
        distances: [B], d.
        same: [B], 1 for "same" pairs and 0 for others.
        margin: the distance that "different" pairs should have.
    """
    chex.assert_rank([distances, same], 1)
    chex.assert_equal_shape([distances, same])
    short = jnp.square(jnp.maximum(margin - distances, 0.0))
    return jnp.mean(jnp.where(same > 0.5, jnp.square(distances), short)) / 2


def triplet(positive: Array, negative: Array, margin: float) -> Array:
    """Return the mean of max(0, margin + d(anchor, positive) − d(anchor, negative)) (Schroff et al. 2015).

    Args:
        positive: [T], distances of an anchor to an image of its class.
        negative: [T], distances of the same anchors to images of other classes.
        margin: the difference that the two should have.
    """
    chex.assert_rank([positive, negative], 1)
    chex.assert_equal_shape([positive, negative])
    return jnp.maximum(margin + positive - negative, 0.0).mean()
