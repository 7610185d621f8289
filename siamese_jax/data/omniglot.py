"""Omniglot (Lake, Salakhutdinov and Tenenbaum 2015), prepared by TFDS, with drawers and the released one-shot runs."""

import io
import lzma
import re
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from siamese_jax.data import characters, store
from siamese_jax.data.archives import Archive, bad_archive, locate
from siamese_jax.data.characters import WAYS, run_features
from siamese_jax.records import Dataset, Images
from siamese_jax.specs import Omniglot

_PYTHON = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python"
ARCHIVES = (
    Archive(
        "images_background.zip",
        f"{_PYTHON}/images_background.zip",
        "ad41ab679c8b5d90b271ef46be6987cc81211774a695c29dcc5367b2b26ee640",
    ),
    Archive(
        "images_evaluation.zip",
        f"{_PYTHON}/images_evaluation.zip",
        "1f61a8f3366785b057fc117d9228e78a16e3d976c8953b2a10fcc74cf0609cee",
    ),
    Archive(
        "images_background_small1.zip",
        f"{_PYTHON}/images_background_small1.zip",
        "f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4",
    ),
    Archive(
        "images_background_small2.zip",
        f"{_PYTHON}/images_background_small2.zip",
        "3ccaa407515a8778e5d0861875af38b17e418f301ad5bb3b5a6b65d901a41c7f",
    ),
    Archive("all_runs.zip", f"{_PYTHON}/one-shot-classification/all_runs.zip"),
)

SIZES = {
    "images_background.zip": (30, 964),
    "images_evaluation.zip": (20, 659),
    "images_background_small1.zip": (5, 136),
    "images_background_small2.zip": (5, 156),
}
"""How many alphabets and characters each archive of images has; every character has 20 drawers."""

RUNS = 20


class Drawing(NamedTuple):
    """Names one drawing: `character` is its number in the archives, 1-1623, and `drawer` is 1-20."""

    alphabet: str
    character: int
    drawer: int


Drawings = Mapping[Drawing, np.ndarray]
"""The ink of each drawing, bool [105, 105], true for ink."""


class SiameseOmniglot(tfds.core.GeneratorBasedBuilder):
    """Config `characters`: all 1623 characters. Config `runs`: the 20 released runs, 400 trials.

    TFDS has a builder with the name Omniglot, without drawers. The metadata of `characters` hold the names of the
    alphabets in Lake's two small background sets.
    """

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = "siamese_jax.data.load finds or downloads the archives."
    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name="characters", description="Drawings, one record per character."),
        tfds.core.BuilderConfig(name="runs", description="One-shot runs, as characters and drawers."),
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Handwritten characters of 50 alphabets, each drawn once by each of 20 people.",
            homepage="https://github.com/brendenlake/omniglot",
            features=run_features() if characters.is_runs(self) else characters.features(),
            metadata=tfds.core.MetadataDict(),
            disable_shuffling=True,  # records are numbered in their order
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        folder = Path(dl_manager.manual_dir)
        evaluation = read_drawings(folder / "images_evaluation.zip")
        if characters.is_runs(self):
            return {characters.RUNS_SPLIT: enumerate(read_runs(folder / "all_runs.zip", evaluation))}
        background = read_drawings(folder / "images_background.zip")
        for name in ("background_small1", "background_small2"):
            small = folder / f"images_{name}.zip"
            subset = check_subset(small, read_drawings(small), background)
            self.info.metadata[name] = subset  # pyright: ignore[reportOptionalSubscript]  # `_info` makes it
        return {characters.SPLIT: self._generate_examples(background=background, evaluation=evaluation)}

    def _generate_examples(self, **parts: Drawings) -> Iterator[tuple[int, dict[str, Any]]]:
        for origin, drawings in parts.items():
            drawn = defaultdict(list)
            for drawing in sorted(drawings):
                drawn[drawing.alphabet, drawing.character].append(drawing)
            for (alphabet, character), by_drawer in drawn.items():
                ink = np.stack([drawings[drawing] for drawing in by_drawer])
                drawers = np.array([drawing.drawer for drawing in by_drawer])
                yield character, characters.encode(alphabet, origin, character, drawers, ink)


def load(spec: Omniglot, data_dir: str | None, archives: str | None) -> Dataset:
    """Return all images and the released runs; see `siamese_jax.data.load`."""
    characters.check_size(spec.downsample, spec.side)  # before minutes are spent on a download
    builders = _prepared(data_dir, archives)
    dataset = characters.load(builders, spec)
    return dataset._replace(images=_mark_unused(dataset.images, builders, spec))


def load_untested(spec: Omniglot, data_dir: str | None, archives: str | None) -> Dataset:
    """Return the data set without the alphabets of the released runs; see `siamese_jax.data.load`."""
    characters.check_size(spec.downsample, spec.side)
    builders = _prepared(data_dir, archives)
    return Dataset(_mark_unused(characters.load_untested(builders, spec), builders, spec))


def small_backgrounds(data_dir: str | None, archives: str | None) -> dict[str, tuple[str, ...]]:
    """Return the alphabets of each small background set; see `siamese_jax.data.small_backgrounds`."""
    return _small_backgrounds(_prepared(data_dir, archives))


def _prepared(data_dir: str | None, archives: str | None) -> list[store.Builder]:
    def find(downloads: Path) -> Path:
        return locate("omniglot", ARCHIVES, archives, downloads)

    return store.prepared(SiameseOmniglot, data_dir, find, characters.CONFIGS)


