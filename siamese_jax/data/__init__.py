"""Sources of images: what each of them is, and its images as arrays.

Published data are prepared once by a TFDS builder and then read in under a second, without TensorFlow. Importing this
package is cheap; TFDS is imported when something is loaded.

A new source is a module with `load` and `load_untested` as `Source` describes them, one entry in `SOURCES`, and one
variant of `specs.DataSpec` with its name.
"""

import importlib
from dataclasses import dataclass, field
from types import ModuleType

import numpy as np

from siamese_jax import extras
from siamese_jax.errors import UserError
from siamese_jax.records import Dataset, Images, Words
from siamese_jax.specs import DataSpec


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source of images, as reports and model cards describe it.

    Attributes:
      name: as in `DataSpec.name`.
      words: what it calls a group, a class and an author.
      description: one sentence for reports, in Markdown.
      licence: licence of a network that is trained on it, in sentences. Empty if unknown.
      released: what reports call its released episodes.
      in_paper: whether the paper has results on it (Koch et al. 2015), so that reports show these beside ours.
      module: the module that loads it. Its `load(spec, data_dir, archives)` returns a Dataset, and its `load_untested`
        with the same arguments returns it without the test images. None: the images are in memory.
      extra: what must be installed to load it, "" for nothing.
    """

    name: str
    words: Words = field(default_factory=Words)
    description: str
    licence: str = ""
    released: str = "the data set's own runs"
    in_paper: bool = False
    module: str | None = None
    extra: str = "data"


SOURCES = {
    source.name: source
    for source in (
        Source(
            name="omniglot",
            words=Words("alphabet", "character", "drawer"),
            description="Omniglot: characters of 50 alphabets, each drawn by hand once by each of 20 drawers.",
            licence="MIT, like this package. Omniglot (Lake, Salakhutdinov and Tenenbaum 2015) has the MIT licence, "
            "too.",
            released="Lake's 20 official runs",
            in_paper=True,
            module="siamese_jax.data.omniglot",
        ),
        Source(
            name="glyphs",
            words=Words("alphabet", "character", "drawer"),
            description="glyphs: **rendered glyphs, not handwriting; not comparable with Omniglot figures**. "
            "Characters of many scripts, rendered from fonts in the styles of 20 simulated drawers.",
            licence="MIT, like this package. The glyphs were rendered from fonts.",
            module="siamese_jax.data.glyphs",
        ),
        Source(
            name="folder",
            description="pictures in folders or in a table.",
            module="siamese_jax.data.folder",
            extra="",
        ),
        Source(name="in_memory", description="images that a program passed in memory."),
    )
}
"""All sources by name."""


def source_of(name: str) -> Source:
    """Return the source of a name. One that is not in `SOURCES` is described by its name alone."""
    return SOURCES.get(name, Source(name=name, description=f"{name}."))


def load(spec: DataSpec, data_dir: str | None = None, archives: str | None = None) -> Dataset:
    """Return all images of a data set, and its released episodes.

    The data are prepared under `data_dir` if they are not there yet: from the files in the folder `archives` or in its
    subfolder `spec.name`, else from a download.

    Args:
      spec: which source, and the size of the images.
      data_dir: where prepared data are kept; None is TFDS's own default, see TFDS_DATA_DIR.
      archives: folder with the published archives; None downloads them.

    Raises:
      UserError: the spec does not fit the source, an extra is missing, there is no network, files are missing, damaged
        or not the published ones, prepared data are damaged, or the disk is full or read-only.
    """
    return _described(_module(spec).load(spec, data_dir, archives), spec)


def load_untested(spec: DataSpec, data_dir: str | None = None, archives: str | None = None) -> Dataset:
    """Return a data set without its test images; otherwise as `load`. Characters of test are not even decoded."""
    return _described(_module(spec).load_untested(spec, data_dir, archives), spec)


def _described(dataset: Dataset, spec: DataSpec) -> Dataset:
    """Return the data set with the source's words, unless the images have their own."""
    if dataset.images.words != Words():
        return dataset
    return dataset._replace(images=dataset.images._replace(words=SOURCES[spec.name].words))


def load_digits(side: int | None = None, data_dir: str | None = None, archives: str | None = None) -> Images:
    """Return MNIST's 10,000 test images as ten classes of one group, by unknown authors.

    Args:
      side: rows and columns to resize them to (bilinear); None leaves 28×28.
      data_dir: as in `load`.
      archives: as in `load`.

    Raises:
      UserError: as `load`.
    """
    mnist = _import("siamese_jax.data.mnist")
    return mnist.as_images(*mnist.load(data_dir, archives, ["test"])["test"], side)


def load_mnist(data_dir: str | None = None, archives: str | None = None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return MNIST's "train" and "test" as published: images uint8 [N, 28, 28], 255 for ink, and labels int32 [N].

    The arguments and errors are those of `load`.
    """
    return _import("siamese_jax.data.mnist").load(data_dir, archives)


def _module(spec: DataSpec) -> ModuleType:
    source = SOURCES.get(spec.name)
    if source is None or source.module is None:
        raise UserError(
            f"data.name={spec.name} has no images to load: use siamese_jax.train(…, dataset=Dataset(images))"
        )
    return _import(source.module, source.extra)


def _import(module: str, extra: str = "data") -> ModuleType:
    if extra:
        extras.require(extra)
    return importlib.import_module(module)
