"""A built-in data set as a folder of pictures: DIR/GROUP/CLASS/AUTHOR.png, dark ink on white paper."""

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from siamese_jax import data
from siamese_jax.errors import UserError, did_you_mean
from siamese_jax.records import Images
from siamese_jax.specs import DataSpec
from siamese_jax.storage.files import explained
from siamese_jax.storage.folders import made

BUILT_IN = ("glyphs", "omniglot", "mnist")


class Unpacked(NamedTuple):
    """What was written: so many pictures of so many classes in so many groups."""

    pictures: int
    classes: int
    groups: int


def unpack(
    name: str, folder: str | os.PathLike[str], data_dir: str | None = None, archives: str | None = None
) -> Unpacked:
    """Write a built-in data set as a folder of pictures: all of it, or nothing if there is an error.

    Args:
      name: one of BUILT_IN.
      folder: where it is written; it must be empty, or not there.
      data_dir: as in `siamese_jax.data.load`.
      archives: as in `siamese_jax.data.load`.

    Raises:
      UserError: there is no such data set, the folder is not empty or cannot be written, or the data cannot be loaded.
    """
    if name not in BUILT_IN:
        hint = did_you_mean(name, BUILT_IN)
        raise UserError(f"{name} is not a built-in data set: {hint}{' ' * bool(hint)}use {', '.join(BUILT_IN)}")
    folder = Path(folder)
    with explained(folder):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder} is not an empty folder: choose another, or empty it")
    if name == "mnist":
        images = data.load_digits(None, data_dir, archives)
    else:
        images = data.load(DataSpec.variants[name](), data_dir, archives).images
    with explained(folder), made(folder.parent):
        unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            unfinished.chmod(0o777 & ~_umask())  # mkdtemp keeps others out
            written = _write(images, unfinished)
            unfinished.replace(folder)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    return written


def _write(images: Images, folder: Path) -> Unpacked:
    """Write each image, named after its group, its class and its author."""
    first_of_group = {}
    taken: dict[Path, int] = {}
    for image, class_, group, author in zip(
        images.images, images.class_index.tolist(), images.group_index.tolist(), images.author.tolist(), strict=True
    ):
        first = first_of_group.setdefault(group, class_)  # classes are sorted by group
        named = images.class_names[class_] if images.class_names else f"{images.words.class_}{class_ - first + 1:02}"
        of_class = folder / _safe(images.group_names[group]) / _safe(named)
        number = taken[of_class] = taken.get(of_class, 0) + 1
        if number == 1:
            of_class.mkdir(parents=True)
        if author < 0:
            stem = f"{number:04}"
        else:
            stem = _safe(images.author_names[author]) if images.author_names else f"{author:02}"
        path = of_class / f"{stem}.png"
        _picture(image).save(path if not path.exists() else of_class / f"{stem}_{number}.png")
    return Unpacked(len(images.images), len(taken), len(first_of_group))


def _picture(image: np.ndarray) -> Image.Image:
    """Return uint8 [H, W, C], 0 for paper, as a picture on white paper, in one bit if that is enough."""
    light = 255 - image
    if light.shape[2] == 3:
        return Image.fromarray(light)
    grey = Image.fromarray(light[..., 0])
    return grey.convert("1") if ((light == 0) | (light == 255)).all() else grey


def _safe(name: str) -> str:
    """Return a name that every file system takes."""
    return re.sub(r'[/\\:*?"<>|\x00-\x1f]', "_", name).strip(". ") or "_"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