def _small_backgrounds(builders: list[store.Builder]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(names) for name, names in (builders[0].info.metadata or {}).items()}


def _mark_unused(images: Images, builders: list[store.Builder], spec: Omniglot) -> Images:
    """Mark the background alphabets that are not in `spec.background` as unused."""
    if spec.background == "all":
        return images
    kept = _small_backgrounds(builders)[f"background_{spec.background}"]
    released = zip(images.group_names, images.origins, strict=True)
    used = (origin if origin != "background" or name in kept else "unused" for name, origin in released)
    return images._replace(origins=tuple(used))


def read_drawings(path: Path) -> Drawings:
    """Return all drawings of an archive of images; UserError unless they are as many as were published."""
    drawings = {}
    for name, image in _members(path):
        match = re.fullmatch(r"[^/]+/([^/]+)/character\d+/(\d{4})_(\d{2})\.png", name)
        if match:
            drawings[Drawing(match[1], int(match[2]), int(match[3]))] = _ink(path, name, image)
    found = {(drawing.alphabet, drawing.character) for drawing in drawings}
    alphabets, count = SIZES[path.name]
    if (
        (len({alphabet for alphabet, _ in found}), len(found)) != (alphabets, count)
        or len({character for _, character in found}) != count
        or drawings.keys() != {Drawing(*one, drawer) for one in found for drawer in range(1, characters.DRAWERS + 1)}
    ):
        raise bad_archive(
            path,
            f"{len(drawings)} images of {len(found)} characters in {len({alphabet for alphabet, _ in found})} alphabets"
            f" instead of {count * characters.DRAWERS} of {count} in {alphabets}, 20 drawers each",
        )
    return drawings


def check_subset(path: Path, small: Drawings, background: Drawings) -> list[str]:
    """Return the alphabets of a small background set; UserError unless each drawing is one of the background."""
    for drawing, ink in small.items():
        if drawing not in background or not np.array_equal(ink, background[drawing]):
            raise bad_archive(path, f"character {drawing.character} by drawer {drawing.drawer} is not the background's")
    return sorted({drawing.alphabet for drawing in small})


def read_runs(path: Path, evaluation: Drawings) -> Iterator[dict[str, np.ndarray]]:
    """Yield the records of the 20 released runs, with each image found among the evaluation drawings.

    Args:
      path: all_runs.zip.
      evaluation: the drawings of images_evaluation.zip.

    Raises:
      UserError: an image is not one of these drawings, or class_labels.txt pairs different characters.
    """
    members = dict(_members(path))
    known = defaultdict(set)  # one image occurs twice in Omniglot
    for drawing, ink in evaluation.items():
        known[ink.tobytes()].add(drawing)
    for run in range(1, RUNS + 1):
        support = [f"run{run:02}/training/class{number:02}.png" for number in range(1, WAYS + 1)]
        query = [f"run{run:02}/test/item{number:02}.png" for number in range(1, WAYS + 1)]
        labels = f"run{run:02}/class_labels.txt"
        missing = {labels, *support, *query} - members.keys()
        if missing:
            raise bad_archive(path, f"it lacks {min(missing)}")
        lines = members[labels].decode("ascii", "replace").splitlines()
        matches = {item: of_class for item, _, of_class in (line.partition(" ") for line in lines)}
        supports, queries = (_identify(path, names, members, known) for names in (support, query))
        try:
            answer = [support.index(matches[name]) for name in query]
        except (KeyError, ValueError) as error:
            raise bad_archive(path, f"{labels} does not name a class for each item") from error
        if [supports[index].character for index in answer] != [drawing.character for drawing in queries]:
            raise bad_archive(path, f"{labels} pairs different characters")
        yield {
            "support": np.array([drawing[1:] for drawing in supports], np.int32),
            "query": np.array([drawing[1:] for drawing in queries], np.int32),
            "answer": np.array(answer, np.int32),
        }


def _identify(
    path: Path, names: Sequence[str], members: Mapping[str, bytes], known: Mapping[bytes, set[Drawing]]
) -> list[Drawing]:
    """Return the drawings of the named images. All are by one drawer of one alphabet; this decides between equals."""
    candidates = [known.get(_ink(path, name, members[name]).tobytes(), set()) for name in names]
    for name, found in zip(names, candidates, strict=True):
        if not found:
            raise bad_archive(path, f"{name} is not among the evaluation images")
    hands = set.intersection(*({(one.alphabet, one.drawer) for one in found} for found in candidates))
    chosen = [[one for one in found if (one.alphabet, one.drawer) in hands] for found in candidates]
    if len({one.character for found in chosen for one in found}) != len(names) or len(hands) != 1:
        raise bad_archive(path, f"{names[0]} to {names[-1]} are not {len(names)} characters by one drawer")
    return [one for (one,) in chosen]


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield name, archive.read(name)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, ValueError) as error:
        raise bad_archive(path, error) from error


def _ink(path: Path, name: str, image: bytes) -> np.ndarray:
    """Return the ink of a one-bit PNG, in which ink is 0: bool [105, 105], true for ink."""
    try:
        with Image.open(io.BytesIO(image)) as opened:
            pixels = np.asarray(opened)
    except (OSError, SyntaxError, ValueError) as error:
        raise bad_archive(path, f"{name}: {error}") from error
    if pixels.dtype != bool or pixels.shape != (characters.SIDE, characters.SIDE):
        raise bad_archive(path, f"{name} is not 105×105 pixels of one bit")
    return ~pixels
