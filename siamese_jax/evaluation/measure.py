"""Measuring: what a network, or an untrained baseline, reaches under every protocol.

The three steps of an evaluation are apart: `measure_network` or `measure_baselines` computes results, `write` stores
them, and then `figures.plot_run` and `report.write_report` show them. A failed plot never loses a result.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from siamese_jax.environment import environment
from siamese_jax.errors import UserError
from siamese_jax.evaluation import one_shot, verification, views
from siamese_jax.evaluation.baselines import BASELINES, episode_scores
from siamese_jax.evaluation.decisions import measure_decisions
from siamese_jax.evaluation.embedder import Evaluator
from siamese_jax.evaluation.one_shot import Measured, Score
from siamese_jax.evaluation.protocols import DIGITS, protocols
from siamese_jax.network.siamese import Params
from siamese_jax.records import Dataset, Images
from siamese_jax.report import PICTURES
from siamese_jax.results import (
    DataDescription,
    Decisions,
    OneShotResult,
    RunResults,
    SetDescription,
    TrainingSummary,
    Words,
)
from siamese_jax.specs import EvalSpec, Experiment
from siamese_jax.storage import files
from siamese_jax.storage.results_file import write_results
from siamese_jax.training.fit import Fitted

LoadDigits = Callable[[int | None], Images]
"""Takes the side that images are resized to, or None; returns MNIST's test digits. UserError if they are not there."""

BASELINE_PROTOCOLS = {
    "nearest_neighbour": ("official_runs", "koch_400", *DIGITS),
    # 400 trials each: 10,000 would take minutes.
    "modified_hausdorff": ("official_runs", "koch_400", "mnist_10way"),
}
"""The protocols that each untrained baseline is measured under."""
BESIDE = "nearest_neighbour"
"""The untrained baseline that can be measured beside a network."""
VIEWED_PROTOCOLS = ("official_runs", "koch_400", "within_alphabet")
"""The protocols that test-time augmentation is measured under. Each image is embedded once per view."""


@dataclass(frozen=True)
class Measurement:
    """What was measured: results for results.json, and what they were computed from.

    Attributes:
      results: The results.
      measured: Scores and trials by protocol, or by "BASELINE.PROTOCOL", without those of test-time augmentation.
    """

    results: RunResults
    measured: Mapping[str, Measured]


def measure_network(
    experiment: Experiment,
    dataset: Dataset,
    sets: dict[str, Images],
    evaluator: Evaluator,
    params: Params,
    training: TrainingSummary,
    load_digits: LoadDigits,
    command: str,
    spec: EvalSpec | None = None,
) -> Measurement:
    """Measure a network under every protocol.

    Args:
      experiment: As it was trained. Validation trials always follow it, so that the selected epoch can be checked.
      dataset: All images, and the episodes that were released with them.
      sets: The train, validation and test set.
      evaluator: Embeds and compares, combining several supports as `spec` says.
      params: The parameters to measure.
      training: How they were trained.
      load_digits: Loads MNIST.
      command: The command that repeats the run.
      spec: How to evaluate. None is as the experiment says.

    Raises:
      UserError: The network has diverged, or the pairs of verification cannot be sampled.
    """
    spec = experiment.evaluation if spec is None else spec
    score = functools.partial(evaluator.episode_logits, params)
    seen = {"trained": sets["train"], "chosen": sets["validation"]}
    wanted = protocols(spec, dataset.episodes)
    measured, refused = one_shot.one_shot_by_protocol(score, dataset, sets, seen, wanted)
    on_digits, no_digits = _on_digits(spec, score, lambda: _digits_like(dataset.images, load_digits), seen)
    measured |= {**on_digits, "validation": one_shot.validation_one_shot(score, experiment, sets, spec.combine)}
    viewed = {}
    if spec.views > 1:
        maps = views.sample_views(experiment.distort, spec.views)
        of_views = functools.partial(
            Evaluator(evaluator.net, spec.embed_batch, spec.combine, maps).episode_logits, params
        )
        some = {name: wanted[name]._replace(views=spec.views) for name in VIEWED_PROTOCOLS if name in wanted}
        viewed, _ = one_shot.one_shot_by_protocol(of_views, dataset, sets, seen, some)
    beside = {}
    if spec.baseline:
        pixels = functools.partial(episode_scores, BASELINES[BESIDE])
        one = {"within_alphabet": wanted["within_alphabet"]}
        beside, _ = one_shot.one_shot_by_protocol(pixels, dataset, sets, {}, one)
    pairs = {
        name: verification.score_pairs(evaluator, params, experiment, name, sets[name])
        for name in ("validation", "test")
    }
    decided, undecided = _decisions(functools.partial(measure_decisions, evaluator, params, experiment, sets, pairs))
    results = RunResults(
        experiment=experiment.name,
        seed=experiment.seed,
        command=command,
        data=_describe(experiment, dataset, sets),
        environment=environment(),
        training=training,
        verification=verification.verification(**pairs),
        decisions=decided,
        one_shot=_results(measured),
        one_shot_views=_results(viewed),
        baselines={BESIDE: _results(beside)} if beside else {},
        not_measured=refused | no_digits | undecided,
    )
    return Measurement(results, measured | {f"{BESIDE}.{name}": part for name, part in beside.items()})


