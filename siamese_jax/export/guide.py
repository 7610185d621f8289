"""What lies beside the network in its folder: how to use it, what it is, what it may do, and how far it is from JAX."""

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from siamese_jax import __version__
from siamese_jax.export.parity import TOLERANCE, Parity, Wanted
from siamese_jax.export.reading import FITS, reading
from siamese_jax.pretrained import Model
from siamese_jax.report.markdown import as_text, markdown
from siamese_jax.report.model_card import card_text
from siamese_jax.report.tables import bullets, sentence, table
from siamese_jax.results import to_json
from siamese_jax.storage import files
from siamese_jax.storage.experiment_file import write_experiment

TEMPLATES = Path(__file__).parent / "templates"
EXAMPLES = ("example.py", "example.mjs")
SUPPORTS, QUERIES = 3, 2
"""Pictures of check.json: at most so many supports and queries of the first trial."""

ABOUT = {
    "onnx": ("embed.onnx", "compare.onnx"),
    "stablehlo": ("embed.stablehlo", "compare.stablehlo"),
    "safetensors": ("params.safetensors",),
}
"""The files of each format."""


ROUNDED = (
    "The network was trained and measured in bfloat16. Here it computes in float32, so its results differ from those "
    "of the card by the rounding of bfloat16."
)


def write(model: Model, folder: Path, expected: Wanted, found: Mapping[str, Parity], notes: Sequence[str] = ()) -> None:
    """Write the guide, the card, the licence, the examples, reading.json, parity.json and check.json.

    Args:
      model: The network that was written.
      folder: Where its files are.
      expected: What JAX computes.
      found: How far each format is from it.
      notes: What a user should know first, in sentences.
    """
    files.write_json(folder / "reading.json", reading(model))
    files.write_json(folder / "parity.json", parity_json(expected, found))
    files.write_json(folder / "card.json", to_json(model.card))
    files.write_text(folder / "MODEL_CARD.md", card_text(model.card, model.channels))
    files.write_text(folder / "LICENSE", licence(model))
    files.write_text(folder / "README.md", guide(model, expected, found, notes))
    write_experiment(folder, model.experiment)
    if "onnx" in found:
        files.write_json(folder / "check.json", check_json(expected))
        for name in EXAMPLES:
            files.write_bytes(folder / name, (TEMPLATES / name).read_bytes())


def parity_json(expected: Wanted, found: Mapping[str, Parity]) -> dict[str, Any]:
    """Return what parity.json holds."""
    trials = expected.trials
    return {
        "format": 1,
        "reference": f"siamese_jax {__version__}, jax {jax.__version__}, {jax.default_backend()}",
        "trials": {"source": trials.source, "count": expected.scores[..., 0].size, "images": len(trials.images)},
        "tolerance": TOLERANCE,
        "formats": {name: dataclasses.asdict(one) for name, one in found.items()},
    }


def check_json(expected: Wanted) -> dict[str, Any]:
    """Return what the examples compare with: pictures, and what JAX computes of them, as base64 of little-endian."""
    support, query, _ = (np.asarray(part) for part in expected.trials.episodes)
    rows = np.concatenate([support[0, :SUPPORTS, 0], query[0, :QUERIES]])
    count = len(support[0, :SUPPORTS])
    compared = np.asarray(expected.compare(expected.embeddings[rows], expected.embeddings[rows[:count], None]))

    def text(values: np.ndarray, dtype: str) -> str:
        return base64.b64encode(np.ascontiguousarray(values, dtype).tobytes()).decode()

    return {
        "supports": count,
        "pictures": text(expected.trials.images[rows], "u1"),
        "embeddings": text(expected.embeddings[rows], "<f4"),
        "scores": text(compared, "<f4"),
        "tolerance": TOLERANCE,
    }


def licence(model: Model) -> str:
    """Return the licence of the network and of the examples."""
    return (
        f"The network {model.card.name}\n\n{model.card.licence}\n\n"
        f"The examples, and siamese_jax {__version__}, which wrote this folder\n\n{(TEMPLATES / 'LICENSE').read_text()}"
    )


def guide(model: Model, expected: Wanted, found: Mapping[str, Parity], notes: Sequence[str]) -> str:
    """Return README.md; the arguments are those of `write`."""
    card = as_text(model.card)
    height, width, channels = model.experiment.data.image_shape
    length = model.embedding_size
    colour = "in grey" if channels == 1 else "in colour"
    parts = [
        f"# {card.name}\n\nA siamese network for one-shot learning, exported by siamese_jax {__version__}.\n"
        f"It embeds pictures of {height}×{width} pixels {colour} as {length} numbers, and compares embeddings.\n"
        "[MODEL_CARD.md](MODEL_CARD.md) says what it was trained on and how good it is.",
        *notes,
        _files(found),
    ]
    if "onnx" in found:
        parts.append(_onnx(model))
    parts.append(_pictures(model))
    parts.append(_scores(model))
    if "stablehlo" in found:
        parts.append(STABLEHLO)
    if "safetensors" in found:
        parts.append(SAFETENSORS)
    parts.append(_parity(expected, found))
    parts.append(f"## Licence\n\n{card.licence} See [LICENSE](LICENSE).")
    return markdown("\n\n".join(parts) + "\n")


