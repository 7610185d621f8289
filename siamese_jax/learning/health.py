"""Diagnostics of training: a few numbers that explain why a siamese network does not learn.

Most of them are informative before the first step.
"""

import math
from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
from jax import Array
from scipy import stats

from siamese_jax.learning.optimizers.rules import is_below, layer_of
from siamese_jax.network.siamese import Params, SiameseNet, as_input
from siamese_jax.results import RunResults
from siamese_jax.specs import AdamW, Experiment, PaperSGD

SATURATED = 4.0
"""A sigmoid whose input is beyond ± this passes on less than 2 % of a gradient."""
AT_CHANCE = 0.985
"""Nothing is learned yet if the loss is above this share of the loss of guessing."""
MANY = 0.5
"""A share of saturated units, or of dead filters in a layer, that prevents learning."""
STILL, WILD = 1e-5, 0.1
"""Training works if an update, relative to the weights of its layer, is between these sizes."""
ALIKE = 1e-3
"""Embeddings of all characters are the same if their spread is below this."""


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
    """Return how much an update changed the weights of each layer, all but biases, relative to their norm.

    Args:
        before: parameters, nested to any depth.
        after: the same after an update.

    Returns:
        float32 [] by name, `update/LAYER`; LAYER is the path of the layer. It is not a number if all weights were 0.
    """

    def weights(params: Params) -> dict[str, Array]:
        by_layer: dict[str, list[Array]] = {}
        for path, value in jax.tree.leaves_with_path(params):
            if path[-1].key != "bias":
                by_layer.setdefault(layer_of(path), []).append(value.ravel())
        return {layer: jnp.concatenate(values) for layer, values in by_layer.items()}

    start, end = weights(before), weights(after)
    return {
        f"update/{layer}": jnp.linalg.norm(end[layer] - weight) / jnp.linalg.norm(weight)
        for layer, weight in start.items()
    }


def loss_of_guessing(experiment: Experiment, rows: Iterable[Mapping[str, float | None]] = ()) -> float | None:
    """Return the loss of a network that guesses, in nats; None for losses of distances, where it depends on scales.

    Args:
        experiment: its loss is used.
        rows: metrics of steps. For the N-way loss the result is the mean of their `guessing`, because some alphabets
            have fewer characters than a batch asks for. Without them, all alphabets are assumed to have enough.
    """
    if experiment.loss.name in ("cross_entropy", "all_pairs"):
        return math.log(2)
    if experiment.loss.name != "n_way":
        return None
    measured = [value for row in rows if (value := row.get("guessing")) is not None]
    return sum(measured) / len(measured) if measured else math.log(experiment.data.batch_characters)


def at_the_start(experiment: Experiment, health: Mapping[str, float | None]) -> str:
    """Return one sentence on what is wrong before the first step, with the field to change; "" if nothing is.

    Args:
        experiment: what is trained.
        health: see `diagnosis`.
    """
    defect = _defect(experiment, _finite(health), trained=False)
    return f"Before the first step: {defect}." if defect else ""


def diagnosis(
    experiment: Experiment,
    loss: float,
    health: Mapping[str, float | None],
    rows: Iterable[Mapping[str, float | None]] = (),
) -> str:
    """Return the likely cause if nothing is learned, with the field to change; "" if something is learned.

    Args:
        experiment: what is trained.
        loss: the mean over an epoch.
        health: what `examine` and `update_sizes` return, as numbers; and `next_rate`, the learning rate of the update
            that was examined, if rates follow a schedule. Numbers that are missing or not finite are ignored.
        rows: metrics of the epoch's steps.
    """
    guessing = loss_of_guessing(experiment, rows)
    if guessing is None or loss < AT_CHANCE * guessing:
        return ""
    known = _finite(health)
    if defect := _defect(experiment, known) or _standstill(experiment, known):
        cause = f"Likely cause: {defect}."
    else:
        cause = (
            "Units, filters and updates are normal, so it may only be too early: train for more epochs, or raise "
            f"{_rate(experiment, 'LAYER')}."
        )
    return f"The loss is {loss:.3f}, and that of guessing is {guessing:.3f}: nothing is learned yet. {cause}"