def measure_baselines(
    experiment: Experiment,
    dataset: Dataset,
    sets: dict[str, Images],
    load_digits: LoadDigits,
    command: str,
) -> Measurement:
    """Measure the untrained baselines; the arguments are those of `measure_network`."""
    wanted = protocols(experiment.evaluation, dataset.episodes)
    digits = functools.cache(lambda: load_digits(None))
    measured, not_measured = {}, {}
    for name, under in BASELINE_PROTOCOLS.items():
        if name == "modified_hausdorff" and dataset.images.images.shape[-1] != 1:
            not_measured[name] = "it compares the ink of drawings, and these images are in colour"
            continue
        score = functools.partial(episode_scores, BASELINES[name])
        some = {protocol: wanted[protocol] for protocol in under if protocol in wanted}
        measured[name], refused = one_shot.one_shot_by_protocol(score, dataset, sets, {}, some)
        on_digits, no_digits = _on_digits(experiment.evaluation, score, digits, {}, [p for p in under if p in DIGITS])
        measured[name] |= on_digits
        not_measured |= refused | no_digits
    results = RunResults(
        experiment=experiment.name,
        seed=experiment.seed,
        command=command,
        data=_describe(experiment, dataset, sets),
        environment=environment(),
        training=None,
        verification=None,
        decisions=None,
        one_shot={},
        one_shot_views={},
        baselines={name: _results(part) for name, part in measured.items()},
        not_measured=not_measured,
    )
    return Measurement(results, {f"{who}.{name}": one for who, part in measured.items() for name, one in part.items()})


def write(workdir: Path, measurement: Measurement) -> None:
    """Write results.json and trials.npz, and remove pictures, which show earlier results; UserError if it fails."""
    write_results(workdir, measurement.results, {name: part.credit for name, part in measurement.measured.items()})
    for name in PICTURES:
        files.remove(workdir / name)


def training_summary(experiment: Experiment, fitted: Fitted) -> TrainingSummary:
    """Return how a network was trained."""
    history, speed = fitted.history, fitted.history.pairs_per_second
    return TrainingSummary(
        epochs=history.epochs,
        steps=fitted.step,
        seconds=history.seconds,
        best_epoch=history.best_epoch,
        best_validation_accuracy=history.best_accuracy,
        pairs_per_second=speed if speed == speed else None,  # NaN if nothing was timed
        stopped_by=history.stopped_by(experiment),
    )


def _on_digits(
    spec: EvalSpec,
    score: Score,
    load: Callable[[], Images],
    seen: one_shot.Seen,
    names: Iterable[str] = tuple(DIGITS),
) -> tuple[dict[str, Measured], dict[str, str]]:
    """Measure MNIST's digits; return what was measured, and why the rest was not, by protocol."""
    if not spec.mnist:
        return {}, dict.fromkeys(names, "evaluation.mnist is false")
    try:
        digits = load()
    except UserError as reason:
        return {}, dict.fromkeys(names, str(reason))
    return one_shot.one_shot_on_digits(score, digits, seen, spec.combine, names), {}


def _digits_like(images: Images, load: LoadDigits) -> Images:
    """Return MNIST's digits in the shape of these images; UserError if that is not possible."""
    height, width, channels = images.images.shape[1:]
    if height != width or channels != 1:
        raise UserError(f"MNIST's digits are square and have one channel; these images are {height}×{width}×{channels}")
    return load(height)


def _decisions(measure: Callable[[], Decisions]) -> tuple[Decisions | None, dict[str, str]]:
    """Measure decisions; return them, or why they were not measured."""
    try:
        return measure(), {}
    except UserError as reason:
        return None, {"decisions": str(reason)}


def _results(measured: Mapping[str, Measured]) -> dict[str, OneShotResult]:
    return {name: part.result for name, part in measured.items()}


def _describe(experiment: Experiment, dataset: Dataset, sets: dict[str, Images]) -> DataDescription:
    return DataDescription(
        name=experiment.data.name,
        background=getattr(experiment.data, "background", "all"),
        image_side=dataset.images.images.shape[1],
        split=experiment.data.author_split if dataset.images.origins else "none",
        words=Words(**dataset.images.words._asdict()),
        sets={
            name: SetDescription(
                groups=part.group_names,
                classes=int(part.class_index[-1]) + 1,
                authors=tuple(np.unique(part.author[part.author >= 0]).tolist()),
                images=len(part.images),
            )
            for name, part in sets.items()
        },
    )
