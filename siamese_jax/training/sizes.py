"""Batches, trials and pairs of an experiment, sized to images of unknown number; and advice before training."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from siamese_jax.errors import UserError
from siamese_jax.records import Images, Layout
from siamese_jax.results import plural
from siamese_jax.sampling.layout import authors_of_classes, layout_of, serving
from siamese_jax.sampling.pairs import layout_for_pairs
from siamese_jax.specs import Experiment, Folder

SIZED = (
    "data.batch_alphabets", "data.batch_characters", "data.batch_drawers", "data.validation_pairs", "data.test_pairs",
    "evaluation.n_way", "evaluation.validation_trials", "evaluation.random_trials",
)  # fmt: skip
"""Fields that `sized` lowers."""
LEAST_SERVED = 0.9
"""A batch has so many images of a class that this share of the classes can be trained on."""
FEW, SOME = 50, 300
"""Training classes below which one-shot learning of new classes is poor, and below which more classes help most."""


def sized(experiment: Experiment, sets: Mapping[str, Images]) -> Experiment:
    """Return the experiment with its batches, trials and pairs lowered to what pictures of a folder allow.

    Other data are left as they are: there a number that is too high is a mistake.

    Args:
      experiment: what is to be trained.
      sets: the train, validation and test images.

    Raises:
      UserError: the images allow no training or no trial at all.
    """
    if not isinstance(experiment.data, Folder):
        return experiment
    train = layout_of(sets["train"])
    tested = [layout_of(sets[name]) for name in ("validation", "test")]
    data, spec = experiment.data, experiment.evaluation
    each = _images_of_a_class(train, data.batch_drawers)
    served = serving(train, each, classes=2)
    if not len(served.group_size):
        raise UserError(_too_few(sets["train"], "train"))
    ways = [_most_ways(layout, spec.k_shot) for layout in tested]
    if min(ways) < 2:
        name = ("validation", "test")[ways.index(min(ways))]
        raise UserError(_too_few(sets[name], name))
    n_way = min(spec.n_way, *ways)
    pairs = {
        f"{name}_pairs": _multiple(getattr(data, f"{name}_pairs"), 2 * len(layout_for_pairs(layout).group_size))
        for name, layout in zip(("validation", "test"), tested, strict=True)
    }
    data = replace(
        data,
        batch_alphabets=min(data.batch_alphabets, len(served.group_size)),
        batch_characters=min(data.batch_characters, int(np.max(served.group_size))),
        batch_drawers=each,
        **pairs,
    )
    spec = replace(
        spec,
        n_way=n_way,
        validation_trials=_multiple(spec.validation_trials, n_way),
        random_trials=_multiple(spec.random_trials, n_way),
    )
    return replace(experiment, data=data, evaluation=spec)


def advice(experiment: Experiment, sets: Mapping[str, Images]) -> list[str]:
    """Return what to expect of training on pictures of a folder, in sentences."""
    if not isinstance(experiment.data, Folder):
        return []
    train, words = sets["train"], sets["train"].words
    classes = int(train.class_index[-1]) + 1
    many, data = plural(words.class_), experiment.data
    lines = [
        f"A batch has {data.batch_alphabets} × {data.batch_characters} {many} × {data.batch_drawers} images; "
        f"trials are {experiment.evaluation.n_way}-way."
    ]
    if left_out := classes - int(serving(layout_of(train), data.batch_drawers, classes=2).group_size.sum()):
        lines.append(f"{left_out:,} of {classes:,} {many} have too few images for a batch: they are not trained on.")
    if classes < FEW:
        lines.append(
            f"{classes} {many} for training are few: expect little more than nearest neighbour on pixels. "
            "Start from a trained network with --start_from, or add classes: they help more than images do."
        )
    elif classes < SOME:
        lines.append(f"With {classes} {many} for training, more {many} help more than more images of each.")
    return lines


def _images_of_a_class(layout: Layout, most: int) -> int:
    """Return how many images of a class a batch takes, from 2 to `most`, so that most classes can be trained on."""
    authors = authors_of_classes(layout)
    paired = np.count_nonzero(authors >= 2)
    return next((n for n in range(most, 2, -1) if np.count_nonzero(authors >= n) >= LEAST_SERVED * paired), 2)


def _most_ways(layout: Layout, k_shot: int) -> int:
    return int(np.max(serving(layout, k_shot + 1, classes=1).group_size, initial=0))


def _multiple(number: int, of: int) -> int:
    """Return the largest multiple that is not above `number`, or the smallest one."""
    return max(1, number // of) * of


def _too_few(images: Images, name: str) -> str:
    group, class_, _ = images.words
    return (
        f"the {name} set has no {group} with two {plural(class_)} of two images each: add images, or choose the sets "
        "with --data.split, --data.test_groups or a table"
    )
