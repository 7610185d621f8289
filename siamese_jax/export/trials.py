"""The one-shot trials that an export is compared with JAX on."""

import os
from typing import NamedTuple

import jax
import numpy as np

from siamese_jax import data
from siamese_jax.errors import UserError
from siamese_jax.evaluation.protocols import protocols, sample
from siamese_jax.images.resize import average_areas
from siamese_jax.records import Dataset, Episodes
from siamese_jax.sampling import splits
from siamese_jax.specs import Experiment, Folder, Omniglot

TRIALS = 400
"""Trials at most, unless they were released with the data."""
NOWHERE = os.devnull
"""Given as the folder of the archives, it lets prepared data be read, and nothing be downloaded or prepared."""
TINTS = (1.0, 0.7, 0.4)
"""Factors of the channels of glyphs for a network of coloured pictures."""


class Trials(NamedTuple):
    """Trials, and where they are from.

    Attributes:
      source: In words, for people.
      images: uint8 [N, H, W, C].
      episodes: Rows index the images.
    """

    source: str
    images: np.ndarray
    episodes: Episodes


def trials_of(
    experiment: Experiment, dataset: Dataset | None = None, data_dir: str | None = None, archives: str | None = None
) -> Trials:
    """Return the best trials that can be had without a download.

    They are the episodes that were released with the network's data; else test episodes of these data, sampled as for
    evaluation; else drawings of the built-in glyphs.

    Args:
      experiment: What the network was trained on.
      dataset: The images, if they are in memory.
      data_dir: Where prepared data are kept; None is TFDS's own folder.
      archives: Folder with the published archives. None uses data that have been prepared.

    Raises:
      UserError: `archives` was given and cannot be used, or glyphs cannot be drawn.
    """
    if dataset is None and isinstance(experiment.data, Omniglot | Folder):
        try:
            dataset = data.load(experiment.data, data_dir, archives or NOWHERE)
        except UserError:
            if archives is not None:
                raise
    if dataset is not None:
        try:
            return _of_dataset(experiment, dataset)
        except UserError:  # too few images for a trial
            pass
    return glyph_trials(experiment.data.image_shape)


def _of_dataset(experiment: Experiment, dataset: Dataset) -> Trials:
    name = experiment.data.name
    if dataset.episodes is not None:
        return _needed(data.source_of(name).released, dataset.images.images, dataset.episodes)
    sets, spec = splits.split(dataset, experiment.data.author_split), experiment.evaluation
    trials = spec.n_way * max(1, TRIALS // spec.n_way)
    protocol = protocols(spec, None)["within_alphabet"]._replace(trials=trials)
    sampled = jax.jit(lambda: tuple(sample("within_alphabet", protocol, dataset, sets)))()
    return _needed(f"test episodes of {name}", dataset.images.images, Episodes(*jax.device_get(sampled)))


def _needed(source: str, images: np.ndarray, episodes: Episodes) -> Trials:
    """Return trials with those images only that they use."""
    support, query = np.asarray(episodes.support), np.asarray(episodes.query)
    rows, places = np.unique(np.concatenate([support.ravel(), query.ravel()]), return_inverse=True)
    found = Episodes(
        places[: support.size].reshape(support.shape),
        places[support.size :].reshape(query.shape),
        np.asarray(episodes.answer),
    )
    return Trials(source, images[rows], found)


def glyph_trials(shape: tuple[int, int, int], n_way: int = 20, runs: int = 5) -> Trials:
    """Draw 20-way episodes of the built-in glyphs: `runs` of each test script, by two drawers each.

    Args:
      shape: Rows, columns and channels of the images.
      n_way: Classes of an episode.
      runs: Episodes of a script.

    Raises:
      UserError: The libraries that draw glyphs are not installed.
    """
    from siamese_jax import extras

    extras.require("data")
    from siamese_jax.data import glyphs

    inks = []
    for alphabet, script in glyphs.TEST.items():
        letters = list(glyphs.trace_script(script).items())[:n_way]
        inks += [
            glyphs.draw(alphabet, code, strokes, 2 * run + which)
            for run in range(runs)
            for which in (1, 2)
            for code, strokes in letters
        ]
    height, width, channels = shape
    side = min(height, width)
    small = average_areas(np.stack(inks).astype(np.uint8) * np.uint8(255), side)
    images = np.zeros((len(inks), height, width, channels), np.uint8)
    tints = np.array(TINTS[:channels] if channels > 1 else [1.0])
    images[:, :side, :side] = np.rint(small[..., None] * tints).astype(np.uint8)
    rows = np.arange(len(inks)).reshape(-1, 2, n_way)  # [episode, support or query, class]
    answer = np.broadcast_to(np.arange(n_way), rows[:, 1].shape)
    return Trials("drawings of the built-in glyphs", images, Episodes(rows[:, 0, :, None], rows[:, 1], answer))
