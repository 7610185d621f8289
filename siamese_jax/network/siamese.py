"""The siamese network: one tower, one energy, and one tree of parameters for both."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from siamese_jax.network.energies import ENERGIES
from siamese_jax.network.towers import TOWERS
from siamese_jax.specs import NetSpec

Params = dict[str, Any]
"""The parameters of the tower, of any depth, and as "out" those of the energy."""

AT_ONCE = 1 << 22
"""Numbers, in the differences of embeddings, that are held at a time when all are compared with all."""


class SiameseNet(NamedTuple):
    """A tower that embeds both images of a pair, and an energy that compares embeddings; all methods are pure."""

    spec: NetSpec
    tower: nn.Module
    energy: nn.Module

    def embed(self, params: Params, image: Array) -> Array:
        """Embed one image, [H, W, C] in [0, 1] -> [D]."""
        return _apply(self.tower, params, image)

    def embed_and_report(self, params: Params, image: Array) -> tuple[Array, dict[str, Array]]:
        """Embed one image, and return the outputs of ReLUs that the tower reports, by path, channels last."""
        embedding, reported = self.tower.apply({"params": params}, image, mutable=["relus"])
        relus = jax.tree.leaves_with_path(reported.get("relus", {}))
        return embedding, {_name(path): features for path, features in relus}

    def compare(self, params: Params, left: Array, right: Array) -> Array:
        """Return the logit [] of "same" for two embeddings [D]."""
        return _apply(self.energy, params["out"], left, right)

    def distance(self, params: Params, left: Array, right: Array) -> Array:
        """Return the distance [] of two embeddings [D], if the energy has one."""
        return _apply(self.energy, params["out"], left, right, method="distance")

    @property
    def has_distance(self) -> bool:
        """Whether the energy has a distance."""
        return hasattr(self.energy, "distance")

    def contributions(self, params: Params, left: Array, right: Array) -> tuple[Array, Array]:
        """Split the logit of two embeddings [D] into terms of units [D] and the rest [], if the energy can."""
        return _apply(self.energy, params["out"], left, right, method="contributions")

    @property
    def has_contributions(self) -> bool:
        """Whether the energy is a sum over units."""
        return hasattr(self.energy, "contributions")

    def pair_logits(self, params: Params, left: Array, right: Array) -> Array:
        """Return the logits [B] of pairs of images [B, H, W, C]."""
        return self._pairs(self.compare, params, left, right)

    def pair_distances(self, params: Params, left: Array, right: Array) -> Array:
        """Return the distances [B] of pairs of images [B, H, W, C], if the energy has one."""
        return self._pairs(self.distance, params, left, right)

    def _pairs(self, compare: Callable[..., Array], params: Params, left: Array, right: Array) -> Array:
        chex.assert_equal_shape([left, right])

        def of_pair(left: Array, right: Array) -> Array:
            embeddings = jax.vmap(self.embed, in_axes=(None, 0))(params, jnp.stack([left, right]))
            return compare(params, embeddings[0], embeddings[1])

        return jax.vmap(of_pair)(left, right)

    def embed_images(self, params: Params, images: Array) -> Array:
        """Embed images as stored, uint8 [N, H, W] -> [N, D]."""
        return jax.vmap(self.embed, in_axes=(None, 0))(params, as_input(images))

    def compare_pairs(self, params: Params, left: Array, right: Array) -> Array:
        """Return the logits [B] of pairs of embeddings [B, D]."""
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
    """Return the network of a spec."""
    tower = TOWERS[type(spec.tower)](spec.tower, spec.initialiser)
    return SiameseNet(spec, tower, ENERGIES[type(spec.energy)](spec.energy, spec.initialiser))


def init_params(key: Array, spec: NetSpec, shape: tuple[int, int, int]) -> Params:
    """Sample the initial parameters.

    Args:
        key: a random key.
        spec: the network.
        shape: rows, columns and channels of the images.

    Raises:
        UserError: if the tower cannot embed images of this size.
    """
    spec.tower.check(shape)
    net = build(spec)
    key_tower, key_energy = jax.random.split(key)
    embedding, tower = net.tower.init_with_output(key_tower, jnp.zeros(shape))
    energy = net.energy.init(key_energy, embedding, embedding)
    if "out" in tower["params"]:
        raise ValueError(f"no part of {type(net.tower).__name__} can be called 'out': the energy has that name")
    return {**tower["params"], "out": energy.get("params", {})}


def _apply(module: nn.Module, params: Params, *inputs: Array, method: str | None = None) -> Any:
    """Return what a method of a module returns. Linen's own `apply` is declared to return a tuple, too."""
    return module.apply({"params": params}, *inputs, method=method)


def _name(path: tuple[Any, ...]) -> str:
    """Return the name of a layer's report: its path, without the place in Linen's tuple and "output"."""
    names = [key.key for key in path[:-1]]
    return "/".join(names[:-1] if names[-1] == "output" else names)


def as_input(images: Array) -> Array:
    """Stored images, uint8 [..., H, W, C] -> what a network sees, float32 [..., H, W, C] in [0, 1]."""
    chex.assert_type(images, jnp.uint8)
    return images.astype(jnp.float32) / 255.0
