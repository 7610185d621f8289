"""A data set and an experiment so small that a test can train on it in seconds."""

from dataclasses import replace

import jax
import numpy as np

from siamese_jax.experiments import find
from siamese_jax.network.siamese import Params, init_params
from siamese_jax.records import Dataset, Episodes, Images, Words
from siamese_jax.specs import (
    Conv,
    ConvSpec,
    DistortSpec,
    EvalSpec,
    Experiment,
    LayerSpec,
    NetSpec,
    Omniglot,
    PaperSGD,
)

SIDE = 12
SHAPE = (SIDE, SIDE, 1)
"""Rows, columns and channels of its images."""


def make_dataset(characters: int = 5, side: int = SIDE) -> Dataset:
    """Six alphabets of bars and spots with noise, by 20 drawers: two for each set, and two runs of test alphabets."""
    rng = np.random.default_rng(0)
    count = 6 * characters
    shapes = np.kron(rng.random((count, 4, 4)) < 0.4, np.ones((1, side // 4, side // 4)))
    drawings = np.clip(np.repeat(shapes, 20, axis=0) - 0.3 * rng.random((count * 20, side, side)), 0, 1)
    character = np.repeat(np.arange(count), 20).astype(np.int32)
    drawer = np.tile(np.arange(1, 21), count).astype(np.int32)
    origins = ("background",) * 2 + ("evaluation",) * 4
    images = Images(
        images=(255 * drawings[..., None]).astype(np.uint8),
        class_index=character,
        group_index=character // characters,
        author=drawer,
        group_names=tuple("abcdef"),
        origins=origins,
        words=Words("alphabet", "character", "drawer"),
    )
    first = np.array([[4 * characters], [5 * characters]]) + np.arange(3)[None, :]
    answer = np.array([[2, 0, 1], [1, 2, 0]], np.int32)
    query = np.take_along_axis(first, answer, axis=1) * 20 + 1
    return Dataset(images, Episodes((first * 20)[:, :, None], query, answer))


def make_images(groups: int = 5, side: int = SIDE) -> Images:
    """Return groups of coloured squares by unknown authors: 4 or 5 classes in a group, 3 to 6 images of a class."""
    rng = np.random.default_rng(2)
    sizes = [[3 + (group + class_) % 4 for class_ in range(4 + group % 2)] for group in range(groups)]
    group_index = np.concatenate([[group] * sum(size) for group, size in enumerate(sizes)]).astype(np.int32)
    flat = [count for size in sizes for count in size]
    class_index = np.repeat(np.arange(len(flat)), flat).astype(np.int32)
    shapes = np.kron(rng.random((len(flat), 4, 4, 1)) < 0.5, np.ones((1, side // 4, side // 4, 1)))
    coloured = (shapes * rng.random((len(flat), 1, 1, 3)))[class_index]
    noisy = np.clip(coloured - 0.2 * rng.random(coloured.shape), 0, 1)
    return Images(
        images=(255 * noisy).astype(np.uint8),
        class_index=class_index,
        group_index=group_index,
        author=np.full(len(class_index), -1, np.int32),
        group_names=tuple(f"set {number}" for number in range(groups)),
    )


def make_params(spec: NetSpec, shape: tuple[int, int, int] = SHAPE, seed: int = 0) -> Params:
    """Return parameters to start from. They are one program: operation by operation would compile dozens."""
    return jax.jit(lambda key: init_params(key, spec, shape))(jax.random.key(seed))


def make_digits(side: int | None) -> Images:
    """Ten digits, five images of each, by nobody knows whom."""
    rng = np.random.default_rng(1)
    side = SIDE if side is None else side
    shapes = np.repeat(rng.random((10, side, side)) < 0.4, 5, axis=0)
    images = (255 * np.clip(shapes - 0.3 * rng.random((50, side, side)), 0, 1)).astype(np.uint8)
    return Images(
        images=images[..., None],
        class_index=np.repeat(np.arange(10), 5).astype(np.int32),
        group_index=np.zeros(50, np.int32),
        author=np.full(50, -1, np.int32),
        group_names=("digits",),
        origins=("evaluation",),
    )


def make_experiment(**changes) -> Experiment:
    """An experiment for `make_dataset`: 2 epochs of 9 steps of 4 pairs."""
    conv = ConvSpec(4, 2, pool=False)
    rule = LayerSpec(learning_rate=0.05, momentum=0.9, l2=1e-4)
    experiment = replace(
        find("omniglot_20way"),
        data=Omniglot(side=SIDE, train_pairs=12, validation_pairs=8, test_pairs=8),
        distort=DistortSpec(copies=2, translation=1.0),
        network=NetSpec(Conv(ConvSpec(4, 3, pool=True), conv, conv, conv, units=8)),
        optimizer=PaperSGD(dict.fromkeys(("conv1", "conv2", "conv3", "conv4", "fc", "out"), rule)),
        evaluation=EvalSpec(n_way=3, validation_trials=12, random_trials=12, embed_batch=16),
        batch_size=4,
        max_epochs=2,
        log_steps=4,
    )
    return replace(experiment, **changes)
