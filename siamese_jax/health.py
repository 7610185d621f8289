"""How a network in training is, beyond its loss: the few numbers in which a siamese net that learns nothing gives away
why, most of them before the first step.
"""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax import Array

from siamese_jax.model import Params, SiameseNet, as_input
from siamese_jax.specs import Experiment

SATURATED = 4.0
"""Beyond it, either way, a sigmoid passes on less than 2 % of a gradient."""
AT_CHANCE = 0.985
"""The share of the loss of guessing above which nothing is learned yet."""
MANY = 0.5
"""The share of saturated units, or of dead filters in a layer, that is enough to explain it."""
STILL, WILD = 1e-5, 0.1
"""Sizes of a layer's update relative to its weights between which training goes on."""
ALIKE = 1e-3
"""The spread of embeddings between characters below which they are all the same."""


def examine(net: SiameseNet, params: Params, images: Array) -> dict[str, Array]:
    """Returns what a network makes of images, uint8 [K, M, H, W], of K characters by M drawers; all float32 [].

    `saturated` is the share of an embedding's sigmoids beyond ±4 before the sigmoid (0 with a linear head);
    `embedding_spread` the standard deviation between characters, of a unit, of the mean over drawers; `score_spread`
    that of the logits of different images; `score_gap` the mean logit of "same" minus that of "different";
    `dead_filters/LAYER` the share of a layer's ReLUs that are 0 for all images.
    """
    characters, drawers, *side = images.shape
    layers = jax.vmap(net.layers, in_axes=(None, 0))(params, as_input(images.reshape(-1, *side)))
    units, sigmoid = layers.pop("fc"), net.twin.spec.head == "sigmoid"
    embeddings = net.twin.head(units).reshape(characters, drawers, -1)
    logits = net.grid_logits(params, embeddings[None])[0].reshape(characters * drawers, -1)
    character = jnp.repeat(jnp.arange(characters), drawers)
    same = character[:, None] == character[None, :]
    others = ~jnp.eye(len(same), dtype=bool)
    dead = {name: jnp.mean(jnp.all(layer == 0, axis=range(layer.ndim - 1))) for name, layer in layers.items()}
    return {
        "saturated": jnp.mean(jnp.abs(units) > SATURATED) if sigmoid else jnp.float32(0.0),
        "embedding_spread": embeddings.mean(axis=1).std(axis=0).mean(),
        "score_spread": logits.std(where=others),
        "score_gap": logits.mean(where=same & others) - logits.mean(where=~same),
        **{f"dead_filters/{name}": share for name, share in dead.items()},
    }


def update_sizes(before: Params, after: Params) -> dict[str, Array]:
    """Returns how far an update moved each layer's kernels, relative to their norm: {"update/LAYER": float32 []}."""

    def kernels(params: Params, layer: str) -> Array:
        return jnp.concatenate([value.ravel() for name, value in params[layer].items() if name != "bias"])

    def relative(layer: str) -> Array:
        start = kernels(before, layer)
        return jnp.linalg.norm(kernels(after, layer) - start) / jnp.maximum(jnp.linalg.norm(start), 1e-30)

    return {f"update/{layer}": relative(layer) for layer in before}


def loss_of_guessing(experiment: Experiment) -> float | None:
    """Returns the loss in nats of a network that tells nothing apart; None where it depends on scales."""
    if experiment.loss.name in ("cross_entropy", "all_pairs"):
        return math.log(2)
    return math.log(experiment.data.batch_characters) if experiment.loss.name == "n_way" else None


def diagnosis(experiment: Experiment, loss: float, health: Mapping[str, float]) -> str:
    """Returns one sentence with the likely cause and the field to change where training sits at chance, else "".

    `loss` is the mean over an epoch; `health` holds what `examine` and `update_sizes` return, as numbers; what is
    missing there, or None, is no cause.
    """
    guessing = loss_of_guessing(experiment)
    if guessing is None or loss < AT_CHANCE * guessing:
        return ""
    cause = _cause(experiment, {name: value for name, value in health.items() if isinstance(value, int | float)})
    return f"The loss is {loss:.3f} where guessing has {guessing:.3f}: nothing is learned yet. {cause}"


def _cause(experiment: Experiment, health: Mapping[str, float]) -> str:
    adamw = experiment.optimizer.name == "adamw"

    def rate(layer: str) -> str:
        if adamw:
            return "--optimizer.fc_rate" if layer == "fc" else "--optimizer.rate"
        return f"--optimizer.layers.{layer}.learning_rate"

    def by_layer(prefix: str) -> dict[str, float]:
        return {name.removeprefix(prefix): value for name, value in health.items() if name.startswith(prefix)}

    updates, dead = by_layer("update/"), by_layer("dead_filters/")
    fastest, slowest = max(updates, key=updates.get, default=None), min(updates, key=updates.get, default=None)
    deadest = max(dead, key=dead.get, default=None)
    paper_start = experiment.network.initialiser == "paper"
    if health.get("saturated", 0.0) > MANY:
        change = "start with --network.initialiser=scaled" if paper_start else f"lower {rate('fc')}"
        return (
            f"Likely cause: {health['saturated']:.0%} of an embedding's sigmoids are saturated, and pass hardly any "
            f"gradient on; {change}."
        )
    if fastest and updates[fastest] > WILD:
        return (
            f"Likely cause: an update moves {fastest} by {updates[fastest]:.0%} of its weights; lower {rate(fastest)}."
        )
    if deadest and dead[deadest] > MANY:
        return (
            f"Likely cause: {dead[deadest]:.0%} of the filters of {deadest} give 0 for every image; lower "
            f"{rate(deadest)}, or start anew with another --seed."
        )
    # A schedule over all epochs is close to 0 at its ends.
    if slowest and updates[slowest] < STILL and not experiment.optimizer.over_all_epochs:
        return (
            f"Likely cause: an update moves {slowest} by {updates[slowest]:.1g} of its weights only; raise "
            f"{rate(slowest)}."
        )
    if health.get("embedding_spread", 1.0) < ALIKE:
        penalties = "--optimizer.weight_decay" if adamw else "--optimizer.layers.LAYER.l2"
        change = "start with --network.initialiser=scaled" if paper_start else f"lower {penalties}"
        return (
            f"Likely cause: embeddings of different characters are alike (spread {health['embedding_spread']:.1g}); "
            f"{change}."
        )
    return (
        "Units, filters and updates look sound, so that it may only be early: give it more epochs, or raise "
        f"{rate('LAYER')}."
    )
