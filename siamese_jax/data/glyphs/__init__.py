"""Glyphs: simulated handwriting that needs no download, made from the fonts that come with matplotlib.

Sixteen scripts are the alphabets. Each of their characters is thinned to the strokes that it is written with, and these
strokes are drawn by twenty simulated drawers. As in Omniglot, every alphabet has its own drawers, the first eight of
them draw the one-shot runs, and a few letters occur in several alphabets. The result depends on this code alone: all
random numbers follow from `SEED`, the code point, the alphabet and the drawer.
"""

import functools
import unicodedata
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import tensorflow_datasets as tfds
from matplotlib.ft2font import FT2Font, LoadFlags
from scipy import ndimage

from siamese_jax.data import characters, store
from siamese_jax.data.glyphs import pens
from siamese_jax.records import Dataset
from siamese_jax.specs import Characters

SEED = 2015
PRINT_SIDE = 72
"""Longest side of a printed character before it is thinned, pixels."""
ALIKE = 0.06
"""Characters of an alphabet with a smaller distance (see `distances`) count as one: "c" is a small "C"."""
RUNS_PER_ALPHABET = 5
RUN_DRAWERS = 8


class Script(NamedTuple):
    """An alphabet: a font of matplotlib, and ranges of code points, both ends included."""

    font: str
    ranges: tuple[tuple[int, int], ...]


BACKGROUND = {
    "Arabic": Script("DejaVuSans", ((0x621, 0x64A), (0x661, 0x669), (0x671, 0x6D3))),
    "Armenian": Script("DejaVuSans", ((0x531, 0x556), (0x561, 0x587))),
    "Asomtavruli": Script("DejaVuSans", ((0x10A0, 0x10C5),)),
    "Cree": Script("DejaVuSans", ((0x142F, 0x1482),)),
    "Cyrillic": Script("DejaVuSans", ((0x402, 0x42F), (0x460, 0x480))),
    "Greek": Script("DejaVuSans", ((0x391, 0x3C9), (0x3D0, 0x3E1))),
    "Latin": Script("DejaVuSans", ((0x41, 0x5A), (0x61, 0x7A))),
    "Tifinagh": Script("DejaVuSans", ((0x2D30, 0x2D67),)),
}
VALIDATION = {
    "Fraktur": Script("STIXGeneral", ((0x1D504, 0x1D537),)),
    "Hebrew": Script("DejaVuSans", ((0x5D0, 0x5F2),)),
    "Nuskhuri": Script("DejaVuSans", ((0x2D00, 0x2D25),)),
    "Old_Italic": Script("DejaVuSans", ((0x10300, 0x10323),)),
}
TEST = {
    "Lao": Script("DejaVuSans", ((0xE81, 0xEDB),)),
    "Lisu": Script("DejaVuSans", ((0xA4D0, 0xA4F7),)),
    "Mkhedruli": Script("DejaVuSans", ((0x10D0, 0x10FA),)),
    "NKo": Script("DejaVuSans", ((0x7CA, 0x7EA),)),
}
ORIGINS = {"background": BACKGROUND, "evaluation": dict(sorted((VALIDATION | TEST).items()))}


