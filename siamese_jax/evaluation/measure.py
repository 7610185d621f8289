"""Measuring: what a network, or a comparison that learns nothing, reaches under every protocol, written to a workdir.

Figures are written before anything is drawn of them: a picture is never a reason to lose a figure.
"""

import functools
import os
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

from siamese_jax import __version__
from siamese_jax.errors import UserError
from siamese_jax.evaluation import figures, one_shot, verification, views
from siamese_jax.evaluation.baselines import BASELINES, episode_scores
from siamese_jax.evaluation.embedder import Evaluator
from siamese_jax.evaluation.one_shot import Measured, Score
from siamese_jax.evaluation.protocols import DIGITS, Protocol, protocols
from siamese_jax.network.siamese import Params, SiameseNet
from siamese_jax.records import Dataset, Images
from siamese_jax.report import PICTURES, write_report, write_results
from siamese_jax.specs import EvalSpec, Experiment
from siamese_jax.storage.files import write_arrays
from siamese_jax.storage.log import read_metrics
from siamese_jax.training.fit import Fitted

Results = dict[str, Any]
LoadDigits = Callable[[int | None], Images]
"""Side that images are resized to, or None -> MNIST's test digits; UserError where they cannot be had."""

COMPARED_UNDER = {
    "nearest_neighbour": ("official_runs", "koch_400", *DIGITS),
    # Of 400 trials each; 10,000 would take minutes.
    "modified_hausdorff": ("official_runs", "koch_400", "mnist_10way"),
}
"""The protocols under which a comparison that learns nothing is measured."""
VIEWED_UNDER = ("official_runs", "koch_400", "within_alphabet")
"""The protocols under which averaged views are measured: each image costs as many times as there are views."""


def measure_network(
    experiment: Experiment,
    workdir: Path,
    dataset: Dataset,
    sets: dict[str, Images],
    net: SiameseNet,
    evaluator: Evaluator,
    fitted: Fitted,
    load_digits: LoadDigits,
    command: str,
    spec: EvalSpec | None = None,
) -> Results:
    """Measures the best parameters; writes results.json, trials.npz, the pictures and the report. Returns the results.

    `experiment` is as it was trained. `spec` is how it is measured, if otherwise, and `evaluator` combines as it says;
    the trials that the epoch was chosen by stay what they were. `command` is what runs the experiment again.
    """
    spec = experiment.evaluation if spec is None else spec
    params, step, history = fitted
    score = functools.partial(evaluator.episode_logits, params)
    seen = {"trained": sets["train"], "chosen": sets["validation"]}
    wanted = protocols(spec, dataset.episodes)
    measured, refused = one_shot.one_shot_by_protocol(score, dataset, sets, seen, wanted)
    side = dataset.images.images.shape[1]
    on_digits, no_digits = _on_digits(spec, score, lambda: load_digits(side), seen)
    measured |= {**on_digits, "validation": one_shot.validation_one_shot(score, experiment, sets, spec.combine)}
    by_protocol = _results(measured)
    if "within_alphabet" in by_protocol:
        by_protocol["random_trials"] = by_protocol[
            "within_alphabet"
        ]  # its name in results.json before there were protocols
    results = {
        **_about(experiment, dataset, sets, command),
        "training": {
            "epochs": history.epochs,
            "steps": step,
            "seconds": history.seconds,
            "best_epoch": history.best_epoch,
            "best_validation_accuracy": history.best_accuracy,
            "pairs_per_second": history.pairs_per_second,
            "stopped_by": history.stopped_by(experiment),
        },
        "verification": verification.verification(evaluator, params, experiment, sets["validation"], sets["test"]),
        "one_shot": by_protocol,
        "not_measured": refused | no_digits,
    }
    if spec.views > 1:
        results["one_shot_views"] = _viewed(experiment, spec, dataset, sets, net, params, seen, wanted)
    _write(workdir, results, measured)
    rows = read_metrics(workdir)
    figures.draw_training(workdir, experiment, sets["train"], rows)
    figures.draw_accuracy(workdir, experiment.name, results)
    if "official_runs" in measured:
        title = f"{experiment.name}: the first trial of the first run"
        figures.draw_trials(workdir, dataset.images, measured, title)
        figures.draw_network(workdir, experiment, dataset.images, measured["official_runs"], net, evaluator, params)
    write_report(workdir, experiment, results, rows)
    return results


