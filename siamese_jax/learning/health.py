"""How a network in training is, beyond its loss: the few numbers in which a siamese net that learns nothing gives away
why, most of them before the first step.
"""

import math
from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
from jax import Array

from siamese_jax.learning.optimizers.rules import layer_of
from siamese_jax.network.siamese import Params, SiameseNet, as_input
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
    """Return diagnostics of a network's embeddings and scores.

    Args:
        net: the network.
        params: its parameters.
        images: uint8 [K, M, H, W, C], of K characters by M drawers.

    Returns:
        float32 [] by name. `saturated`: the share of an embedding's sigmoids whose input is beyond ±4; 0 without
        sigmoids. `embedding_spread`: the standard deviation of a unit between characters, after the mean over drawers.
        `score_spread`: that of the logits of different images. `score_gap`: the mean logit of "same" minus that of
        "different". `dead_filters/LAYER`: the share of a layer's ReLUs that are 0 for all images.
    """
    characters, drawers, *side = images.shape
    embed = jax.vmap(net.embed_and_report, in_axes=(None, 0))
    flat, relus = embed(params, as_input(images.reshape(-1, *side)))
    embeddings = flat.reshape(characters, drawers, -1)
    logits = net.grid_logits(params, embeddings[None])[0].reshape(characters * drawers, -1)
    character = jnp.repeat(jnp.arange(characters), drawers)
    same = character[:, None] == character[None, :]
    others = ~jnp.eye(len(same), dtype=bool)
    dead = {name: jnp.mean(jnp.all(relu == 0, axis=range(relu.ndim - 1))) for name, relu in relus.items()}
    beyond = (flat < jax.nn.sigmoid(-SATURATED)) | (flat > jax.nn.sigmoid(SATURATED))
    return {
        "saturated": jnp.mean(beyond) if net.spec.tower.ends_in_sigmoid else jnp.float32(0.0),
        "embedding_spread": embeddings.mean(axis=1).std(axis=0).mean(),
        "score_spread": logits.std(where=others),
        "score_gap": logits.mean(where=same & others) - logits.mean(where=~same),
        **{f"dead_filters/{name}": share for name, share in dead.items()},
    }


def update_sizes(before: Params, after: Params) -> dict[str, Array]:
    """Return how far an update moved the weights of each layer, all but biases, relative to their norm.

    Args:
        before: parameters, nested to any depth.
        after: the same after an update.

    Returns:
        float32 [] by name, `update/LAYER`; LAYER is the path of the layer.
    """

    def weights(params: Params) -> dict[str, Array]:
        by_layer: dict[str, list[Array]] = {}
        for path, value in jax.tree.leaves_with_path(params):
            if path[-1].key != "bias":
                by_layer.setdefault(layer_of(path), []).append(value.ravel())
        return {layer: jnp.concatenate(values) for layer, values in by_layer.items()}

    start, end = weights(before), weights(after)
    return {
        f"update/{layer}": jnp.linalg.norm(end[layer] - weight) / jnp.maximum(jnp.linalg.norm(weight), 1e-30)
        for layer, weight in start.items()
    }


def loss_of_guessing(experiment: Experiment, rows: Iterable[Mapping[str, float | None]] = ()) -> float | None:
    """Returns the loss in nats of a network that tells nothing apart; None where it depends on scales.

    For `n_way` it is the mean of what `rows`, metrics of steps, have as `guessing`: some alphabets have fewer
    characters than a batch asks for. Where no row has it, it is that of alphabets which have them all.
    """
    if experiment.loss.name in ("cross_entropy", "all_pairs"):
        return math.log(2)
    if experiment.loss.name != "n_way":
        return None
    measured = [value for row in rows if (value := row.get("guessing")) is not None]
    return sum(measured) / len(measured) if measured else math.log(experiment.data.batch_characters)


def at_the_start(experiment: Experiment, health: Mapping[str, float | None]) -> str:
    """Returns one sentence for what is unsound before the first step, and the field to change, else ""; see below."""
    defect = _defect(experiment, _finite(health), trained=False)
    return f"Before the first step {defect}." if defect else ""