class Glyphs(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Config `characters`: all characters of 16 scripts. Config `runs`: 20 one-shot runs over the four of `TEST`."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name=characters.SPLIT, description="Drawings, one record per character."),
        tfds.core.BuilderConfig(name=characters.RUNS_SPLIT, description="One-shot runs, as characters and drawers."),
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Characters of 16 scripts, each drawn once by each of 20 simulated drawers.",
            homepage="https://dejavu-fonts.github.io",
            features=characters.run_features() if characters.is_runs(self) else characters.features(),
            disable_shuffling=True,  # records are numbered in their order
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        if characters.is_runs(self):
            return {characters.RUNS_SPLIT: enumerate(make_runs(number_characters()))}
        return {characters.SPLIT: self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
        drawers = np.arange(1, characters.DRAWERS + 1)
        numbers = number_characters()
        for origin, scripts in ORIGINS.items():
            for alphabet in scripts:
                for number, (code, strokes) in numbers[alphabet].items():
                    ink = np.stack([draw(alphabet, code, strokes, drawer) for drawer in drawers.tolist()])
                    yield number, characters.encode(alphabet, origin, number, drawers, ink)


def load(spec: Characters, data_dir: str | None, archives: str | None) -> Dataset:
    """Return all images and the runs; there are no archives."""
    characters.check_size(spec.downsample, spec.side)  # before minutes are spent on preparing
    return characters.load(store.prepared(Glyphs, data_dir, configs=characters.CONFIGS), spec)


def load_untested(spec: Characters, data_dir: str | None, archives: str | None) -> Dataset:
    """Return the images without the test alphabets; there are no archives."""
    characters.check_size(spec.downsample, spec.side)
    return Dataset(characters.load_untested(store.prepared(Glyphs, data_dir, configs=characters.CONFIGS), spec))


def number_characters() -> dict[str, dict[int, tuple[int, list[np.ndarray]]]]:
    """Return the characters of each alphabet by number, as (code point, strokes).

    Numbers start from 1 and go on over all alphabets.
    """
    numbered, number = {}, 1
    for scripts in ORIGINS.values():
        for alphabet, script in scripts.items():
            found = trace_script(script)
            numbered[alphabet] = dict(enumerate(found.items(), start=number))
            number += len(found)
    return numbered


@functools.cache
def trace_script(script: Script) -> dict[int, list[np.ndarray]]:
    """Return the strokes of a script's letters and digits by code point, without those `ALIKE` to an earlier one."""
    font = FT2Font(str(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{script.font}.ttf")))
    exists = font.get_charmap()
    codes = [code for first, last in script.ranges for code in range(first, last + 1) if code in exists]
    # Marks and signs are not characters.
    codes = [code for code in codes if unicodedata.category(chr(code))[0] in "LN"]
    traced = {code: pens.trace(rasterise(font, chr(code))) for code in codes}
    # Dots alone are not characters either.
    codes = [code for code in codes if len(traced[code][0]) > PRINT_SIDE // 3]
    apart = distances([traced[code] for code in codes]) >= ALIKE
    kept = []
    for index in range(len(codes)):
        if apart[index, kept].all():
            kept.append(index)
    return {codes[index]: traced[codes[index]] for index in kept}


def rasterise(font: FT2Font, character: str) -> np.ndarray:
    """Return a printed character, bool [H, W], `PRINT_SIDE` pixels high or wide, with an empty border."""
    size = PRINT_SIDE
    for _ in range(2):  # once to measure, once to print
        font.set_size(size, 72)
        font.set_text(character, 0.0, flags=LoadFlags.NO_HINTING)
        size *= 64 * PRINT_SIDE / max(font.get_width_height())
    font.draw_glyphs_to_bitmap(antialiased=True)
    return np.pad(np.asarray(font.get_image()) > 127, 2)


def distances(traced: list[list[np.ndarray]], cells: int = 40) -> np.ndarray:
    """Return the distances [N, N] of characters, as fractions of their box; the size in print does not matter.

    The distance is the root mean square of the distances from the points of one character to the nearest ink of the
    other, in the direction in which it is larger. With squares, a single dot more or less counts.

    Args:
      traced: the strokes of N characters, from `pens.trace`.
      cells: rows and columns of the grid that the strokes are put on.
    """
    lines = np.zeros((len(traced), cells, cells), bool)
    for line, strokes in zip(lines, traced, strict=True):
        row, column = np.rint((np.concatenate(strokes) + 0.5) * (cells - 1)).astype(int).T
        line[row, column] = True
    to_ink = [np.asarray(ndimage.distance_transform_edt(~line)) for line in lines]
    squares = np.stack(to_ink).reshape(len(lines), -1) ** 2
    share = lines.reshape(len(lines), -1) / lines.sum((1, 2))[:, None]
    oneway = np.sqrt(share @ squares.T) / (cells - 1)
    return np.maximum(oneway, oneway.T)


def draw(alphabet: str, code: int, strokes: list[np.ndarray], drawer: int) -> np.ndarray:
    """Return the character `code` as `drawer` (1-20) of `alphabet` draws it: bool [105, 105], true for ink."""
    return pens.draw(strokes, hand_of(alphabet, drawer), characters.SIDE, _generator(alphabet, drawer, code))


@functools.cache
def hand_of(alphabet: str, drawer: int) -> pens.Hand:
    """Return the hand of `drawer` (1-20) of `alphabet`."""
    return pens.sample_hand(_generator(alphabet, drawer))


def make_runs(numbers: Mapping[str, Mapping[int, Any]]) -> Iterator[dict[str, np.ndarray]]:
    """Yield the records of 20 runs, five for each test alphabet: 20 of its characters by two of its drawers 1-8."""
    for alphabet in TEST:
        for run in range(RUNS_PER_ALPHABET):
            generator = _generator(alphabet, 0, run)
            chosen = generator.choice(list(numbers[alphabet]), characters.WAYS, replace=False)
            first, second = generator.choice(RUN_DRAWERS, 2, replace=False) + 1
            answer = generator.permutation(characters.WAYS)
            yield {
                "support": np.stack([chosen, np.full(characters.WAYS, first)], axis=1).astype(np.int32),
                "query": np.stack([chosen[answer], np.full(characters.WAYS, second)], axis=1).astype(np.int32),
                "answer": answer.astype(np.int32),
            }


def _generator(alphabet: str, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([SEED, zlib.crc32(alphabet.encode()), *key]))
