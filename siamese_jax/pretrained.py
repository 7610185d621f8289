"""Trained networks that come with the package, each a folder: experiment.json, params.npz, card.json and README.md.

`card.json` is the model card for programs, README.md the same for people: data, licence, seed, commit, figures with
their trials and 95 % intervals, and the threshold for "same".
"""

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.special import logit

from siamese_jax.errors import UserError
from siamese_jax.network.siamese import Params, build, init_params
from siamese_jax.report.tables import bullets, interval, percent, ranges, sentence, table
from siamese_jax.specs import Experiment
from siamese_jax.storage import files
from siamese_jax.storage.experiment_file import read_experiment, read_json

FOLDER = Path(__file__).parent / "weights"
LICENCES = {
    "omniglot": "MIT, as this package; trained on Omniglot (Lake, Salakhutdinov and Tenenbaum 2015), which is MIT, too",
    "glyphs": "MIT, as this package; trained on glyphs rendered from fonts",
}


NEEDED = ("step", "history", "verification")
"""Of a card, what is more than described: it is used."""


class Pretrained(NamedTuple):
    """What a folder holds."""

    experiment: Experiment
    params: Params
    card: Mapping[str, Any]


class Model(NamedTuple):
    """A trained network to use. `side` is that of its images, `threshold` the least logit that means "same".

    `embed`: images, uint8 [N, side, side], 0 for paper and 255 for full ink -> embeddings float32 [N, D]; ValueError
    for images of another shape or type. `compare`: embeddings [..., D] of two images -> the logit [...] of "same".
    """

    embed: Callable[[np.ndarray], Array]
    compare: Callable[[Array, Array], Array]
    side: int
    threshold: float
    card: Mapping[str, Any]


def load(name: str) -> Model:
    """Returns a network that comes with the package, by its name, or a folder's; UserError where there is none."""
    experiment, params, card = read(name)
    net, side = build(experiment.network), experiment.data.image_side
    embed_all = jax.jit(net.embed_images)

    def embed(images: np.ndarray) -> Array:
        images = np.asarray(images)
        if images.dtype != np.uint8 or images.shape[1:] != (side, side):
            raise ValueError(
                f"images must be uint8 [N, {side}, {side}], 0 for paper and 255 for ink, not {images.dtype} "
                f"{list(images.shape)}"
            )
        return embed_all(params, jnp.asarray(images))

    @jax.jit
    def compare(left: Array, right: Array) -> Array:
        left, right = jnp.broadcast_arrays(left, right)
        flat = left.reshape(-1, left.shape[-1]), right.reshape(-1, right.shape[-1])
        return net.compare_pairs(params, *flat).reshape(left.shape[:-1])

    return Model(embed, compare, side, float(logit(card["verification"]["threshold"])), card)


def folder_of(name: str) -> Path:
    """Returns where a network is that comes with the package, or the folder itself; UserError where there is none.

    Of a folder with the name of one that comes with the package, the path says so: ./best is a folder, best is not.
    """
    packaged = [] if os.sep in name else [FOLDER / name]
    for folder in (*packaged, Path(name)):
        if (folder / "card.json").exists():
            return folder
    there = [path.parent.name for path in sorted(FOLDER.glob("*/card.json"))]
    raise UserError(f"{name!r} is no trained network: name {' or '.join([*there, 'a folder that holds a card.json'])}")


def read(name: str) -> Pretrained:
    """Reads a network, named as in `folder_of`; UserError where it is damaged."""
    folder = folder_of(name)
    params: Params = {}
    for path, array in files.read_arrays(folder / "params.npz").items():
        layer, _, kind = path.partition("/")
        params.setdefault(layer, {})[kind] = jnp.asarray(array)
    experiment, card = read_experiment(folder), read_json(folder / "card.json")
    wanted = jax.eval_shape(lambda: init_params(jax.random.key(0), experiment.network, experiment.data.image_side))
    if _shapes(params) != _shapes(wanted):
        raise UserError(f"{folder / 'params.npz'} does not fit the network of its experiment.json: restore both")
    missing = [name for name in NEEDED if name not in card]
    if missing:
        raise UserError(f"{folder / 'card.json'} has no {missing[0]!r}: restore it")
    return Pretrained(experiment, params, card)


def _shapes(params: Params) -> dict[str, dict[str, tuple[int, ...]]]:
    return {layer: {kind: array.shape for kind, array in kinds.items()} for layer, kinds in params.items()}