def diagnosis(
    experiment: Experiment,
    loss: float,
    health: Mapping[str, float | None],
    rows: Iterable[Mapping[str, float | None]] = (),
) -> str:
    """Returns one sentence with the likely cause and the field to change where training sits at chance, else "".

    `loss` is the mean over an epoch, of which `rows` are metrics; `health` holds what `examine` and `update_sizes`
    return, as numbers, and where rates follow a schedule the `next_rate`, of the update that was looked at; what is
    missing there, or not finite, is no cause.
    """
    guessing = loss_of_guessing(experiment, rows)
    if guessing is None or loss < AT_CHANCE * guessing:
        return ""
    known = _finite(health)
    if defect := _defect(experiment, known) or _standstill(experiment, known):
        cause = f"Likely cause: {defect}."
    else:
        cause = (
            "Units, filters and updates look sound, so that it may only be early: give it more epochs, or raise "
            f"{_rate(experiment, 'LAYER')}."
        )
    return f"The loss is {loss:.3f} where guessing has {guessing:.3f}: nothing is learned yet. {cause}"


def _defect(experiment: Experiment, health: Mapping[str, float], trained: bool = True) -> str:
    """Returns what is too much, and what to do, or "": what would be wrong before the first step, too."""
    anew = "start anew with another --seed"
    updates, dead = _by_layer(health, "update/"), _by_layer(health, "dead_filters/")
    if health.get("saturated", 0.0) > MANY:
        last = experiment.network.tower.last_layer or "LAYER"
        change = _sound_start(experiment) or (f"lower {_rate(experiment, last)}" if trained else anew)
        return (
            f"{health['saturated']:.0%} of an embedding's sigmoids are saturated, and pass hardly any gradient on; "
            f"{change}"
        )
    fastest = max(updates, key=updates.get, default="")
    if fastest and updates[fastest] > WILD:
        return f"an update moves {fastest} by {updates[fastest]:.0%} of its weights; lower {_rate(experiment, fastest)}"
    deadest = max(dead, key=dead.get, default="")
    if deadest and dead[deadest] > MANY:
        change = f"lower {_rate(experiment, deadest)}, or {anew}" if trained else anew
        return f"{dead[deadest]:.0%} of the filters of {deadest} give 0 for every image; {change}"
    return ""


def _standstill(experiment: Experiment, health: Mapping[str, float]) -> str:
    """Returns what is too little, and what to do, or ""."""
    spec, updates = experiment.optimizer, _by_layer(health, "update/")
    # A schedule is close to 0 at its ends: an update counts as if it were at its highest. Unknown, it says nothing.
    risen = health.get("next_rate", 0.0) / spec.rate if spec.over_all_epochs and spec.rate else 1.0
    slowest = min(updates, key=updates.get, default="")
    if slowest and updates[slowest] < STILL * risen:
        held_back = spec.name != "adamw" or spec.fc_rate < 1
        change = _rate(experiment, slowest) if held_back else "--optimizer.rate"
        return f"an update moves {slowest} by {updates[slowest]:.1g} of its weights only; raise {change}"
    if health.get("embedding_spread", 1.0) < ALIKE:
        penalties = "--optimizer.weight_decay" if spec.name == "adamw" else "--optimizer.layers.LAYER.l2"
        change = _sound_start(experiment) or f"lower {penalties}"
        return f"embeddings of different characters are alike (spread {health['embedding_spread']:.1g}); {change}"
    return ""


def _rate(experiment: Experiment, layer: str) -> str:
    if experiment.optimizer.name == "adamw":
        return "--optimizer.fc_rate" if layer == experiment.network.tower.last_layer else "--optimizer.rate"
    return f"--optimizer.layers.{layer}.learning_rate"


def _sound_start(experiment: Experiment) -> str:
    return "start with --network.initialiser=scaled" if experiment.network.initialiser == "paper" else ""


def _by_layer(health: Mapping[str, float], prefix: str) -> dict[str, float]:
    return {name.removeprefix(prefix): value for name, value in health.items() if name.startswith(prefix)}


def _finite(health: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in health.items() if isinstance(value, int | float) and math.isfinite(value)}
