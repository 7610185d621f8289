"""The page that needs no server: it runs the network itself."""

import gzip
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from flax.traverse_util import flatten_dict

from siamese_jax.errors import UserError
from siamese_jax.pages.assemble import FOLDER, as_base64, as_json, assemble
from siamese_jax.results import FPIR, ModelCard
from siamese_jax.specs import Experiment, Residual, to_nested
from siamese_jax.statistics.rules import DecisionRules

SCRIPTS = ("ink.js", "network.js", "embedder.js", "decide.js", "pad.js", "answer.js", "game.js", "draw.js")

Gallery = Sequence[tuple[str, bytes, np.ndarray]]
"""Enrolled pictures: the name of the class, a PNG file that shows it, and its embedding, float32 [D]."""


class Network(Protocol):
    """What a page needs of a trained network; `siamese_jax.pretrained.Model` has it."""

    @property
    def experiment(self) -> Experiment:
        """What was trained."""
        ...

    @property
    def params(self) -> dict[str, Any]:
        """The parameters."""
        ...

    @property
    def card(self) -> ModelCard:
        """The model card."""
        ...

    @property
    def decisions(self) -> DecisionRules | None:
        """Calibrated probabilities and thresholds."""
        ...


def draw_page(model: Network, classes: Gallery | None) -> str:
    """Return one HTML file that recognises drawings without a server.

    The page computes in float32, whatever the network's `compute_dtype` is.

    Args:
      model: A network with a residual tower that reads drawings.
      classes: Pictures that are enrolled when the page opens; None for an empty gallery.

    Raises:
      UserError: The page cannot run this network.
    """
    network = model.experiment.network
    if not isinstance(network.tower, Residual):
        raise UserError(
            f"a page runs residual towers only, and the network {model.card.name!r} has a {network.tower.name} one: "
            "export it as ONNX with --format=onnx"
        )
    if model.experiment.data.image_shape[2] != 1:
        raise UserError(
            f"a page reads drawings, and the network {model.card.name!r} reads colour: export it as ONNX with "
            "--format=onnx"
        )
    enrolled = classes or ()
    arrays = {name: np.asarray(value, np.float32) for name, value in flatten_dict(model.params, sep="/").items()}
    facts = {
        "name": model.card.name,
        "network": to_nested(network),
        "side": model.experiment.data.image_shape[0],
        "combine": model.experiment.evaluation.combine,
        "shapes": {name: array.shape for name, array in arrays.items()},
        "decisions": None if model.decisions is None else _decisions(model.decisions),
        "gallery": [{"name": name, "picture": as_base64(picture)} for name, picture, _ in enrolled],
    }
    data = {
        "facts": as_json(facts),
        "weights": packed(np.concatenate([array.ravel() for array in arrays.values()])),
        "embeddings": packed(np.concatenate([np.zeros(0), *(values for _, _, values in enrolled)])),
        "glyphs": as_base64((FOLDER / "glyphs.gz").read_bytes()),
    }
    return assemble("draw.html", "Draw it once", SCRIPTS, data, connect="'none'")


def packed(values: np.ndarray) -> str:
    """Return float32 [N] as text: base64 of gzip of their first bytes, then their second bytes, and so on.

    Bytes of the same place compress better side by side, most of all those with the exponents.
    """
    planes = values.astype("<f4").view(np.uint8).reshape(-1, 4).T
    return as_base64(gzip.compress(planes.tobytes(), mtime=0))


def _decisions(rules: DecisionRules) -> dict[str, Any]:
    """Return what turns scores into probabilities and "unknown", for each size of gallery that was measured."""
    sizes = [
        {"classes": one.classes, "temperature": one.temperature, "threshold": at.threshold}
        for one in rules.measured.galleries
        for at in one.open_set
        if at.fpir == FPIR
    ]
    return {"fpir": FPIR, "sizes": sizes}
