"""How drawn characters and one-shot runs are stored and read back. Drawings are packed, eight pixels to a byte.

A record of split `characters` is one character:

alphabet   its name                  origin    "background" or "evaluation"
character  its number, from 1, unique over all alphabets
drawers    [20] int32, who drew it   drawings  np.packbits of the ink [20, 105, 105], 1 for ink

A record of split `runs` is one one-shot run, its images given as (character, drawer):

    support [20, 2] one for each class   query [20, 2]   answer [20] the class of each query
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from siamese_jax.errors import UserError
from siamese_jax.images.resize import average_areas, average_blocks
from siamese_jax.records import Episodes, Images, Words

DRAWERS = 20
SIDE = 105
WAYS = 20
SPLIT, RUNS_SPLIT = "characters", "runs"
"""The configs that a builder of characters has; each has one split, named like it."""


def features() -> tfds.features.FeaturesDict:
    """Returns the TFDS features of one character; none of them needs TensorFlow."""
    return tfds.features.FeaturesDict(
        {
            "alphabet": tfds.features.Text(),
            "origin": tfds.features.Text(),
            "character": tfds.features.Scalar(np.int32),
            "drawers": tfds.features.Tensor(shape=(DRAWERS,), dtype=np.int32),
            "drawings": tfds.features.Tensor(shape=(), dtype=np.object_),  # of bytes; an array of them reads slower
        }
    )


def run_features() -> tfds.features.FeaturesDict:
    """Returns the TFDS features of one run."""
    return tfds.features.FeaturesDict(
        {
            "support": tfds.features.Tensor(shape=(WAYS, 2), dtype=np.int32),
            "query": tfds.features.Tensor(shape=(WAYS, 2), dtype=np.int32),
            "answer": tfds.features.Tensor(shape=(WAYS,), dtype=np.int32),
        }
    )


def encode(alphabet: str, origin: str, character: int, drawers: np.ndarray, ink: np.ndarray) -> dict[str, Any]:
    """Returns the record of one character from `ink` [20, 105, 105], true or 1 for ink; `drawers` [20] in its order."""
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


def decode(records: Iterable[Mapping[str, Any]], downsample: int = 1, side: int = 0) -> tuple[Images, np.ndarray]:
    """Returns all records as Images, and each character's number in the archive [characters] int32.

    Background alphabets come first, then evaluation ones, each in alphabetical order. Blocks of `downsample` ×
    `downsample` pixels are averaged into one, rounded to uint8; or images are resized to `side` unless that is 0.
    UserError if 105 is not a multiple of `downsample`, or less than `side`, or both are asked for.
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
        words=Words("alphabet", "character", "drawer"),
    ), np.array([record["character"] for record in records], np.int32)


def decode_runs(records: Iterable[Mapping[str, np.ndarray]], numbers: np.ndarray) -> Episodes:
    """Returns the runs as rows of the Images whose characters have these `numbers`, as from `decode`."""
    first_row = {number: DRAWERS * place for place, number in enumerate(numbers.tolist())}

    def rows(part: str) -> np.ndarray:
        return np.array([[first_row[number] + drawer - 1 for number, drawer in run[part].tolist()] for run in records])

    records = list(records)
    return Episodes(
        support=rows("support").astype(np.int32)[..., None],
        query=rows("query").astype(np.int32),
        answer=np.stack([run["answer"] for run in records]),
    )


def check_size(k: int, side: int = 0) -> None:
    """Raises UserError unless blocks of k×k pixels tile an image of 105×105, or it can be resized to side×side."""
    if side and (k != 1 or side > SIDE):
        raise UserError(f"data.side={side} cannot be had with data.downsample={k}: take 1 to {SIDE}, and downsample=1")
    if k < 1 or SIDE % k:
        raise UserError(
            f"downsample={k} does not divide {SIDE} pixels, the side of an image: use 1, 3, 5, 7, 15, 21 or 35"
        )
