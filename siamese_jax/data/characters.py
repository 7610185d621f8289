"""How drawn characters and one-shot runs are stored and read back. Drawings are packed, eight pixels to a byte.

A record of the config `characters` is one character:

    alphabet   its name                  origin    "background" or "evaluation"
    character  its number, from 1, unique over all alphabets
    drawers    [20] int32, who drew it   drawings  np.packbits of the ink [20, 105, 105], 1 for ink

A record of the config `runs` is one one-shot run. Its images are given as (character, drawer):

    support [20, 2] one of each class    query [20, 2]   answer [20] the class of each query
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from siamese_jax.data import store
from siamese_jax.errors import UserError
from siamese_jax.images.resize import average_areas, average_blocks
from siamese_jax.records import Dataset, Episodes, Images
from siamese_jax.specs import Characters

DRAWERS = 20
SIDE = 105
WAYS = 20
SPLIT, RUNS_SPLIT = "characters", "runs"
"""The configs of a builder of characters. Each has one split, which has the name of the config."""
CONFIGS = (SPLIT, RUNS_SPLIT)

Check = Callable[[str, Sequence[Mapping[str, Any]]], str | None]
"""Returns what is wrong with the records of a config; None if nothing is."""


def is_runs(builder: store.Builder) -> bool:
    """Return whether a builder is of the config with the one-shot runs."""
    config = builder.builder_config
    return config is not None and config.name == RUNS_SPLIT


def features() -> tfds.features.FeaturesDict:
    """Return the TFDS features of one character; none of them needs TensorFlow."""
    return tfds.features.FeaturesDict(
        {
            "alphabet": tfds.features.Text(),
            "origin": tfds.features.Text(),
            "character": tfds.features.Scalar(np.int32),
            "drawers": tfds.features.Tensor(shape=(DRAWERS,), dtype=np.int32),
            "drawings": tfds.features.Tensor(shape=(), dtype=np.object_),  # bytes; an array of them reads slower
        }
    )


def run_features() -> tfds.features.FeaturesDict:
    """Return the TFDS features of one run."""
    return tfds.features.FeaturesDict(
        {
            "support": tfds.features.Tensor(shape=(WAYS, 2), dtype=np.int32),
            "query": tfds.features.Tensor(shape=(WAYS, 2), dtype=np.int32),
            "answer": tfds.features.Tensor(shape=(WAYS,), dtype=np.int32),
        }
    )


def encode(alphabet: str, origin: str, character: int, drawers: np.ndarray, ink: np.ndarray) -> dict[str, Any]:
    """Return the record of one character.

    Args:
      alphabet: its name.
      origin: "background" or "evaluation".
      character: the number of the character.
      drawers: int [20], in any order.
      ink: [20, 105, 105] in the same order, true or 1 for ink.
    """
    if ink.shape != (DRAWERS, SIDE, SIDE):
        raise ValueError(f"the drawings of character {character} have shape {ink.shape}, not (20, 105, 105)")
    order = np.argsort(drawers)
    return {
        "alphabet": alphabet,
        "origin": origin,
        "character": character,
        "drawers": np.asarray(drawers, np.int32)[order],
        "drawings": np.packbits(ink[order].astype(bool)).tobytes(),
    }


def load(builders: list[store.Builder], spec: Characters, check: Check | None = None) -> Dataset:
    """Return all images of prepared builders, and their runs as episodes.

    Args:
      builders: one for each of CONFIGS.
      spec: the size of the images.
      check: what the records must pass; it returns what is wrong with the records of a config, or None.

    Raises:
      UserError: the prepared data are damaged.
    """
    drawn, runs = _read(builders, check)
    images, numbers = decode(drawn, spec.downsample, spec.side)
    return Dataset(images, decode_runs(runs, numbers))


def load_untested(builders: list[store.Builder], spec: Characters, check: Check | None = None) -> Images:
    """Return the images without the alphabets of the runs, as `load`. The drawings of these stay packed."""
    drawn, runs = _read(builders, check)
    tested = {number for run in runs for number in run["query"][:, 0].tolist()}
    left_out = {(record["origin"], record["alphabet"]) for record in drawn if record["character"] in tested}
    others = [record for record in drawn if (record["origin"], record["alphabet"]) not in left_out]
    return decode(others, spec.downsample, spec.side)[0]


def _read(builders: list[store.Builder], check: Check | None) -> list[list[dict[str, Any]]]:
    """Return the records of each config; UserError unless they pass the check."""
    read = []
    for builder, config in zip(builders, CONFIGS, strict=True):
        records = store.read(builder, config)
        problem = check(config, records) if check else None
        if problem:
            raise store.damaged(builder, problem)
        read.append(records)
    return read


def decode(records: Iterable[Mapping[str, Any]], downsample: int = 1, side: int = 0) -> tuple[Images, np.ndarray]:
    """Return all records as Images, background alphabets first, each part in alphabetical order.

    Args:
      records: of characters, in any order.
      downsample: blocks of so many pixels squared become their mean.
      side: rows and columns to resize the images to; 0 leaves them.

    Returns:
      The images, and the number of each class in the records, int32 [K].

    Raises:
      UserError: the size is not possible; see `check_size`.
    """
    check_size(downsample, side)
    records = sorted(records, key=lambda record: (record["origin"], record["alphabet"], record["character"]))
    resize, side = bool(side), side or SIDE // downsample
    images = np.empty((len(records), DRAWERS, side, side), np.uint8)
    for drawings, record in zip(images, records, strict=True):
        packed = np.frombuffer(record["drawings"], np.uint8)
        ink = np.unpackbits(packed, count=DRAWERS * SIDE * SIDE).reshape(DRAWERS, SIDE, SIDE)
        full = np.negative(ink, out=ink)  # as uint8, -1 is 255
        drawings[:] = average_areas(full, side) if resize else average_blocks(full, downsample)

    released = [(record["alphabet"].decode(), record["origin"].decode()) for record in records]
    alphabets = list(dict.fromkeys(released))
    names, origins = zip(*alphabets, strict=True)
    return Images(
        images=images.reshape(-1, side, side, 1),
        class_index=np.repeat(np.arange(len(records), dtype=np.int32), DRAWERS),
        group_index=np.repeat(np.array([alphabets.index(alphabet) for alphabet in released], np.int32), DRAWERS),
        author=np.concatenate([record["drawers"] for record in records]).astype(np.int32),
        group_names=names,
        origins=origins,
    ), np.array([record["character"] for record in records], np.int32)


def decode_runs(records: Iterable[Mapping[str, np.ndarray]], numbers: np.ndarray) -> Episodes:
    """Return the runs as episodes.

    Args:
      records: of runs.
      numbers: int [K], the number of each class, from `decode`. Rows index the images that it returned with them.
    """
    first_row = {number: DRAWERS * class_ for class_, number in enumerate(numbers.tolist())}

    def rows(part: str) -> np.ndarray:
        return np.array([[first_row[number] + drawer - 1 for number, drawer in run[part].tolist()] for run in records])

    records = list(records)
    return Episodes(
        support=rows("support").astype(np.int32)[..., None],
        query=rows("query").astype(np.int32),
        answer=np.stack([run["answer"] for run in records]),
    )


def check_size(downsample: int, side: int = 0) -> None:
    """Raise UserError unless an image of 105×105 can have this size.

    Args:
      downsample: side of the blocks of pixels that become their mean; it must divide 105.
      side: rows and columns to resize to, at most 105 and with downsample 1; 0 leaves the size.
    """
    if side and (downsample != 1 or side > SIDE):
        raise UserError(
            f"data.side={side} with data.downsample={downsample} is not possible: take a side from 1 to {SIDE}, with "
            "downsample=1"
        )
    if downsample < 1 or SIDE % downsample:
        raise UserError(
            f"data.downsample={downsample} does not divide {SIDE}, the pixels of a side: take 1, 3, 5, 7, 15, 21 or 35"
        )
