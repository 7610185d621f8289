"""How far exported networks are from JAX: every tower with every energy, and the shipped network.

Each network is exported as ONNX and compared with JAX on the 400 official trials, by onnxruntime on the CPU and by
onnxruntime-web in Node. The shipped network is also compared as StableHLO and safetensors. All but the shipped one have
random parameters, of the initialiser `scaled`. npm downloads onnxruntime-web into --cache.
"""

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import _timing
import jax

import siamese_jax
from siamese_jax.experiments import find
from siamese_jax.export import guide, onnx_files, parity, safetensors_file, stablehlo, trials
from siamese_jax.network.energies import ENERGIES
from siamese_jax.network.siamese import init_params
from siamese_jax.pretrained import Model
from siamese_jax.specs import Dense, Experiment

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
from onnxruntime_web import WebNetwork, install

BEST, SMALL, PAPER = (find(f"omniglot_20way{name}") for name in ("_best", "_small", ""))
OTHERS = {"stablehlo": stablehlo, "safetensors": safetensors_file}


def main(flags: argparse.Namespace) -> None:
    """Compare all networks and write what was found."""
    points = []
    for point in measured(flags):
        points.append(point)
        native, web = point["onnxruntime"], point["onnxruntime_web"]
        print(
            f"{point['network']}, {point['energy']}: embeddings {native['embeddings']['largest']:.1e} and "
            f"{web['embeddings']['largest']:.1e}, scores {native['scores']['largest']:.1e} and "
            f"{web['scores']['largest']:.1e}; {native['choices']} and {web['choices']} of {point['trials']}",
            flush=True,
        )
    record = {"name": "export_parity", "tolerance": parity.TOLERANCE, "points": points}
    _timing.write(record | {"device": _timing.device()}, flags.output)


def networks() -> Iterator[tuple[str, Experiment]]:
    """Yield every tower with every energy, and the paper's network."""
    dense = dataclasses.replace(BEST, network=dataclasses.replace(BEST.network, tower=Dense()))
    for name, experiment in (("convolutional", SMALL), ("dense", dense), ("residual", BEST)):
        for energy in ENERGIES:
            network = dataclasses.replace(experiment.network, energy=energy())
            yield name, dataclasses.replace(experiment, network=network)
    yield "convolutional, as in the paper", PAPER


def measured(flags: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield what was found for each network."""
    installed, best = install(flags.cache), siamese_jax.load_pretrained("best")
    yield measure("best, as shipped", best, flags, installed, others=True)
    for name, experiment in networks():
        params = init_params(jax.random.key(0), experiment.network, experiment.data.image_shape)
        yield measure(name, Model(experiment, params, best.card), flags, installed)


def measure(
    name: str, model: Model, flags: argparse.Namespace, installed: Path, others: bool = False
) -> dict[str, Any]:
    """Compare one network in both runtimes; with `others`, in the other formats, too."""
    some = trials.trials_of(model.experiment, None, flags.data_dir, flags.archives)
    expected = parity.wanted(model, some)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        onnx_files.write(model, folder)
        found = {"onnxruntime": parity.compare(onnx_files.read(model, folder), expected)}
        guide.write(model, folder, expected, {"onnx": found["onnxruntime"]})
        with WebNetwork(folder, installed) as web:
            found["onnxruntime_web"] = parity.compare(web.exported(), expected)
        for other, module in OTHERS.items() if others else ():
            module.write(model, folder)
            found[other] = parity.compare(module.read(model, folder), expected)
    about = {
        "network": name,
        "energy": model.experiment.network.energy.name,
        "image": list(model.experiment.data.image_shape),
        "embedding_size": model.embedding_size,
        "source": some.source,
        "trials": expected.scores[..., 0].size,
    }
    return about | {runtime: dataclasses.asdict(one) for runtime, one in found.items()}


def parse(args: list[str] | None = None) -> argparse.Namespace:
    """Read the flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--output", type=Path, help="where the JSON goes (default: benchmarks/results/export_parity.json)"
    )
    parser.add_argument("--data_dir", help="where prepared data are kept (default: TFDS's own)")
    parser.add_argument("--archives", help="a folder with Omniglot's archives (default: prepared data, else glyphs)")
    cache = Path(".pytest_cache/d/npm")
    parser.add_argument("--cache", type=Path, default=cache, help=f"where npm packages are kept (default: {cache})")
    return parser.parse_args(args)


if __name__ == "__main__":
    main(parse())