def write(folder: Path, experiment: Experiment, params: Params, card: Mapping[str, Any]) -> None:
    """Writes a folder that `read` reads; `card` as `make_card` returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    files.write_json(folder / "experiment.json", dataclasses.asdict(experiment))
    arrays = {f"{layer}/{kind}": np.asarray(array) for layer, kinds in params.items() for kind, array in kinds.items()}
    files.write_arrays(folder / "params.npz", arrays)
    files.write_json(folder / "card.json", card)
    files.write_text(folder / "README.md", card_text(card))


def make_card(
    name: str, experiment: Experiment, step: int, history: Mapping[str, Any], results: Mapping[str, Any], commit: str
) -> dict[str, Any]:
    """Returns the model card of a finished run, whose `results` are those of its results.json."""
    figures = ("accuracy", "ci95", "trials", "n_way", "k_shot", "drawers")

    def chosen(measured: Mapping[str, Any]) -> dict[str, Any]:
        return {protocol: {figure: result[figure] for figure in figures} for protocol, result in measured.items()}

    viewed = results.get("one_shot_views", {})
    test = results["verification"]["test"]
    of_test = ("accuracy", "ci95", "pairs", "auc", "equal_error_rate", "threshold")
    return {
        "name": name,
        "experiment": experiment.name,
        "summary": experiment.summary,
        "command": results["command"],
        "commit": commit,
        "seed": experiment.seed,
        "licence": LICENCES[experiment.data.name],
        "data": {key: results["data"][key] for key in ("name", "image_side", "drawer_split", "sets")},
        "step": step,
        "history": history,
        "one_shot": chosen(results["one_shot"]),
        "one_shot_views": {
            protocol: {**figures_of, "views": viewed[protocol]["card"]["views"]}
            for protocol, figures_of in chosen(viewed).items()
        },
        "verification": {key: test[key] for key in of_test},
        "environment": results["environment"],
    }


def card_text(card: Mapping[str, Any]) -> str:
    """Returns the model card as Markdown."""
    measured = [(name, "plain", result) for name, result in card["one_shot"].items() if name != "random_trials"]
    measured += [(name, f"mean of {result['views']} views", result) for name, result in card["one_shot_views"].items()]
    one_shot = table(
        ["protocol", "drawers", "embeddings", "accuracy (%)", "95 % interval (%)", "trials"],
        [
            [
                name.replace("_", " "),
                ranges(result["drawers"]),
                how,
                percent(result["accuracy"]),
                interval(result),
                f"{result['trials']:,}",
            ]
            for name, how, result in measured
        ],
    )
    data, verified, history = card["data"], card["verification"], card["history"]
    sets, side = data["sets"], data["image_side"]
    facts = bullets(
        [
            f"made by `{card['command']}`, commit `{card['commit']}`: {card['step']:,} steps, of which "
            f"these are the parameters after epoch {history['best_epoch']} of {history['epochs']}, the best on "
            "validation",
            f"seed {card['seed']}",
            f"trained on {data['name']}: {sets['train']['images']:,} images, {side}×{side} pixels, of "
            f"{len(sets['train']['alphabets'])} alphabets by drawers {ranges(sets['train']['drawers'])}",
            f"validated, and everything chosen, on {len(sets['validation']['alphabets'])} other alphabets by drawers "
            f"{ranges(sets['validation']['drawers'])}; measured once, on {len(sets['test']['alphabets'])} further "
            f"ones: no alphabet is shared; where drawers below are among {ranges(sets['train']['drawers'])}, their "
            "drawings of other alphabets were trained on",
            f"same or different: {percent(verified['accuracy'])} % of {verified['pairs']:,} test pairs "
            f"({interval(verified)}), at the threshold that was best on validation, a logit of "
            f"{logit(verified['threshold']):.2f}",
            f"licence: {card['licence']}",
            "meant for single drawn characters, ink on blank paper, one to an image; nothing was measured but what "
            "stands below",
            f"used with `siamese_jax.load_pretrained`, or `--mode=evaluate --checkpoint`; images are uint8 [N, {side}, "
            f"{side}], 0 for paper and 255 for ink",
        ]
    )
    summary = sentence(card["summary"])
    return f"# {card['name']}\n\n{summary[:1].upper()}{summary[1:]}\n\n{facts}\n\n## One-shot\n\n{one_shot}\n"
