"""Data sets as arrays: prepared once by a TFDS builder, then read whole in under a second. Needs no TensorFlow.

Importing this is cheap; TFDS is imported when something is loaded.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from siamese_jax import extras
from siamese_jax.errors import UserError
from siamese_jax.records import Dataset, Images
from siamese_jax.specs import DataSpec, InMemory, Omniglot


def load(spec: DataSpec, data_dir: str | None = None, archives: str | None = None) -> Dataset:
    """Returns all images of the data set `spec.name`, downsampled or resized as it says, and its released runs.

    It is prepared under `data_dir` (None: TFDS's own default, see TFDS_DATA_DIR) if it is not there yet: from the files
    in the folder `archives` or in its subfolder `spec.name`, else from a download. Raises UserError for what the user
    can mend: no network, files that are missing, damaged or not the published ones, a full or read-only disk, damaged
    prepared data, a `downsample` that does not divide the images' side or goes with a `side`, a `side` that is larger
    than the images, a `background` that the data set does not have.
    """
    extras.require("data")
    from siamese_jax.data import characters

    records, runs, metadata = _read(spec, data_dir, archives)
    alphabets, numbers = characters.decode(records, spec.downsample, spec.side)
    return Dataset(_only(alphabets, spec, metadata), characters.decode_runs(runs, numbers))


def load_untested(spec: DataSpec, data_dir: str | None = None, archives: str | None = None) -> Images:
    """Returns all images but those of test alphabets, which the released runs name: their drawings stay packed.

    Prepares, and raises UserError, as `load` does.
    """
    extras.require("data")
    from siamese_jax.data import characters

    records, runs, metadata = _read(spec, data_dir, archives)
    tested = {number for run in runs for number in run["query"][:, 0].tolist()}
    of_test = {(record["origin"], record["alphabet"]) for record in records if record["character"] in tested}
    others = [record for record in records if (record["origin"], record["alphabet"]) not in of_test]
    return _only(characters.decode(others, spec.downsample, spec.side)[0], spec, metadata)


def small_backgrounds(data_dir: str | None = None, archives: str | None = None) -> dict[str, tuple[str, ...]]:
    """Returns the alphabets of "background_small1" and "background_small2", five each (Lake et al., 2015).

    Their drawings are the background's own. Prepares, and raises UserError, as `load` does.
    """
    extras.require("data")
    return {name: tuple(names) for name, names in _omniglot(data_dir, archives)[0].info.metadata.items()}


def load_digits(side: int | None = None, data_dir: str | None = None, archives: str | None = None) -> Images:
    """Returns MNIST's 10,000 test images as ten characters of one alphabet, resized to side×side (bilinear) if given.

    Who drew them is not known: `drawer` is 0. Prepares, and raises UserError, as `load` does.
    """
    extras.require("data")
    from siamese_jax.data import mnist

    return mnist.as_characters(*mnist.load(data_dir, archives)["test"], side)


def load_mnist(data_dir: str | None = None, archives: str | None = None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns images uint8 [N, 28, 28], 0 for paper to 255 for ink, and labels int32 [N] of `train` and `test`.

    Prepares, and raises UserError, as `load` does.
    """
    extras.require("data")
    from siamese_jax.data import mnist

    return mnist.load(data_dir, archives)


def _read(
    spec: DataSpec, data_dir: str | None, archives: str | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Mapping[str, Sequence[str]]]:
    """Returns the records of all characters, those of the runs, and the metadata of the first."""
    if isinstance(spec, InMemory):
        raise UserError("data.name=in_memory has no images to load: use siamese_jax.train(…, dataset=Dataset(images))")
    from siamese_jax.data import characters, store

    characters.check_size(spec.downsample, spec.side)  # before minutes are spent on a download
    drawn, runs = _glyphs(data_dir) if spec.name == "glyphs" else _omniglot(data_dir, archives)
    return store.read(drawn, characters.SPLIT), store.read(runs, characters.RUNS_SPLIT), drawn.info.metadata or {}


def _only(alphabets: Images, spec: DataSpec, sets: Mapping[str, Sequence[str]]) -> Images:
    """Marks all background alphabets as unused but those of the small set that `spec.background` names."""
    if not isinstance(spec, Omniglot) or spec.background == "all":
        return alphabets
    kept = sets[f"background_{spec.background}"]
    released = zip(alphabets.group_names, alphabets.origins, strict=True)
    used = (origin if origin != "background" or name in kept else "unused" for name, origin in released)
    return alphabets._replace(origins=tuple(used))


def _glyphs(data_dir: str | None):
    """Returns the prepared builders of the made-up characters and of their runs."""
    from siamese_jax.data import characters, store
    from siamese_jax.data.glyphs import Glyphs

    return store.prepared(Glyphs, data_dir, configs=(characters.SPLIT, characters.RUNS_SPLIT))


def _omniglot(data_dir: str | None, archives: str | None):
    """Returns the prepared builders of the characters and of the runs."""
    from siamese_jax.data import characters, omniglot, store
    from siamese_jax.data.archives import locate

    def find(downloads: Path) -> Path:
        return locate("omniglot", omniglot.ARCHIVES, archives, downloads)

    return store.prepared(omniglot.SiameseOmniglot, data_dir, find, configs=(characters.SPLIT, characters.RUNS_SPLIT))
