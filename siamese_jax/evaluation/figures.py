"""The pictures of a run, drawn from what was measured and from the network itself, and written beside its report."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import expit

from siamese_jax import keys, plots
from siamese_jax.evaluation.embedder import Evaluator
from siamese_jax.evaluation.one_shot import Measured
from siamese_jax.images.distort import apply_warp, sample_warp
from siamese_jax.learning.health import loss_of_guessing
from siamese_jax.network.siamese import Params, SiameseNet, as_input
from siamese_jax.records import Images
from siamese_jax.specs import Experiment
from siamese_jax.statistics import mistakes

HARDEST, CONFUSED = 2, 3
"""Trials, and confusions, that are shown of each alphabet."""
ORIGINALS, COPIES = 6, 8
"""Rows and columns of figure 5."""


def draw_trials(workdir: Path, images: Images, measured: Mapping[str, Measured], title: str) -> None:
    """Draws figure 7 and the hardest trials from the released runs, confusions from the many random trials."""
    pixels, official = images.images, measured["official_runs"]
    episodes, first = official.episodes, official.scores[0, 0].astype(float)
    query, supports = pixels[episodes.query[0, 0]], pixels[episodes.support[0, :, 0]]
    figure = plots.trial_figure(query, supports, expit(first), int(episodes.answer[0, 0]), title)
    plots.save(figure, workdir / "trial.png")
    trials = mistakes.hardest(official.scores, episodes, images.group_index, HARDEST)
    shown = [_hard(images, official, run, place) for of_it in trials.values() for run, place in of_it]
    plots.save(plots.hardest_figure(shown), workdir / "hardest.png")
    many = measured.get("within_alphabet", official)
    found = mistakes.confusions(many.scores, many.episodes, images, CONFUSED)
    rows = [_confused(images, alphabet, confusion) for alphabet, of_it in found.items() for confusion in of_it]
    plots.save(plots.confused_figure(rows), workdir / "confused.png")


def draw_accuracy(workdir: Path, label: str, results: Mapping[str, Any]) -> None:
    """Draws accuracy by the number of ways and by alphabet, and the errors of verification."""
    one_shot = results["one_shot"]
    if any("_way_" in name for name in one_shot):
        plots.save(plots.n_way_figure({label: one_shot}), workdir / "n_way.png")
        plots.save(plots.alphabets_figure(one_shot), workdir / "alphabets.png")
    plots.save(plots.roc_figure({label: results["verification"]["test"]}), workdir / "roc.png")


def draw_network(
    workdir: Path,
    experiment: Experiment,
    images: Images,
    official: Measured,
    net: SiameseNet,
    evaluator: Evaluator,
    params: Params,
) -> None:
    """Plot the filters of the first layer, and the contributions of units in the first released trial, if any."""
    if first := params.get("conv1", params.get("stem")):
        plots.save(plots.filters_figure(np.asarray(first["kernel"])), workdir / "filters.png")
    if not net.has_contributions:
        return
    query, right, rival = images.images[list(_rows(official, 0, 0))]
    embedded = evaluator.embed(params, np.stack([query, right, rival]))
    terms, rests = zip(*(net.contributions(params, embedded[0], other) for other in embedded[1:]), strict=True)
    title = f"{experiment.name}: the first trial of the first run, unit by unit"
    figure = plots.units_figure(*map(np.asarray, terms), query, right, rival, float(rests[0]), title)
    plots.save(figure, workdir / "units.png")


def draw_training(workdir: Path, experiment: Experiment, train: Images, rows: Sequence[dict[str, Any]]) -> None:
    """Draws the curves of training, and figure 5: some of the images that it saw, distorted as it saw them."""
    if rows:  # a network that came as a file left none
        guessing = loss_of_guessing(experiment, rows)
        figure = plots.training_figure(rows, experiment.evaluation.n_way, experiment.loss.name, guessing)
        plots.save(figure, workdir / "training.png")
    if not experiment.distort.copies:
        return
    chosen = train.images[np.linspace(0, len(train.images) - 1, ORIGINALS).astype(int)]
    key = keys.stream(keys.root_key(experiment.seed), "figure 5")

    def distorted(key: jax.Array, image: jax.Array) -> jax.Array:
        return jax.vmap(lambda key: apply_warp(image, sample_warp(key, experiment.distort, image.shape)))(
            jax.random.split(key, COPIES)
        )

    originals = as_input(jnp.asarray(chosen))[..., 0]
    copies = jax.vmap(distorted)(jax.random.split(key, len(chosen)), originals)
    shown = np.concatenate([chosen[:, None], np.rint(255 * np.asarray(copies)).astype(np.uint8)], axis=1)
    plots.save(plots.distortions_figure(shown), workdir / "distortions.png")


def _rows(measured: Measured, run: int, place: int) -> tuple[int, int, int]:
    """Returns the rows of a trial's query, of its right support, and of the wrong one that scored highest."""
    episodes, answer = measured.episodes, measured.episodes.answer[run, place]
    rival = np.where(np.arange(episodes.support.shape[1]) == answer, -np.inf, measured.scores[run, place]).argmax()
    return int(episodes.query[run, place]), *episodes.support[run, [answer, rival], 0].tolist()


def _hard(images: Images, measured: Measured, run: int, place: int) -> plots.HardTrial:
    rows = _rows(measured, run, place)
    query, right, rival = images.images[list(rows)]
    score_of = dict(
        zip(measured.episodes.support[run, :, 0].tolist(), measured.scores[run, place].tolist(), strict=True)
    )
    p_right, p_rival = (float(expit(score_of[row])) for row in rows[1:])
    return plots.HardTrial(images.group_names[images.group_index[rows[0]]], query, right, p_right, rival, p_rival)


def _confused(images: Images, alphabet: int, confusion: mistakes.Confusion) -> plots.Confused:
    """Shows each character by its first drawing."""
    shown, taken_for = (
        images.images[np.argmax(images.class_index == character)]
        for character in (confusion.shown, confusion.taken_for)
    )
    return plots.Confused(images.group_names[alphabet], shown, taken_for, confusion.times, confusion.trials)
