"""Export: a trained network for other runtimes, with everything that is needed to use it, compared with JAX.

The folder appears when all formats have been read back and compute what JAX computes; see `parity`. There is a module
for each format, with `write(model, folder)` and `read(model, folder)`.
"""

import dataclasses
import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from siamese_jax import extras
from siamese_jax.errors import UserError, did_you_mean
from siamese_jax.pretrained import Model
from siamese_jax.records import Dataset
from siamese_jax.specs.network import FcTower

if TYPE_CHECKING:  # needs the extra
    from siamese_jax.export.parity import Parity

FORMATS = {"onnx": "onnx_files", "stablehlo": "stablehlo", "safetensors": "safetensors_file"}
"""The module of each format."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Export:
    """An export that was written.

    Attributes:
      folder: Where it is.
      files: Bytes of each file by name.
      source: Where the trials of the comparison are from, in words.
      trials: How many they are.
      parity: What was found, by format.
    """

    folder: Path
    files: dict[str, int]
    source: str
    trials: int
    parity: "dict[str, Parity]"


def export_model(
    model: Model,
    folder: str | os.PathLike[str],
    formats: Sequence[str] = ("onnx",),
    *,
    dataset: Dataset | None = None,
    data_dir: str | None = None,
    archives: str | None = None,
) -> Export:
    """Write a network for other runtimes, after comparing each format with JAX on one-shot trials.

    A network that computes in bfloat16 is exported, and compared, as it computes in float32.

    Args:
      model: The network, as `load_pretrained` returns it.
      folder: Where it is written. It may hold an earlier export, which is replaced, but nothing else.
      formats: "onnx", "stablehlo" and "safetensors", one or more of them.
      dataset: The images that trials are taken from. None takes those that the network was trained on.
      data_dir: Where prepared data are kept; None is TFDS's own folder.
      archives: Folder with the published archives. None uses data that have been prepared, and drawings of the built-in
        glyphs if there are none. Nothing is downloaded.

    Returns:
      What was written, and how far it is from JAX.

    Raises:
      UserError: A format is unknown or cannot hold the network, it computes something else than JAX, the folder holds
        something else or cannot be written, or the extra `export` is not installed. Then nothing is written.
    """
    if not formats:
        raise UserError(f"no format is named: give {', '.join(FORMATS)}, or some of them")
    for name in formats:
        if name not in FORMATS:
            hint = did_you_mean(name, FORMATS)
            raise UserError(f"{name} is not a format: {hint}{' ' * bool(hint)}use {', '.join(FORMATS)}")
    extras.require("export")
    from siamese_jax.export import guide, parity, trials
    from siamese_jax.export.output import written_whole

    exact = in_float32(model)
    notes, model = () if exact is model else (guide.ROUNDED,), exact
    modules = {name: importlib.import_module(f"siamese_jax.export.{FORMATS[name]}") for name in dict.fromkeys(formats)}
    with written_whole(Path(folder)) as unfinished:
        for module in modules.values():
            module.write(model, unfinished)
        some = trials.trials_of(model.experiment, dataset, data_dir, archives)
        expected, found = parity.wanted(model, some), {}
        count = expected.scores[..., 0].size
        for name, module in modules.items():
            found[name] = parity.compare(module.read(model, unfinished), expected)
            parity.check(name, found[name], count)
        guide.write(model, unfinished, expected, found, notes)
    written = {path.name: path.stat().st_size for path in sorted(Path(folder).iterdir())}
    return Export(folder=Path(folder), files=written, source=some.source, trials=count, parity=found)


def in_float32(model: Model) -> Model:
    """Return a network that computes in float32, with the same parameters."""
    tower = model.experiment.network.tower
    if not isinstance(tower, FcTower) or tower.compute_dtype == "float32":
        return model
    network = dataclasses.replace(model.experiment.network, tower=dataclasses.replace(tower, compute_dtype="float32"))
    return dataclasses.replace(model, experiment=dataclasses.replace(model.experiment, network=network))
