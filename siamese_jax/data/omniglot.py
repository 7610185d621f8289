"""Omniglot (Lake, Salakhutdinov and Tenenbaum 2015), prepared by TFDS, with drawers and the released one-shot runs."""

import io
import re
import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from siamese_jax.data import characters, digests, store
from siamese_jax.data.archives import copies_of, first_right, locate
from siamese_jax.data.characters import WAYS, run_features
from siamese_jax.data.download import Archive
from siamese_jax.data.members import bad_archive, read_members
from siamese_jax.records import Dataset, Images
from siamese_jax.specs import Omniglot

_PYTHON = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python"
IMAGES = {
    "background": Archive(
        "images_background.zip",
        f"{_PYTHON}/images_background.zip",
        "ad41ab679c8b5d90b271ef46be6987cc81211774a695c29dcc5367b2b26ee640",
        usual=r"images_background(?![a-z_])[^.]*(\.zip)?",
        inside="Korean",
    ),
    "evaluation": Archive(
        "images_evaluation.zip",
        f"{_PYTHON}/images_evaluation.zip",
        "1f61a8f3366785b057fc117d9228e78a16e3d976c8953b2a10fcc74cf0609cee",
        usual=r"images_evaluation(?![a-z_])[^.]*(\.zip)?",
        inside="ULOG",
    ),
}
"""The archives of images by origin."""
ALL_RUNS = Archive(
    "all_runs.zip",
    f"{_PYTHON}/one-shot-classification/all_runs.zip",
    usual=r"all_runs(?![a-z_])[^.]*(\.zip)?",
    inside="run01",  # the archive has no folder of its own
)
ARCHIVES = (*IMAGES.values(), ALL_RUNS)

RUNS = 20


class Drawing(NamedTuple):
    """Names one drawing: `character` is its number in the archives, 1-1623, and `drawer` is 1-20."""

    alphabet: str
    character: int
    drawer: int


Drawings = Mapping[Drawing, np.ndarray]
"""The ink of each drawing, bool [105, 105], true for ink."""


