"""Embedding and comparing images: host loops over two jitted functions. Every image is embedded once."""

import functools
import hashlib

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from siamese_jax.errors import UserError
from siamese_jax.evaluation.views import embed_views
from siamese_jax.images.distort import Affine
from siamese_jax.network.siamese import Params, SiameseNet
from siamese_jax.records import Episodes

PAIRS = 4000
"""How many pairs of embeddings are compared at a time. It bounds the memory and does not change results."""


class Evaluator:
    """A network's compiled embedding and comparing.

    Embeddings are kept as long as the parameters are the same object, so each image is embedded once, however many
    protocols use it. With `views`, the embedding of an image is the mean over its views (test-time augmentation).
    """

    def __init__(self, net: SiameseNet, embed_batch: int, combine: str = "mean_score", views: Affine | None = None):
        self.net = net
        self._embed_batch = embed_batch
        plain = functools.partial(_embed, net)
        self._embed = plain if views is None else jax.jit(functools.partial(embed_views, net, views))
        self._compare = functools.partial(_compare, net)
        self._score = functools.partial(_score, net, combine)
        self._params: Params | None = None
        self._embeddings: dict[bytes, np.ndarray] = {}

    def embed(self, params: Params, images: np.ndarray) -> np.ndarray:
        """Return the embeddings [N, D] of images, uint8 [N, H, W, C]; only images that are new are embedded."""
        if params is not self._params:
            self._params, self._embeddings = params, {}
        names = [hashlib.blake2b(image, digest_size=16).digest() for image in np.ascontiguousarray(images)]
        new = {name: row for row, name in enumerate(names) if name not in self._embeddings}
        if new:
            made = self._embed_new(params, images[list(new.values())])
            self._embeddings |= zip(new, made, strict=True)
        return np.stack([self._embeddings[name] for name in names])

    def _embed_new(self, params: Params, images: np.ndarray) -> np.ndarray:
        """Embed images in batches of one size; the last batch is padded."""
        batch = self._embed_batch
        padded = np.concatenate([images, np.zeros((-len(images) % batch, *images.shape[1:]), np.uint8)])
        parts = [self._embed(params, jnp.asarray(padded[i : i + batch])) for i in range(0, len(padded), batch)]
        return np.concatenate(jax.device_get(parts))[: len(images)]

    def episode_logits(self, params: Params, images: np.ndarray, episodes: Episodes) -> np.ndarray:
        """Return scores [R, Q, n_way] of episodes whose rows index `images`; only images that they use are embedded."""
        rows, places = np.unique(
            np.concatenate([np.ravel(episodes.support), np.ravel(episodes.query)]), return_inverse=True
        )
        support = places[: np.size(episodes.support)].reshape(np.shape(episodes.support))
        query = places[np.size(episodes.support) :].reshape(np.shape(episodes.query))
        embeddings = self.embed(params, images[rows])
        (count, n_way, k_shot), queries = support.shape, query.shape[1]
        together = min(count, max(1, PAIRS // (queries * n_way * k_shot)))
        scores = []
        for first in range(0, count, together):
            some = np.arange(first, first + together) % count  # filled up: only one shape is compiled
            scores.append(self._score(params, embeddings[support[some]], embeddings[query[some]]))
        return _finite(np.concatenate(jax.device_get(scores))[:count], "one-shot scores")

    def pair_logits(self, params: Params, images: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Return logits [N] of pairs of rows of `images`; each image is embedded once."""
        embeddings = self.embed(params, images)
        parts = [
            self._compare(params, embeddings[left[i : i + PAIRS]], embeddings[right[i : i + PAIRS]])
            for i in range(0, len(left), PAIRS)
        ]
        return _finite(np.concatenate(jax.device_get(parts)), "verification scores")


# Evaluators of equal networks share these programs.
@functools.partial(jax.jit, static_argnums=0)
def _embed(net: SiameseNet, params: Params, images: Array) -> Array:
    return net.embed_images(params, images)


@functools.partial(jax.jit, static_argnums=0)
def _compare(net: SiameseNet, params: Params, left: Array, right: Array) -> Array:
    return net.compare_pairs(params, left, right)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _score(net: SiameseNet, combine: str, params: Params, support: Array, query: Array) -> Array:
    return jax.vmap(functools.partial(net.trial_logits, combine=combine), in_axes=(None, 0, 0))(params, support, query)


def _finite(values: np.ndarray, what: str) -> np.ndarray:
    if not np.isfinite(values).all():
        raise UserError(f"the {what} are not finite: the parameters have diverged; lower the learning rates")
    return values
