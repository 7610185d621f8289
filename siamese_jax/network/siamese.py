"""The siamese network: one twin, one energy, one dict of parameters {layer: {name: array}} for both."""

import math
from functools import partial
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax import Array

from siamese_jax.network.energies import ENERGIES, Energy
from siamese_jax.network.towers import Twin, feature_sides
from siamese_jax.specs import NetSpec

Params = dict[str, dict[str, Array]]

AT_ONCE = 1 << 22
"""Numbers, in the differences of embeddings, that are held at a time when all are compared with all."""


class SiameseNet(NamedTuple):
    """Twins that share their weights because there is only one of them; all methods are pure."""

    twin: Twin
    energy: Energy

    def embed(self, params: Params, image: Array) -> Array:
        """One image [H, W, 1] in [0, 1] -> its embedding [D]."""
        return self.twin.apply({"params": params}, image)

    def layers(self, params: Params, image: Array) -> dict[str, Array]:
        """One image [H, W, 1] -> what each layer of the twin gives, by name (see `Twin.layers`)."""
        return self.twin.apply({"params": params}, image, method="layers")

    def compare(self, params: Params, left: Array, right: Array) -> Array:
        """Two embeddings [D] -> the logit [] of "same"."""
        terms, bias = self.energy.apply({"params": params["out"]}, left, right)
        return terms.sum() + bias

    def contributions(self, params: Params, left: Array, right: Array) -> Array:
        """Two embeddings [D] -> what each unit adds to the logit of "same", [D]; with the energy's bias, all of it."""
        return self.energy.apply({"params": params["out"]}, left, right)[0]

    def pair_logit(self, params: Params, left: Array, right: Array) -> Array:
        """Two images [H, W, 1] -> the logit [] of "same"."""
        chex.assert_equal_shape([left, right])
        embeddings = jax.vmap(self.embed, in_axes=(None, 0))(params, jnp.stack([left, right]))
        return self.compare(params, embeddings[0], embeddings[1])

    def pair_logits(self, params: Params, left: Array, right: Array) -> Array:
        """Pairs of images [B, H, W, 1] -> logits [B]."""
        return jax.vmap(self.pair_logit, in_axes=(None, 0, 0))(params, left, right)

    def embed_images(self, params: Params, images: Array) -> Array:
        """Images as stored, uint8 [N, H, W] -> embeddings [N, D]."""
        return jax.vmap(self.embed, in_axes=(None, 0))(params, as_input(images))

    def compare_pairs(self, params: Params, left: Array, right: Array) -> Array:
        """Embeddings [B, D] twice -> logits [B]."""
        return jax.vmap(self.compare, in_axes=(None, 0, 0))(params, left, right)

    def grid_logits(self, params: Params, embeddings: Array) -> Array:
        """Embeddings of a grid [A, K, M, D] -> logits [A, K, M, K, M] of each with all of its alphabet.

        Some rows at a time, made again for the gradient: the differences of all pairs would take D times the memory.
        """
        alphabets, characters, drawers, length = embeddings.shape
        images = characters * drawers
        flat = embeddings.reshape(alphabets, images, length)
        at_most = max(1, AT_ONCE // (alphabets * images * length))
        rounds = math.ceil(images / at_most)
        together = math.ceil(images / rounds)  # and few left over: they are in no loop, and held until the gradient
        # The loops alone keep the comparisons apart from those made again. The barrier that `prevent_cse` would add is
        # not needed, and gave wrong gradients on CPUs: with jax 0.11.1 to 0.12.0.1 a sigmoid's gradient is written over
        # the embeddings while the comparisons behind the barrier still read these, in another shape.
        with_all = jax.checkpoint(jax.vmap(self.compare, in_axes=(None, 0, None)), prevent_cse=False)

        def of_alphabet(embeddings: Array) -> Array:
            return jax.lax.map(partial(with_all, params, embeddings), embeddings, batch_size=together)

        logits = jax.vmap(of_alphabet)(flat)
        return logits.reshape(alphabets, characters, drawers, characters, drawers)

    def trial_logits(self, params: Params, support: Array, query: Array, combine: str = "mean_score") -> Array:
        """Embeddings of a run's supports [n_way, k_shot, D] and queries [Q, D] -> scores [Q, n_way].

        How the k_shot supports of a class are combined is `EvalSpec.combine`.
        """
        if combine == "mean_embedding":
            support = support.mean(axis=1, keepdims=True)
        over_shots = jax.vmap(self.compare, in_axes=(None, 0, None))
        over_classes = jax.vmap(over_shots, in_axes=(None, 0, None))
        over_queries = jax.vmap(over_classes, in_axes=(None, None, 0))
        logits = over_queries(params, support, query)
        return logits.max(axis=-1) if combine == "best_score" else logits.mean(axis=-1)


def build(spec: NetSpec) -> SiameseNet:
    """Returns the network of a spec."""
    return SiameseNet(Twin(spec), ENERGIES[spec.energy](spec.initialiser))


def init_params(key: Array, spec: NetSpec, side: int) -> Params:
    """Draws initial parameters for images [side, side, 1]; UserError where the filters leave no pixels."""
    feature_sides(spec, side)
    net = build(spec)
    key_twin, key_energy = jax.random.split(key)
    embedding = jnp.zeros((spec.units,))
    twin = net.twin.init(key_twin, jnp.zeros((side, side, 1)))["params"]
    return {**twin, "out": net.energy.init(key_energy, embedding, embedding)["params"]}


def as_input(images: Array) -> Array:
    """Stored images, uint8 [..., H, W] -> what a network sees, float32 [..., H, W, 1] in [0, 1]."""
    chex.assert_type(images, jnp.uint8)
    return images[..., None].astype(jnp.float32) / 255.0
