"""The format `onnx`: embed.onnx and compare.onnx, for any number of images, queries and supports."""

from pathlib import Path

import numpy as np
import onnx

from siamese_jax.errors import UserError
from siamese_jax.export.exported import Exported
from siamese_jax.export.graph import Graph
from siamese_jax.export.onnx_energies import ENERGIES
from siamese_jax.export.onnx_towers import TOWERS
from siamese_jax.export.reading import reading
from siamese_jax.pretrained import Model
from siamese_jax.storage import files

EMBED, COMPARE = "embed.onnx", "compare.onnx"


def write(model: Model, folder: Path) -> None:
    """Write both files; UserError if a part of the network has no ONNX form here."""
    for name, proto in ((EMBED, embed_model(model)), (COMPARE, compare_model(model))):
        files.write_bytes(folder / name, proto.SerializeToString(deterministic=True))


def read(model: Model, folder: Path) -> Exported:
    """Return what onnxruntime computes with the files of a folder, on the CPU."""
    import onnxruntime

    def session(name: str) -> onnxruntime.InferenceSession:
        return onnxruntime.InferenceSession((folder / name).read_bytes(), providers=["CPUExecutionProvider"])

    embed, compare = session(EMBED), session(COMPARE)
    return Exported(
        lambda images: np.asarray(embed.run(None, {"images": images})[0]),
        lambda queries, supports: np.asarray(compare.run(None, {"queries": queries, "supports": supports})[0]),
        f"onnxruntime {onnxruntime.__version__}",
    )


def embed_model(model: Model) -> onnx.ModelProto:
    """Return the tower: `images`, uint8 [N, H, W, C] -> `embeddings`, float32 [N, D]."""
    tower = model.experiment.network.tower
    add_tower = TOWERS.get(type(tower))
    if add_tower is None:
        raise _unknown("tower", tower, "onnx_towers.TOWERS")
    graph = Graph("embed")
    pixels = graph.add("Cast", "pixels_float", "images", to=onnx.TensorProto.FLOAT)
    values = graph.add("Div", "values", pixels, graph.constant("white_to_black", 255.0))
    embeddings = graph.add("Identity", "embeddings", add_tower(graph, tower, model.params, values))
    return graph.model(
        {"images": ("uint8", ["N", *model.experiment.data.image_shape])},
        {embeddings: ("float32", ["N", model.embedding_size])},
        "Embeds images: 0 for paper and 255 for full ink.",
        _metadata(model),
    )


def compare_model(model: Model) -> onnx.ModelProto:
    """Return the energy: `queries` [Q, D] and `supports` [N, k, D] -> `scores` [Q, N], float32, logits of "same"."""
    energy, combine = model.experiment.network.energy, model.experiment.evaluation.combine
    add_energy = ENERGIES.get(type(energy))
    if add_energy is None:
        raise _unknown("energy", energy, "onnx_energies.ENERGIES")
    graph, supports = Graph("compare"), "supports"
    if combine == "mean_embedding":
        supports = graph.add("ReduceMean", "mean_embedding", supports, graph.axes(1), keepdims=1)
    left = graph.add("Unsqueeze", "left", "queries", graph.axes(1, 2))
    right = graph.add("Unsqueeze", "right", supports, graph.axes(0))
    logits = add_energy(graph, model.params["out"], left, right)
    reduce = "ReduceMax" if combine == "best_score" else "ReduceMean"
    scores = graph.add(reduce, "scores", logits, graph.axes(-1), keepdims=0)
    length = model.embedding_size
    return graph.model(
        {"queries": ("float32", ["Q", length]), "supports": ("float32", ["N", "k", length])},
        {scores: ("float32", ["Q", "N"])},
        "Compares every query with every class of k supports. It needs memory for Q · N · k · D numbers.",
        _metadata(model),
    )


def _metadata(model: Model) -> dict[str, str]:
    return {"name": model.card.name, "licence": model.card.licence, "reading": files.to_json(reading(model))}


def _unknown(kind: str, spec: object, table: str) -> UserError:
    return UserError(
        f"the {kind} {getattr(spec, 'name', type(spec).__name__)!r} has no ONNX form: leave onnx out of --format, or "
        f"add it to siamese_jax.export.{table}"
    )
