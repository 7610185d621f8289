"""MNIST (LeCun, Cortes and Burges), prepared by TFDS, for one-shot trials on digits (Koch et al. 2015)."""

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from siamese_jax.data import store
from siamese_jax.data.archives import Archive, bad_archive, locate
from siamese_jax.records import Images, Words

SIDE = 28
_PER_RECORD = 1000  # 70,000 small records would take seconds to read back
_HEADERS = {"images": 16, "labels": 8}

MD5 = {
    "train-images-idx3-ubyte.gz": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte.gz": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte.gz": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte.gz": "27ae3e4e09519cfbb04c329615203637",
}
"""Of the unpacked content: copies of these files are often compressed again."""

ARCHIVES = tuple(Archive(name, f"https://storage.googleapis.com/cvdf-datasets/mnist/{name}") for name in MD5)


class SiameseMnist(tfds.core.GeneratorBasedBuilder):
    """Splits `train` and `test`. A record is up to 1000 images: `images` [n, 28, 28] and `labels` [n], as bytes."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = "siamese_jax.data.load_mnist finds or downloads the archives."

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Handwritten digits, 60,000 to train on and 10,000 to test on.",
            homepage="https://storage.googleapis.com/cvdf-datasets/mnist/",
            features=tfds.features.FeaturesDict(
                {part: tfds.features.Tensor(shape=(), dtype=np.object_) for part in _HEADERS}
            ),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        folder = Path(dl_manager.manual_dir)
        return {
            split: self._generate_examples(
                _content(folder / f"{file}-images-idx3-ubyte.gz", "images").reshape(-1, SIDE, SIDE),
                _content(folder / f"{file}-labels-idx1-ubyte.gz", "labels"),
            )
            for split, file in (("train", "train"), ("test", "t10k"))
        }

    def _generate_examples(self, images: np.ndarray, labels: np.ndarray) -> Iterator[tuple[int, dict[str, bytes]]]:
        for first in range(0, len(images), _PER_RECORD):
            block = slice(first, first + _PER_RECORD)
            yield first, {"images": images[block].tobytes(), "labels": labels[block].tobytes()}


def load(data_dir: str | None = None, archives: str | None = None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the images, uint8 [N, 28, 28], 255 for ink, and the labels, int32 [N], of "train" and "test".

    They are prepared first if need be, as `siamese_jax.data.load` describes, with the same errors.
    """
    (builder,) = store.prepared(
        SiameseMnist, data_dir, lambda downloads: locate("mnist", ARCHIVES, archives, downloads)
    )
    return {split: _joined(store.read(builder, split)) for split in ("train", "test")}


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


def _joined(records: list[dict[str, bytes]]) -> tuple[np.ndarray, np.ndarray]:
    images, labels = (np.frombuffer(b"".join(record[part] for record in records), np.uint8) for part in _HEADERS)
    return images.reshape(-1, SIDE, SIDE), labels.astype(np.int32)


def _content(path: Path, part: str) -> np.ndarray:
    """Return the bytes after the header of an IDX file; UserError unless they are the published ones."""
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise bad_archive(path, error) from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != MD5[path.name]:
        raise bad_archive(path, "the MD5 of its unpacked content differs")
    return np.frombuffer(content, np.uint8, offset=_HEADERS[part])
