"""MNIST (LeCun, Cortes and Burges), prepared by TFDS, for one-shot trials on digits (Koch et al. 2015)."""

import gzip
import hashlib
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from siamese_jax.data import store
from siamese_jax.data.archives import copies_of, first_right, locate
from siamese_jax.data.download import Archive
from siamese_jax.data.members import bad_archive
from siamese_jax.records import Images, Words

SIDE = 28
_PER_RECORD = 1000  # 70,000 small records would take seconds to read back
_FILES = {"train": "train", "test": "t10k"}
_PARTS = {"images": "images-idx3", "labels": "labels-idx1"}
_LARGEST = 16 + 60_000 * SIDE * SIDE
"""Bytes of the largest file, unpacked."""

MD5 = {
    "train-images-idx3-ubyte.gz": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte.gz": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte.gz": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte.gz": "27ae3e4e09519cfbb04c329615203637",
}
"""Of the unpacked content: copies of these files are often compressed again."""

_SHA256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
"""Of the files at this address."""

ARCHIVES = tuple(
    Archive(
        name,
        f"https://storage.googleapis.com/cvdf-datasets/mnist/{name}",
        sha256,
        usual="[-_. ]".join(name.removesuffix(".gz").split("-")) + ".*",
    )
    for name, sha256 in _SHA256.items()
)


class SiameseMnist(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Splits `train` and `test`. A record is up to 1000 images: `images` [n, 28, 28] and `labels` [n], as bytes."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = "siamese_jax.data.load_mnist finds or downloads the archives."

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Handwritten digits, 60,000 to train on and 10,000 to test on.",
            homepage="https://storage.googleapis.com/cvdf-datasets/mnist/",
            features=tfds.features.FeaturesDict(
                {part: tfds.features.Tensor(shape=(), dtype=np.object_) for part in _PARTS}
            ),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        folder = Path(dl_manager.manual_dir)
        return {split: self._generate_examples(*(_found(folder, split, part) for part in _PARTS)) for split in _FILES}

    def _generate_examples(self, images: np.ndarray, labels: np.ndarray) -> Iterator[tuple[int, dict[str, bytes]]]:
        for first in range(0, len(images), _PER_RECORD):
            block = slice(first, first + _PER_RECORD)
            yield first, {"images": images[block].tobytes(), "labels": labels[block].tobytes()}


def load(
    data_dir: str | None = None, archives: str | None = None, splits: Sequence[str] = tuple(_FILES)
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the images, uint8 [N, 28, 28], 255 for ink, and the labels, int32 [N], of "train" and "test".

    They are prepared first if need be, as `siamese_jax.data.load` describes, with the same errors.
    """
    (builder,) = store.prepared(
        SiameseMnist, data_dir, lambda downloads: locate("mnist", ARCHIVES, archives, downloads)
    )
    return {split: _joined(builder, split) for split in splits}


def as_images(images: np.ndarray, labels: np.ndarray, side: int | None) -> Images:
    """Return digits as ten classes of one group, sorted by digit.

    Args:
      images: uint8 [N, 28, 28].
      labels: int [N].
      side: rows and columns to resize the images to (bilinear); None leaves them.
    """
    from PIL import Image

    order = np.argsort(labels, kind="stable")
    images = images[order]
    if side is not None:
        sizes = side, side
        images = np.stack([np.asarray(Image.fromarray(im).resize(sizes, Image.Resampling.BILINEAR)) for im in images])
    return Images(
        images=images[..., None],
        class_index=labels[order].astype(np.int32),
        group_index=np.zeros(len(order), np.int32),
        author=np.full(len(order), -1, np.int32),
        group_names=("MNIST test digits",),
        class_names=tuple("0123456789"),
        words=Words(class_="digit", author="writer"),
    )


def _joined(builder: store.Builder, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the images and labels of a prepared split; UserError unless they are the published ones."""
    records = store.read(builder, split)
    images, labels = (b"".join(record[part] for record in records) for part in _PARTS)
    for part, content in (("images", images), ("labels", labels)):
        if _md5(_header(part, len(labels)), content) != MD5[_name(split, part)]:
            raise store.damaged(builder, f"the {part} of {split} are not the published ones")
    pixels = np.frombuffer(images, np.uint8).reshape(-1, SIDE, SIDE)
    return pixels, np.frombuffer(labels, np.uint8).astype(np.int32)


def _found(folder: Path, split: str, part: str) -> np.ndarray:
    name = _name(split, part)
    (file,) = (file for file in ARCHIVES if file.name == name)
    content = first_right(copies_of(file, folder), lambda path: _content(path, MD5[name]))
    array = np.frombuffer(content, np.uint8, offset=len(_header(part, 0)))
    return array.reshape(-1, SIDE, SIDE) if part == "images" else array


def _content(path: Path, md5: str) -> bytes:
    """Return the content of an IDX file, which may be compressed; UserError unless it is the published one."""
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if compressed else path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise bad_archive(path, error) from error
    if _md5(content) != md5:
        raise bad_archive(path, "the MD5 of its unpacked content differs")
    return content


def _name(split: str, part: str) -> str:
    return f"{_FILES[split]}-{_PARTS[part]}-ubyte.gz"


def _header(part: str, count: int) -> bytes:
    """Return the header of an IDX file of `count` images or labels."""
    return struct.pack(">4I", 2051, count, SIDE, SIDE) if part == "images" else struct.pack(">2I", 2049, count)


def _md5(*parts: bytes) -> str:
    found = hashlib.md5(usedforsecurity=False)
    for part in parts:
        found.update(part)
    return found.hexdigest()