def measure_baselines(
    experiment: Experiment,
    workdir: Path,
    dataset: Dataset,
    sets: dict[str, Images],
    load_digits: LoadDigits,
    command: str,
) -> Results:
    """Measures the comparisons that learn nothing; writes results.json, trials.npz and the report. As above."""
    wanted = protocols(experiment.evaluation, dataset.episodes)
    digits = functools.cache(lambda: load_digits(None))
    measured, not_measured = {}, {}
    for name, under in COMPARED_UNDER.items():
        score = functools.partial(episode_scores, BASELINES[name])
        some = {protocol: wanted[protocol] for protocol in under if protocol in wanted}
        measured[name], refused = one_shot.one_shot_by_protocol(score, dataset, sets, {}, some)
        on_digits, no_digits = _on_digits(experiment.evaluation, score, digits, {}, [p for p in under if p in DIGITS])
        measured[name] |= on_digits
        not_measured |= refused | no_digits
    results = {
        **_about(experiment, dataset, sets, command),
        "baselines": {name: _results(part) for name, part in measured.items()},
        "not_measured": not_measured,
    }
    trials = {f"{name}.{protocol}": part for name, parts in measured.items() for protocol, part in parts.items()}
    _write(workdir, results, trials)
    write_report(workdir, experiment, results, [])
    return results


def _viewed(
    experiment: Experiment,
    spec: EvalSpec,
    dataset: Dataset,
    sets: dict[str, Images],
    net: SiameseNet,
    params: Params,
    seen: one_shot.Seen,
    wanted: Mapping[str, Protocol],
) -> Results:
    """Measures with averaged views; each card says of how many."""
    maps = views.sample_views(experiment.distort, spec.views)
    score = functools.partial(Evaluator(net, spec.embed_batch, spec.combine, maps).episode_logits, params)
    some = {name: wanted[name] for name in VIEWED_UNDER if name in wanted}
    measured, _ = one_shot.one_shot_by_protocol(score, dataset, sets, seen, some)
    return {
        name: {**result, "card": {**result["card"], "views": spec.views}} for name, result in _results(measured).items()
    }


def _on_digits(
    spec: EvalSpec,
    score: Score,
    load: Callable[[], Images],
    seen: one_shot.Seen,
    names: Any = tuple(DIGITS),
) -> tuple[dict[str, Measured], dict[str, str]]:
    """Measures MNIST's digits; returns what was measured, and why it was not, by name."""
    if not spec.mnist:
        return {}, dict.fromkeys(names, "evaluation.mnist is false")
    try:
        digits = load()
    except UserError as reason:
        return {}, dict.fromkeys(names, str(reason))
    return one_shot.one_shot_on_digits(score, digits, seen, spec.combine, names), {}


def _results(measured: Mapping[str, Measured]) -> Results:
    return {name: part.result for name, part in measured.items()}


def _write(workdir: Path, results: Results, measured: Mapping[str, Measured]) -> None:
    """Writes results.json, and trials.npz: the credit [R, Q] of each trial, by which two runs are compared in pairs.

    results.json last: where one was written, its trials stand beside it. Pictures of an earlier measurement go: not
    every one is drawn again.
    """
    write_arrays(workdir / "trials.npz", {name: part.credit.astype("float32") for name, part in measured.items()})
    write_results(workdir, results)
    for name in PICTURES:
        (workdir / name).unlink(missing_ok=True)


def _about(experiment: Experiment, dataset: Dataset, sets: dict[str, Images], command: str) -> Results:
    return {
        "experiment": experiment.name,
        "seed": experiment.seed,
        "command": command,
        "data": {
            "name": experiment.data.name,
            "background": getattr(experiment.data, "background", "all"),
            "image_side": dataset.images.images.shape[1],
            "drawer_split": experiment.data.drawer_split,
            "sets": {name: _described(part) for name, part in sets.items()},
        },
        "environment": _environment(),
    }


def _described(part: Images) -> Results:
    return {
        "alphabets": part.group_names,
        "characters": int(part.class_index[-1]) + 1,
        "drawers": sorted(set(part.author.tolist())),
        "images": len(part.images),
    }


def _environment() -> Results:
    return {
        "siamese_jax": __version__,
        "jax": jax.__version__,
        "python": platform.python_version(),
        "backend": jax.default_backend(),
        "device": jax.devices()[0].device_kind,
        "devices": jax.device_count(),
        "cores": os.cpu_count(),
    }