def learned_nothing(experiment: Experiment, results: RunResults) -> str:
    """Return one sentence if a network that was trained is no better than guessing on validation; "" otherwise.

    Guessing is right in a trial with probability 1/n. The best epoch is compared with the most that guessing reaches
    in as many trials and epochs, except with probability 2.5 % (Bonferroni).

    Args:
        experiment: what was trained.
        results: what was measured; the validation trials are looked at.
    """
    training, validation = results.training, results.one_shot.get("validation")
    if training is None or validation is None or training.stopped_by == "not finished":
        return ""
    trials, best = validation.card.trials, training.best_validation_accuracy
    chance = float(stats.binom.isf(0.025 / max(training.epochs, 1), trials, 1 / validation.card.n_way)) / trials
    if best > chance:
        return ""
    return (
        f"This network learned nothing: its best validation accuracy is {best:.1%}, and guessing reaches up to "
        f"{chance:.1%} on {trials} trials. Try other learning rates ({_rate(experiment, 'LAYER')}), first lower ones, "
        "or train for more epochs (--max_epochs)."
    )


def _defect(experiment: Experiment, health: Mapping[str, float], trained: bool = True) -> str:
    """Return what is too large, and what to do; "" if nothing is. This can be wrong before the first step, too."""
    restart = "restart with another --seed"
    updates, dead = _by_layer(health, "update/"), _by_layer(health, "dead_filters/")
    if health.get("saturated", 0.0) > MANY:
        last = experiment.network.tower.last_layer or "LAYER"
        change = _sound_start(experiment) or (f"lower {_rate(experiment, last)}" if trained else restart)
        return (
            f"{health['saturated']:.0%} of the embedding's sigmoids are saturated and pass on almost no gradient; "
            f"{change}"
        )
    fastest = max(updates, key=lambda layer: updates[layer], default="")
    if fastest and updates[fastest] > WILD:
        return f"each step changes {fastest} by {updates[fastest]:.0%} of its norm; lower {_rate(experiment, fastest)}"
    deadest = max(dead, key=lambda layer: dead[layer], default="")
    if deadest and dead[deadest] > MANY:
        change = f"lower {_rate(experiment, deadest)}, or {restart}" if trained else restart
        return f"{dead[deadest]:.0%} of the filters of {deadest} are 0 for every image; {change}"
    return ""


def _standstill(experiment: Experiment, health: Mapping[str, float]) -> str:
    """Return what is too small, and what to do; "" if nothing is."""
    spec, updates = experiment.optimizer, _by_layer(health, "update/")
    # A schedule is close to 0 at its ends, so updates are compared as if the rate were at its highest.
    scheduled = isinstance(spec, AdamW) and spec.over_all_epochs and spec.rate
    risen = health.get("next_rate", 0.0) / scheduled if scheduled else 1.0
    slowest = min(updates, key=lambda layer: updates[layer], default="")
    if slowest and updates[slowest] < STILL * risen:
        of_all = isinstance(spec, AdamW) and spec.fc_rate >= 1
        change = "--optimizer.rate" if of_all else _rate(experiment, slowest)
        return f"each step changes {slowest} by only {updates[slowest]:.1g} of its norm; raise {change}"
    if health.get("embedding_spread", 1.0) < ALIKE:
        penalties = "--optimizer.weight_decay" if isinstance(spec, AdamW) else "--optimizer.layers.LAYER.l2"
        change = _sound_start(experiment) or f"lower {penalties}"
        return (
            f"embeddings of different characters are almost equal (spread {health['embedding_spread']:.1g}); {change}"
        )
    return ""


def _rate(experiment: Experiment, layer: str) -> str:
    """Return the field with the learning rate of a layer."""
    spec, last = experiment.optimizer, experiment.network.tower.last_layer
    if isinstance(spec, PaperSGD):
        rule = next((rule for rule in spec.layers if is_below(layer, rule)), "LAYER")
        return f"--optimizer.layers.{rule}.learning_rate"
    return "--optimizer.fc_rate" if last is not None and is_below(layer, last) else "--optimizer.rate"


def _sound_start(experiment: Experiment) -> str:
    return "start with --network.initialiser=scaled" if experiment.network.initialiser == "paper" else ""


def _by_layer(health: Mapping[str, float], prefix: str) -> dict[str, float]:
    return {name.removeprefix(prefix): value for name, value in health.items() if name.startswith(prefix)}


def _finite(health: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in health.items() if isinstance(value, int | float) and math.isfinite(value)}
