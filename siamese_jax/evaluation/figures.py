"""The pictures of a run: plotted from its results, its metrics, its scores and its network, beside its report.

Each function can be called alone; `plot_run` calls them all.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import expit, softmax

from siamese_jax import keys, plots
from siamese_jax.evaluation.embedder import Evaluator
from siamese_jax.evaluation.measure import Measurement
from siamese_jax.evaluation.one_shot import Measured
from siamese_jax.images.distort import apply_warp, sample_warp
from siamese_jax.learning.health import loss_of_guessing
from siamese_jax.learning.losses import TRAIN_P_SAME
from siamese_jax.network.siamese import Params, as_input
from siamese_jax.records import Dataset, Images
from siamese_jax.results import RunResults, plural
from siamese_jax.specs import Experiment
from siamese_jax.statistics import mistakes

HARDEST, CONFUSED = 2, 3
"""How many trials, and how many confusions, are shown of each group."""
ORIGINALS, COPIES = 6, 8
"""Rows and columns of figure 5."""


def plot_run(
    workdir: Path,
    experiment: Experiment,
    dataset: Dataset,
    sets: Mapping[str, Images],
    evaluator: Evaluator,
    params: Params,
    measurement: Measurement,
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Write all pictures for which the run has something to show.

    Args:
      workdir: Where they are written.
      experiment: As it was trained.
      dataset: All images.
      sets: The train, validation and test set.
      evaluator: Embeds and compares.
      params: The parameters that were measured.
      measurement: What was measured.
      rows: The lines of metrics.jsonl.
    """
    plot_training(workdir, experiment, sets["train"], rows)
    plot_results(workdir, experiment.name, measurement.results, experiment.evaluation.n_way)
    measured = measurement.measured
    found = [measured[name] for name in ("official_runs", "within_alphabet") if name in measured]
    if found:
        plot_trials(workdir, experiment, dataset.images, few=found[0], many=found[-1])
        plot_network(workdir, experiment, dataset.images, found[0], evaluator, params)


def plot_results(workdir: Path, label: str, results: RunResults, n_way: int) -> None:
    """Plot accuracy by the number of ways and by group, verification and calibration, where they were measured.

    Args:
      workdir: Where the pictures are written.
      label: What to call the run.
      results: What was measured.
      n_way: The number of classes to choose from that calibration is shown for.
    """
    if any("_way_" in name for name in results.one_shot):
        plots.save(plots.n_way_figure({label: results.one_shot}), workdir / "n_way.png")
        plots.save(plots.groups_figure(results.one_shot, results.data.words), workdir / "groups.png")
    if results.verification:
        plots.save(plots.roc_figure({label: results.verification.test}), workdir / "roc.png")
    if results.decisions:
        plots.save(plots.reliability_figure(results.decisions, n_way), workdir / "reliability.png")


def plot_trials(workdir: Path, experiment: Experiment, images: Images, few: Measured, many: Measured) -> None:
    """Plot trials: the first one (paper, figure 7), the hardest ones of each group, and the confusions.

    Args:
      workdir: Where the pictures are written.
      experiment: As it was trained.
      images: All images.
      few: The trials of which the first and the hardest are shown: the official runs, or random ones if there are none.
      many: The trials in which confusions are counted.
    """
    pixels, episodes = images.images, few.episodes
    scale, values = score_scale(experiment.loss.name)
    query, supports = pixels[episodes.query[0, 0]], pixels[episodes.support[0, :, 0]]
    title = f"{experiment.name}: the first trial"
    figure = plots.trial_figure(
        query, supports, values(few.scores[0, 0]), int(np.asarray(episodes.answer)[0, 0]), title, scale
    )
    plots.save(figure, workdir / "trial.png")
    hardest = mistakes.hardest(few.scores, episodes, images.group_index, HARDEST)
    shown = [_hard(images, few, run, place, values) for trials in hardest.values() for run, place in trials]
    title = f"The hardest trials of each {images.words.group}"
    plots.save(plots.hardest_figure(shown, scale, title), workdir / "hardest.png")
    found = mistakes.confusions(many.scores, many.episodes, images, CONFUSED)
    confused = [_confused(images, group, confusion) for group, some in found.items() for confusion in some]
    title = f"The {plural(images.words.class_)} most often confused"
    plots.save(plots.confused_figure(confused, title), workdir / "confused.png")


