"""How time and memory grow with the work: pairs in a training step, images embedded, one-shot trials scored.

Every point is a process of its own, so that its peak memory is its own: the libraries, the data and the work. The time
is the median of `--repeats` after a warm-up that compiles. A point that fails, as where the machine has no memory for
it, ends its series and is written with its exit code and no time. There is no other side here. Images are embedded 100
at a time, fewer as if they were 100.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import _timing
import jax
import numpy as np
import train_step

from siamese_jax import experiments, specs
from siamese_jax.devices import keep_freed_memory
from siamese_jax.evaluation.embedder import Evaluator
from siamese_jax.network import siamese
from siamese_jax.records import Layout
from siamese_jax.sampling.episodes import sample_episodes

SMALL, PAPER = "omniglot_20way_small", "omniglot_20way"
SERIES = {
    "train_step_small": (8, 16, 32, 64, 128, 256, 512),
    "train_step_paper": (8, 16, 32, 64, 128, 256, 512),
    "embed": (1, 10, 100, 1_000, 10_000, 32_460),
    "trials": (400, 1_000, 2_000, 4_000, 10_000),
}
"""Pairs, pairs, images and trials; the last two with the small network."""


def main(flags: argparse.Namespace) -> None:
    """Measure a point, or starts a process for each and writes them all."""
    if flags.point:
        print(json.dumps(measure(flags.series[0], flags.point, flags.repeats)))
        return
    points = {name: list(measured(name, flags)) for name in flags.series}
    _timing.write({"name": "scaling", "points": points, "device": _timing.device()}, flags.output)


def measured(name: str, flags: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the points of a series, each measured by a process of its own, and prints them."""
    for size in SERIES[name]:
        if size > flags.largest:
            return
        command = [sys.executable, __file__, f"--series={name}", f"--point={size}", f"--repeats={flags.repeats}"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            print(f"{name:<18}{size:>8}   failed with exit code {done.returncode}", flush=True)
            yield {"size": size, "exit_code": done.returncode}
            return
        point = json.loads(done.stdout)
        print(
            f"{name:<18}{size:>8}{point['median_s']:>12.4f} s{1e6 * point['median_s'] / size:>12.1f} µs each"
            f"{point['peak_mb']:>10,.0f} MB",
            flush=True,
        )
        yield point


def measure(name: str, size: int, repeats: int) -> dict[str, Any]:
    """Time one point in this process; the peak is that of the whole process, from its start."""
    keep_freed_memory()
    seconds = _timing.interleave({"ours": WORK[name](size)}, repeats)["ours"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"size": size, "median_s": statistics.median(seconds), "seconds": seconds, "peak_mb": peak / 1e6}


def step_work(experiment: specs.Experiment, pairs: int) -> Callable[[], Any]:
    """Return a callable that makes one update from noise."""
    side, net = experiment.data.image_shape[0], siamese.build(experiment.network)
    params = siamese.init_params(jax.random.key(0), experiment.network, experiment.data.image_shape)
    return train_step.OurStep(net, params, train_step.make_batch(pairs, side), experiment)


def embed_work(images: int) -> Callable[[], Any]:
    """Return a callable that embeds so many images as an evaluation does."""
    experiment, evaluator, params = evaluation()
    pixels = noise(images, experiment.data.image_shape[0])
    return lambda: evaluator.embed(dict(params), pixels)  # a new dict: no embedding is known yet


def trial_work(trials: int) -> Callable[[], Any]:
    """Return a callable that embeds and scores so many 20-way trials, of test alphabets like Omniglot's."""
    experiment, evaluator, params = evaluation()
    layout = Layout(
        class_start=np.arange(260, dtype=np.int32) * 4,
        class_size=np.full(260, 4, np.int32),
        group_start=np.arange(10, dtype=np.int32) * 26,
        group_size=np.full(10, 26, np.int32),
        author=np.tile(np.arange(4, dtype=np.int32), 260),
    )
    pixels = noise(260 * 4, experiment.data.image_shape[0])
    runs = jax.device_get(jax.jit(lambda: sample_episodes(jax.random.key(0), layout, trials, n_way=20))())
    return lambda: evaluator.episode_logits(dict(params), pixels, runs)


def evaluation() -> tuple[specs.Experiment, Evaluator, siamese.Params]:
    """Return the small experiment, what evaluates it, and its initial parameters."""
    experiment = experiments.find(SMALL)
    params = siamese.init_params(jax.random.key(0), experiment.network, experiment.data.image_shape)
    return experiment, Evaluator(siamese.build(experiment.network), experiment.evaluation.embed_batch), params


def noise(images: int, side: int) -> np.ndarray:
    """Images as stored, all different."""
    return np.random.default_rng(0).integers(0, 256, (images, side, side, 1), np.uint8)


WORK: dict[str, Callable[[int], Callable[[], Any]]] = {
    "train_step_small": lambda size: step_work(experiments.find(SMALL), size),
    "train_step_paper": lambda size: step_work(experiments.find(PAPER), size),
    "embed": embed_work,
    "trials": trial_work,
}


def parse(args: list[str] | None = None) -> argparse.Namespace:
    """Read the flags."""
    parser = _timing.make_parser(__doc__)
    parser.add_argument("--series", nargs="+", choices=list(SERIES), default=list(SERIES), help="(default: all)")
    parser.add_argument("--largest", type=_timing.positive, default=10**6, help="leaves out what is larger")
    parser.add_argument("--point", type=_timing.positive, help="measures this size in this process, and writes nothing")
    return parser.parse_args(args)


if __name__ == "__main__":
    main(parse())
