"""Where our training step spends its time: by layer, forward and backward, and the operations that take longest.

The step runs under JAX's profiler; each operation of the compiled program carries the name of the layer that it is of.
Times are of operations on the device, as the profiler saw them, and it slows them somewhat. Nothing is compared.
"""

import argparse
import collections
import gzip
import json
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import _timing
import jax
import train_step

from siamese_jax.devices import keep_freed_memory
from siamese_jax.network import siamese


def main(flags: argparse.Namespace) -> None:
    """Profile, prints and writes."""
    keep_freed_memory()
    experiment = _timing.find_of_pairs(flags.experiment)
    side = experiment.data.image_shape[0]
    params = siamese.init_params(jax.random.key(0), experiment.network, experiment.data.image_shape)
    step = train_step.OurStep(
        siamese.build(experiment.network), params, train_step.make_batch(flags.pairs, side), experiment
    )
    step()
    names = operation_names(step.program())
    layers = [*experiment.network.tower.convs, "fc"]
    seconds = {name: value for name, value in profiled(step, flags.repeats).items() if name in names}
    by_place: dict[tuple[str, str], float] = collections.defaultdict(float)
    for name, value in seconds.items():
        by_place[place(names[name], layers)] += value
    total = sum(seconds.values())
    print(f"{'layer':<12}{'part':<12}{'ms a step':>10}{'share':>8}")
    for (layer, part), value in sorted(by_place.items(), key=lambda item: -item[1]):
        print(f"{layer:<12}{part:<12}{1e3 * value:10.1f}{value / total:8.1%}")
    longest = dict(sorted(seconds.items(), key=lambda item: -item[1])[: flags.top])
    for name, value in longest.items():
        print(f"{1e3 * value:8.1f} ms  {name}  {names[name][-80:]}")
    record = {
        "name": f"profile_step_{side}_{flags.pairs}",
        "seconds_by_place": {f"{layer} {part}": value for (layer, part), value in by_place.items()},
        "seconds_of_operations": total,
        "longest": {f"{name}: {names[name]}": value for name, value in longest.items()},
        "device": _timing.device(),
    }
    _timing.write(record, flags.output)


def operation_names(program: str) -> dict[str, str]:
    """Return what each operation of a compiled program is of; one that only moves numbers may say nothing."""
    operation = r"^\s*(?:ROOT )?%?([\w.\-]+) = [^\n]*?(?:op_name=\"([^\"]*)\"[^\n]*)?$"
    return dict(re.findall(operation, program, re.MULTILINE))


def place(of: str, layers: list[str]) -> tuple[str, str]:
    """Return the layer, and "forward", "backward" or "update", that an operation is of."""
    layer = next((layer for layer in layers if f"/{layer}/" in f"{of}/"), "")
    if not of:
        return "copies", ""
    if "jvp" not in of:
        return "optimizer", "update"
    return layer or "elsewhere", "backward" if "transpose(" in of else "forward"


def profiled(step: Callable[[], None], repeats: int) -> Mapping[str, float]:
    """Return the seconds a call that each name takes in the profiler's trace."""
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder, create_perfetto_trace=True):
            for _ in range(repeats):
                step()
        (path,) = Path(folder).rglob("perfetto_trace.json.gz")
        with gzip.open(path) as file:
            events = json.load(file)["traceEvents"]
    seconds: dict[str, float] = collections.defaultdict(float)
    for event in events:
        if event.get("ph") == "X":
            seconds[event["name"]] += event.get("dur", 0) / 1e6 / repeats
    return seconds


def parse(args: list[str] | None = None) -> argparse.Namespace:
    """Read the flags."""
    parser = _timing.make_parser(__doc__)
    parser.add_argument("--pairs", type=_timing.positive, default=32, help="pairs in the batch (default: 32)")
    parser.add_argument("--experiment", default="omniglot_20way", help="whose network (default: the paper's)")
    parser.add_argument("--top", type=_timing.positive, default=12, help="operations shown (default: 12)")
    return parser.parse_args(args)


if __name__ == "__main__":
    main(parse())