def plot_network(
    workdir: Path,
    experiment: Experiment,
    images: Images,
    few: Measured,
    evaluator: Evaluator,
    params: Params,
) -> None:
    """Plot the filters of the first layer, and the contributions of units in the first trial, if there are any."""
    query, right, wrong = images.images[list(_rows(few, 0, 0))]
    if first := first_filters(params, images.images.shape[-1]):
        layer, kernel = first
        plots.save(plots.filters_figure(kernel, layer), workdir / "filters.png")
    embedded = evaluator.embed(params, np.stack([query, right, wrong]))
    if not evaluator.net.has_contributions:
        return
    of_query, of_right, of_wrong = (jnp.asarray(embedding) for embedding in embedded)
    right_terms, rest = evaluator.net.contributions(params, of_query, of_right)
    wrong_terms, _ = evaluator.net.contributions(params, of_query, of_wrong)
    title = f"{experiment.name}: the first trial, unit by unit"
    p_same = experiment.loss.name in TRAIN_P_SAME
    figure = plots.units_figure(
        np.asarray(right_terms), np.asarray(wrong_terms), query, right, wrong, float(rest), title, p_same
    )
    plots.save(figure, workdir / "units.png")


def plot_training(workdir: Path, experiment: Experiment, train: Images, rows: Sequence[Mapping[str, Any]]) -> None:
    """Plot the training curves, and figure 5: some training images, distorted as training distorts them."""
    if rows:  # a packaged network has none
        guessing = loss_of_guessing(experiment, rows)
        figure = plots.training_figure(rows, experiment.evaluation.n_way, experiment.loss.name, guessing)
        plots.save(figure, workdir / "training.png")
    if not experiment.distort.copies:
        return
    chosen = train.images[np.linspace(0, len(train.images) - 1, ORIGINALS).astype(int)]
    key = keys.stream(keys.root_key(experiment.seed), "figure 5")

    height, width = chosen.shape[1:3]

    def distorted(key: jax.Array, image: jax.Array) -> jax.Array:
        return jax.vmap(lambda key: apply_warp(image, sample_warp(key, experiment.distort, (height, width))))(
            jax.random.split(key, COPIES)
        )

    originals = as_input(jnp.asarray(chosen))
    copies = jax.vmap(distorted)(jax.random.split(key, len(chosen)), originals)
    shown = np.concatenate([chosen[:, None], np.rint(255 * np.asarray(copies)).astype(np.uint8)], axis=1)
    plots.save(plots.distortions_figure(shown), workdir / "distortions.png")


def score_scale(loss: str) -> tuple[str, Callable[[np.ndarray], np.ndarray]]:
    """Return how the scores [n_way] of a trial are shown: the name of the scale, and the function onto it.

    The sigmoid of a logit is p(same) only for a loss that trains p(same). The n-way loss trains the softmax over the
    supports. Other losses train distances, whose logits are shown as they are.
    """
    if loss in TRAIN_P_SAME:
        return "p(same)", lambda scores: expit(scores.astype(float))
    if loss == "n_way":
        return "softmax over the supports", lambda scores: softmax(scores.astype(float))
    return "logit", lambda scores: scores.astype(float)


def first_filters(params: Params, channels: int) -> tuple[str, np.ndarray] | None:
    """Return the name and the kernel [h, w, C, F] of the convolution that sees the image; None if there is none.

    Args:
      params: Parameters, nested dicts of arrays.
      channels: Channels of an image, C. Filters for other than 1 or 3 channels cannot be shown.
    """
    for path, kernel in jax.tree_util.tree_leaves_with_path(params):
        *layers, name = (key.key for key in path)
        if name == "kernel" and kernel.ndim == 4 and kernel.shape[2] == channels in (1, 3):
            return "/".join(layers), np.asarray(kernel)
    return None


def _rows(measured: Measured, run: int, place: int) -> tuple[int, int, int]:
    """Return the rows of a trial's query, of its right support, and of the wrong one that scored highest."""
    episodes, answer = measured.episodes, measured.episodes.answer[run, place]
    wrong = np.where(np.arange(episodes.support.shape[1]) == answer, -np.inf, measured.scores[run, place]).argmax()
    return int(episodes.query[run, place]), *episodes.support[run, [answer, wrong], 0].tolist()


def _hard(
    images: Images, measured: Measured, run: int, place: int, values: Callable[[np.ndarray], np.ndarray]
) -> plots.HardTrial:
    rows = _rows(measured, run, place)
    query, right, wrong = images.images[list(rows)]
    shown = values(measured.scores[run, place]).tolist()
    of_row = dict(zip(measured.episodes.support[run, :, 0].tolist(), shown, strict=True))
    name = images.group_names[images.group_index[rows[0]]]
    return plots.HardTrial(name, query, right, of_row[rows[1]], wrong, of_row[rows[2]])


def _confused(images: Images, group: int, confusion: mistakes.Confusion) -> plots.Confused:
    """Show each class by its first image."""
    shown, taken_for = (
        images.images[np.argmax(images.class_index == character)]
        for character in (confusion.shown, confusion.taken_for)
    )
    return plots.Confused(images.group_names[group], shown, taken_for, confusion.times, confusion.trials)