class SiameseOmniglot(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Config `characters`: all 1623 characters. Config `runs`: the 20 released runs, 400 trials.

    TFDS has a builder with the name Omniglot, without drawers.
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
            disable_shuffling=True,  # records are numbered in their order
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        folder = Path(dl_manager.manual_dir)
        if characters.is_runs(self):
            evaluation = _drawings(folder, "evaluation")
            return {characters.RUNS_SPLIT: enumerate(_runs(folder, evaluation))}
        return {characters.SPLIT: self._generate_examples({origin: _drawings(folder, origin) for origin in IMAGES})}

    def _generate_examples(self, parts: Mapping[str, Drawings]) -> Iterator[tuple[int, dict[str, Any]]]:
        for origin, drawings in parts.items():
            for (alphabet, character), ink in _by_character(drawings).items():
                drawers = np.arange(1, characters.DRAWERS + 1)
                yield character, characters.encode(alphabet, origin, character, drawers, ink)


def load(spec: Omniglot, data_dir: str | None, archives: str | None) -> Dataset:
    """Return all images and the released runs; see `siamese_jax.data.load`."""
    characters.check_size(spec.downsample, spec.side)  # before minutes are spent on a download
    builders = _prepared(data_dir, archives)
    dataset = characters.load(builders, spec, check)
    return dataset._replace(images=_mark_unused(dataset.images, spec))


def load_untested(spec: Omniglot, data_dir: str | None, archives: str | None) -> Dataset:
    """Return the data set without the alphabets of the released runs; see `siamese_jax.data.load`."""
    characters.check_size(spec.downsample, spec.side)
    builders = _prepared(data_dir, archives)
    return Dataset(_mark_unused(characters.load_untested(builders, spec, check), spec))


def _prepared(data_dir: str | None, archives: str | None) -> list[store.Builder]:
    def find(downloads: Path) -> Path:
        return locate("omniglot", ARCHIVES, archives, downloads)

    return store.prepared(SiameseOmniglot, data_dir, find, characters.CONFIGS)


def _mark_unused(images: Images, spec: Omniglot) -> Images:
    """Mark the background alphabets that are not in `spec.background` as unused."""
    if spec.background == "all":
        return images
    kept = digests.SMALL[f"background_{spec.background}"]
    released = zip(images.group_names, images.origins, strict=True)
    used = (origin if origin != "background" or name in kept else "unused" for name, origin in released)
    return images._replace(origins=tuple(used))


def check(config: str, records: Sequence[Mapping[str, Any]]) -> str | None:
    """Return how prepared records differ from the published data; None if they do not."""
    if config == characters.RUNS_SPLIT:
        return _difference_of_runs(records)
    found: dict[tuple[str, str], dict[int, bytes]] = defaultdict(dict)
    for record in records:
        if record["drawers"].tolist() != list(range(1, characters.DRAWERS + 1)):
            return f"character {record['character']} has other drawers than 1 to {characters.DRAWERS}"
        released = record["alphabet"].decode(), record["origin"].decode()
        found[released][int(record["character"])] = record["drawings"]
    if found.keys() != {(name, published.origin) for name, published in digests.ALPHABETS.items()}:
        return "its alphabets are not the published ones"
    for (name, _), drawn in found.items():
        if sorted(drawn) != list(digests.ALPHABETS[name].numbers):
            return f"the characters of {name} are not the published ones"
        problem = digests.difference(name, [drawn[number] for number in sorted(drawn)])
        if problem:
            return problem
    return None


def _difference_of_runs(records: Sequence[Mapping[str, np.ndarray]]) -> str | None:
    parts = (np.asarray(run[part], np.int32).tobytes() for run in records for part in ("support", "query", "answer"))
    return None if digests.digest_of(parts) == digests.RUNS else "its runs are not the published ones"


def _drawings(folder: Path, origin: str) -> Drawings:
    return first_right(copies_of(IMAGES[origin], folder), lambda path: read_drawings(path, origin))


def _runs(folder: Path, evaluation: Drawings) -> list[dict[str, np.ndarray]]:
    def read(path: Path) -> list[dict[str, np.ndarray]]:
        runs = list(read_runs(path, evaluation))
        problem = _difference_of_runs(runs)
        if problem:
            raise bad_archive(path, problem)
        return runs

    return first_right(copies_of(ALL_RUNS, folder), read)


def _by_character(drawings: Drawings) -> dict[tuple[str, int], np.ndarray]:
    """Return the ink [20, 105, 105] of each character, sorted by alphabet and number, each by drawer."""
    drawn = defaultdict(list)
    for drawing in sorted(drawings):
        drawn[drawing.alphabet, drawing.character].append(drawings[drawing])
    return {character: np.stack(ink) for character, ink in drawn.items()}


_DRAWING = re.compile(r"(?:.*/)?([^/]+)/character\d+/(\d{4})_(\d{2})\.png")
_OF_RUN = re.compile(r"(?:.*/)?(run\d\d/(?:class_labels\.txt|(?:training/class|test/item)\d\d\.png))")


def read_drawings(path: Path, origin: str) -> Drawings:
    """Return the published drawings in a zip or in a folder.

    Args:
      path: the zip or the folder. Whatever else it holds is ignored.
      origin: "background" or "evaluation".

    Raises:
      UserError: a drawing is missing, or the drawings of an alphabet are not the published ones.
    """
    published = {name: alphabet for name, alphabet in digests.ALPHABETS.items() if alphabet.origin == origin}
    drawings = {}
    for match, image in read_members(path, _DRAWING):
        drawing = Drawing(match[1], int(match[2]), int(match[3]))
        if drawing.alphabet in published and drawing.character in published[drawing.alphabet].numbers:
            drawings[drawing] = _ink(path, match[0], image)
    for name, alphabet in published.items():
        drawers = range(1, characters.DRAWERS + 1)
        wanted = {Drawing(name, number, drawer) for number in alphabet.numbers for drawer in drawers}
        missing = wanted - drawings.keys()
        if missing == wanted:
            raise bad_archive(path, f"it lacks the alphabet {name}")
        if missing:
            _, number, drawer = min(missing)
            raise bad_archive(path, f"of {name}, it lacks character {number} by drawer {drawer}")
    packed = defaultdict(list)
    for (name, _), ink in _by_character(drawings).items():
        packed[name].append(np.packbits(ink).tobytes())
    for name, of_alphabet in packed.items():
        problem = digests.difference(name, of_alphabet)
        if problem:
            raise bad_archive(path, problem)
    return drawings


def read_runs(path: Path, evaluation: Drawings) -> Iterator[dict[str, np.ndarray]]:
    """Yield the records of the 20 released runs, with each image found among the evaluation drawings.

    Args:
      path: all_runs.zip, or a folder with its content.
      evaluation: the drawings of images_evaluation.zip.

    Raises:
      UserError: an image is not one of these drawings, or class_labels.txt pairs different characters.
    """
    members = {match[1]: content for match, content in read_members(path, _OF_RUN)}
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


def _ink(path: Path, name: str, image: bytes) -> np.ndarray:
    """Return the ink of a one-bit PNG, in which ink is 0: bool [105, 105], true for ink."""
    size = struct.pack(">4sII", b"IHDR", characters.SIDE, characters.SIDE)
    if image.startswith(b"\x89PNG") and image[12:24] != size:  # before memory is taken for it
        raise bad_archive(path, f"{name} is not 105×105 pixels of one bit")
    try:
        with Image.open(io.BytesIO(image), formats=("PNG",)) as opened:
            pixels = np.asarray(opened)
    except (OSError, SyntaxError, ValueError) as error:
        raise bad_archive(path, f"{name}: {error}") from error
    if pixels.dtype != bool or pixels.shape != (characters.SIDE, characters.SIDE):
        raise bad_archive(path, f"{name} is not 105×105 pixels of one bit")
    return ~pixels