def _files(found: Mapping[str, Parity]) -> str:
    meanings = {
        "embed.onnx": "the tower: pictures become embeddings",
        "compare.onnx": "the energy: embeddings become scores",
        "embed.stablehlo": "the tower for JAX",
        "compare.stablehlo": "the energy for JAX",
        "params.safetensors": "the parameters by their path",
        "reading.json": "how pictures are read, and how scores become decisions",
        "card.json": "all results, for programs",
        "experiment.json": "the architecture, and how it was trained",
        "parity.json": "how far each format is from JAX",
        "example.py": "Python with onnxruntime",
        "example.mjs": "JavaScript with onnxruntime-web",
        "check.json": "what the examples compare with",
        "SHA256SUMS": "`sha256sum --check SHA256SUMS` finds damage",
    }
    of_formats = [name for one in found for name in ABOUT[one]]
    others = ["reading.json", "card.json", "experiment.json", "parity.json"]
    others += [*EXAMPLES, "check.json"] if "onnx" in found else []
    rows = [[f"`{name}`", meanings[name]] for name in (*of_formats, *others, "SHA256SUMS")]
    return f"## Files\n\n{table(['file', 'what it holds'], rows)}"


def _onnx(model: Model) -> str:
    height, width, channels = model.experiment.data.image_shape
    length = model.embedding_size
    rows = [
        ["`embed.onnx`", f"`images` uint8 [N, {height}, {width}, {channels}]", f"`embeddings` float32 [N, {length}]"],
        [
            "`compare.onnx`",
            f"`queries` float32 [Q, {length}], `supports` float32 [N, k, {length}]",
            "`scores` float32 [Q, N]",
        ],
    ]
    return (
        "## Use it\n\n"
        "    pip install onnxruntime pillow\n"
        "    python example.py                    # compares this machine's results with those of JAX\n"
        "    python example.py a.png b.png        # do two pictures show the same class?\n\n"
        "    npm install onnxruntime-web\n"
        "    node example.mjs                     # the same comparison in WebAssembly\n\n"
        "The head of `example.mjs` shows how a page uses it. Batches have any size:\n\n"
        f"{table(['file', 'inputs', 'outputs'], rows)}\n\n"
        "N classes have k examples each. `compare.onnx` needs memory for Q · N · k · D numbers.\n"
        "Both files hold `reading.json` in their metadata."
    )


def _pictures(model: Model) -> str:
    fit = reading(model)["picture"]["fit"]
    if model.channels == 1:
        value = "* A pixel is 0 for white paper and 255 for black ink: 255 minus the lightness."
        more = (
            "\n`siamese_jax.read_image` also inverts light ink on dark paper, corrects grey paper and centres drawings."
        )
    else:
        value = "* A pixel is 255 minus red, green and blue: 0 is white paper."
        more = ""
    return (
        f"## How a picture is read\n\n{value}\n"
        f"* {sentence(FITS[fit][:1].upper() + FITS[fit][1:])}\n"
        f"* Each of the {model.side}×{model.side} pixels is the mean of the area that it covers. Other ways to resize "
        f"give other results.\n\n`read` in the examples does this.{more}"
    )


def _scores(model: Model) -> str:
    facts = [
        "A score is a logit of *same*. It is for ranking: its sigmoid is not a probability.",
        f"Two pictures are called same from a score of {model.threshold:.2f} on, the best threshold on validation.",
    ]
    if model.card.results.decisions is None:
        facts.append("Probabilities and thresholds for *unknown* were not measured for this network.")
    else:
        facts += [
            "`decisions` in `reading.json` holds what was fitted on validation: a probability of *same*, thresholds "
            "for *unknown* by the false-positive identification rate, and prediction sets by their coverage.",
            "`p_same` and `is_unknown` in `example.py` apply these rules.",
        ]
    return f"## What scores mean\n\n{bullets(facts)}"


STABLEHLO = """## StableHLO

These files expire. JAX reads them for at least six months after the release of JAX that wrote them, and releases up to
three weeks older than that one read them, too. For longer storage keep the ONNX or safetensors files.

    import jax.export
    embed = jax.export.deserialize(bytearray(open("embed.stablehlo", "rb").read()))
    embeddings = embed.call(images)    # on a CPU, an NVIDIA GPU or a TPU"""

SAFETENSORS = """## safetensors

Names are paths in the tree of parameters, for example `fc/kernel`. The file runs no code when it is loaded.

    from safetensors.numpy import load_file
    params = load_file("params.safetensors")"""


def _parity(expected: Wanted, found: Mapping[str, Parity]) -> str:
    count = expected.scores[..., 0].size
    rows = [
        [
            name,
            one.runtime,
            f"{one.embeddings.largest:.1e} of {one.embeddings.range:.1f}",
            f"{one.scores.largest:.1e} of {one.scores.range:.1f}",
            f"{one.choices} of {count}",
        ]
        for name, one in found.items()
    ]
    return (
        f"## Parity\n\nThe table shows how far each format is from JAX on {count} trials ({expected.trials.source}): "
        "the largest differences, of the largest values.\n\n"
        f"{table(['format', 'runtime', 'embeddings', 'scores', 'same choices'], rows)}"
    )
