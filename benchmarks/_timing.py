"""How the benchmarks time: the sides take turns in one process, after a warm-up each, and all times are kept.

A side is a callable that returns when its result is there; what else the machine does then falls on all sides alike.
How the C library treats freed memory is a matter of the process, and weighs heavily: our process does as the package's
own command does (`keep_freed_memory`), and PyTorch runs in one of its own, which does what its users' do.
"""

import argparse
import importlib.metadata
import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from siamese_jax.devices import keep_freed_memory
from siamese_jax.experiments import find
from siamese_jax.specs import Conv, DataSpec, Experiment, with_value

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("siamese_jax", "jax", "jaxlib", "flax", "optax", "numpy", "torch", "pillow")

Seconds = dict[str, list[float]]
"""The times of each side, in the order in which they were measured; the side "ours" is one of them."""


class Elsewhere:
    """A side in a process of its own: calls what `make(*args)` returns there, and waits for it.

    `make` is a function at the top of a module. With `keep` that process keeps freed memory, as ours does.
    """

    def __init__(self, make: Callable[..., Callable[[], Any]], *args: Any, keep: bool = False):
        context = multiprocessing.get_context("spawn")  # a fork of a process in which JAX has threads may hang
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, keep, make, jax.device_get(args)))
        self._process.start()

    def __call__(self) -> None:
        self._ask(give=False)

    def result(self) -> Any:
        """Call it once, and brings what it returns over here."""
        return self._ask(give=True)

    def close(self) -> None:
        """End the process."""
        self._pipe.send(None)
        self._process.join()

    def _ask(self, give: bool) -> Any:
        self._pipe.send(give)
        return self._pipe.recv()


def _serve(pipe: Any, keep: bool, make: Callable[..., Callable[[], Any]], args: Sequence[Any]) -> None:
    if keep:
        keep_freed_memory()
    side = make(*args)
    while (give := pipe.recv()) is not None:
        result = side()
        pipe.send(result if give else None)


def make_parser(doc: str) -> argparse.ArgumentParser:
    """Return a parser with the flags that every script has; `doc` is the script's own docstring."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=positive, default=5, help="how often each side is timed (default: 5)")
    parser.add_argument("--output", type=Path, help="where the JSON goes (default: benchmarks/results/NAME.json)")
    return parser


def add_their_format(parser: argparse.ArgumentParser) -> None:
    """Add the flag that lets PyTorch have the memory format that suits it."""
    parser.add_argument(
        "--their_format",
        choices=["auto", "contiguous", "channels_last"],
        default="auto",
        help="PyTorch's memory format; auto tries both and takes the faster (default)",
    )


def add_data_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say which images: glyphs, unless Omniglot is named or its archives are."""
    parser.add_argument("--data_dir", help="where prepared data are or will be (default: TFDS's own)")
    parser.add_argument("--archives", help="a folder with Omniglot's archives (default: none, glyphs are taken)")
    parser.add_argument(
        "--data", choices=["omniglot", "glyphs"], help="(default: omniglot with --archives, else glyphs)"
    )


def chosen_data(spec: DataSpec, flags: argparse.Namespace) -> DataSpec:
    """Return the data spec with the data set that the flags ask for."""
    return with_value(spec, "name", flags.data or ("omniglot" if flags.archives else "glyphs"))


def positive(text: str) -> int:
    """A flag that is a whole number from 1."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def interleave(
    sides: Mapping[str, Callable[[], Any]],
    repeats: int | Mapping[str, int],
    clock: Callable[[], float] = time.perf_counter,
) -> Seconds:
    """Call each side once untimed, then times them in turn, A B A B …; a side with fewer `repeats` drops out early."""
    counts = repeats if isinstance(repeats, Mapping) else dict.fromkeys(sides, repeats)
    for side in sides.values():
        side()
    seconds: Seconds = {name: [] for name in sides}
    for turn in range(max(counts.values())):
        for name, side in sides.items():
            if turn < counts[name]:
                began = clock()
                side()
                seconds[name].append(clock() - began)
    return seconds


def find_of_pairs(name: str) -> Experiment:
    """Return a registered experiment that trains convolutions on pairs; SystemExit for another."""
    experiment = find(name)
    if experiment.loss.of_grids or not isinstance(experiment.network.tower, Conv):
        raise SystemExit(
            f"--experiment={name} has the loss {experiment.loss.name} and a {experiment.network.tower.name} tower: "
            "take one that trains a convolutional tower on pairs, such as omniglot_20way_small"
        )
    return experiment


def check_same(what: str, ours: Any, theirs: Any, tolerance: float) -> float:
    """Return the largest difference as a fraction of the largest value; SystemExit if it is above `tolerance`."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if ours.shape != theirs.shape:
        raise SystemExit(f"{what}: shapes {ours.shape} and {theirs.shape} are not comparable")
    difference = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
    if not difference <= tolerance:  # NaN is above it, too
        raise SystemExit(f"{what}: they differ by {difference:.1e} of the largest value, allowed is {tolerance:.0e}")
    return difference


def ratio_median(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return how many times as long theirs takes: median over median."""
    return statistics.median(theirs) / statistics.median(ours)


def make_record(name: str, seconds: Seconds, **more: Any) -> dict[str, Any]:
    """Return what is written: the times of each side as SIDE_s, ratios of medians, the device, and `more`.

    `ratio_median` is of "theirs"; that of any other side is `ratio_median_SIDE`.
    """
    ratios = {
        "ratio_median" if side == "theirs" else f"ratio_median_{side}": ratio_median(seconds["ours"], times)
        for side, times in seconds.items()
        if side != "ours"
    }
    times = {f"{side}_s": times for side, times in seconds.items()}
    return {"name": name, **times, **ratios, **more, "device": device()}


def device() -> dict[str, Any]:
    """Describes what was measured on: device, cores, how busy they were before, and the versions of the libraries."""
    return {
        "backend": jax.default_backend(),
        "kind": jax.devices()[0].device_kind,
        "machine": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_at_start": LOAD_AT_START,
        "python": platform.python_version(),
        "versions": {name: version for name in LIBRARIES if (version := _version(name))},
    }


def table(seconds: Seconds) -> str:
    """Return a row a side: median, lowest and highest time, and how often as long as ours."""
    lines = [f"{'side':<12}{'median s':>12}{'lowest':>12}{'highest':>12}{'times':>7}{'× ours':>9}"]
    for side, times in seconds.items():
        numbers = "".join(f"{value:12.4f}" for value in (statistics.median(times), min(times), max(times)))
        lines.append(f"{side:<12}{numbers}{len(times):>7}{ratio_median(seconds['ours'], times):>9.2f}")
    return "\n".join(lines)


def write(record: Mapping[str, Any], output: Path | None) -> None:
    """Write the record as JSON, by default to results/NAME.json, and says where."""
    path = output or RESULTS / f"{record['name']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    print(f"written: {path}")


def report(record: Mapping[str, Any], seconds: Seconds, output: Path | None) -> None:
    """Print the table and writes the record."""
    print(f"{record['name']} on {record['device']['machine']}, {record['device']['cores']} cores")
    print(table(seconds))
    write(record, output)


def _load() -> float | None:
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


LOAD_AT_START = _load()
"""Processes that wanted a core over the minute before; near 0 on a quiet machine."""


def _processor() -> str:
    if Path("/proc/cpuinfo").exists():
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
