"""Test-time augmentation: the embedding of an image is the mean over the image and affine distortions."""

import jax
import jax.numpy as jnp
from jax import Array

from siamese_jax import keys
from siamese_jax.images.distort import Affine, Warp, apply_affine, sample_affine, without
from siamese_jax.network.siamese import Params, SiameseNet, as_input
from siamese_jax.specs import DistortSpec


def sample_views(spec: DistortSpec, count: int) -> Affine:
    """Return `count` views: the image itself, then affine distortions by `spec`. They are the same for all images."""
    each = jax.random.split(keys.stream(keys.root_key(0), "views"), count)
    drawn = Warp(jax.vmap(lambda key: sample_affine(key, spec))(each))
    return without(drawn, jnp.arange(count) == 0).affine


def embed_views(net: SiameseNet, views: Affine, params: Params, images: Array) -> Array:
    """Return the mean embeddings [N, D] of images, uint8 [N, H, W, C], over views [V]."""
    plain = as_input(images)

    def of_view(view: Affine) -> Array:
        seen = jax.vmap(apply_affine, in_axes=(0, None))(plain, view)
        return jax.vmap(net.embed, in_axes=(None, 0))(params, seen)

    return jax.lax.map(of_view, views).mean(axis=0)
