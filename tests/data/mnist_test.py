"""MNIST: what is read is what was published, and mishaps are told in one sentence."""

import gzip
import hashlib
import shutil
import signal
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from siamese_jax import data
from siamese_jax.data import archives as archives_of_user
from siamese_jax.data import mnist
from siamese_jax.errors import UserError


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A folder of MNIST files with 1500 images to train on and 20 to test on, whose MD5 counts as published."""
    generator = np.random.default_rng(0)
    folder = tmp_path / "small"
    folder.mkdir()
    for file, count in (("train", 1500), ("t10k", 20)):
        for part, header, content in (
            ("images-idx3", (2051, count, 28, 28), generator.integers(0, 256, (count, 28, 28), np.uint8)),
            ("labels-idx1", (2049, count), generator.integers(0, 10, count, np.uint8)),
        ):
            name = f"{file}-{part}-ubyte.gz"
            unpacked = np.array(header, ">i4").tobytes() + content.tobytes()
            (folder / name).write_bytes(gzip.compress(unpacked, 1))
            monkeypatch.setitem(mnist.MD5, name, hashlib.md5(unpacked).hexdigest())
    return folder


def test_images_and_labels_come_back_in_order(small, tmp_path):
    read = data.load_mnist(str(tmp_path / "data"), str(small))
    for split, file, count in (("train", "train", 1500), ("test", "t10k", 20)):
        images, labels = read[split]
        assert (images.dtype, images.shape) == (np.uint8, (count, 28, 28))
        assert (labels.dtype, labels.shape) == (np.int32, (count,))
        for part, header, array in (("images-idx3", 16, images), ("labels-idx1", 8, labels.astype(np.uint8))):
            assert gzip.decompress((small / f"{file}-{part}-ubyte.gz").read_bytes())[header:] == array.tobytes()


def test_prepared_data_need_no_archives(small, tmp_path):
    first = data.load_mnist(str(tmp_path / "data"), str(small))
    shutil.rmtree(small)
    again = data.load_mnist(str(tmp_path / "data"), str(small))
    np.testing.assert_array_equal(first["test"][0], again["test"][0])


def test_the_default_folder_is_that_of_tfds(small, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "default"))
    data.load_mnist(None, str(small))
    assert (tmp_path / "default" / "siamese_mnist").is_dir()


def _unpack(name):
    def arrange(folder, target):
        target.mkdir(parents=True)
        for file in folder.iterdir():
            (target / name(file.stem)).write_bytes(gzip.decompress(file.read_bytes()))

    return arrange


def _rename(name):
    def arrange(folder, target):
        target.mkdir(parents=True)
        for file in folder.iterdir():
            shutil.copy(file, target / name(file.stem))

    return arrange


@pytest.mark.parametrize(
    ("place", "arrange"),
    [
        ("MNIST/raw", _unpack(lambda stem: stem)),  # torchvision
        ("mnist", _unpack(lambda stem: stem.replace("-idx", ".idx"))),  # how some sites name them
        (".", _rename(lambda stem: f"{stem}.gz")),
        ("a/b", _rename(lambda stem: f"{stem} (1).gz")),  # downloaded twice by a browser
        ("a", _rename(lambda stem: stem)),  # compressed, but the name does not say so
        ("a", _unpack(lambda stem: f"{stem.upper()}.GZ")),  # not compressed, but the name says so
    ],
)
def test_mnist_is_found_by_content_under_its_usual_names(small, tmp_path, place, arrange):
    arrange(small, tmp_path / "given" / place)
    folder = archives_of_user.locate("mnist", mnist.ARCHIVES, str(tmp_path / "given"), tmp_path)
    for split, count in (("train", 1500), ("test", 20)):
        assert mnist._found(folder, split, "images").shape == (count, 28, 28)
        assert mnist._found(folder, split, "labels").shape == (count,)


def test_a_whole_copy_is_taken_if_another_one_is_damaged(small, tmp_path):
    (small / "a").mkdir()
    shutil.move(small / "t10k-labels-idx1-ubyte.gz", small / "a" / "t10k-labels-idx1-ubyte.gz")
    (small / "t10k-labels-idx1-ubyte").write_bytes(b"damaged")
    assert mnist._found(small, "test", "labels").shape == (20,)


def test_a_compressed_bomb_is_refused_before_it_fills_the_memory(small):
    bomb = small / "t10k-labels-idx1-ubyte.gz"
    with gzip.open(bomb, "wb", 1) as file:
        for _ in range(6):
            file.write(bytes(1 << 24))
    tracemalloc.start()
    with pytest.raises(UserError, match="MD5 of its unpacked content differs"):
        mnist._found(small, "test", "labels")
    assert tracemalloc.get_traced_memory()[1] < 2.5 * mnist._LARGEST
    tracemalloc.stop()


def test_prepared_digits_that_were_not_published_are_refused(small, tmp_path, monkeypatch):
    data.load_mnist(str(tmp_path / "data"), str(small))
    monkeypatch.setitem(mnist.MD5, "train-labels-idx1-ubyte.gz", "0" * 32)  # as if other ones had been prepared
    with pytest.raises(UserError, match=r"is damaged \(the labels of train are not the published ones\)"):
        data.load_mnist(str(tmp_path / "data"))
    data.load_digits(None, str(tmp_path / "data"))


@pytest.mark.parametrize("damage", [b"", b"no gzip", gzip.compress(b"other content", mtime=0)])
def test_a_file_that_is_not_the_published_one_is_named(small, tmp_path, damage):
    (small / "t10k-labels-idx1-ubyte.gz").write_bytes(damage)
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte\.gz is not the published file"):
        data.load_mnist(str(tmp_path / "data"), str(small))
    assert not (tmp_path / "data" / "siamese_mnist" / "1.0.0").exists()


def test_a_truncated_file_is_named(small, tmp_path):
    file = small / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte\.gz is not the published file"):
        data.load_mnist(str(tmp_path / "data"), str(small))


def _truncate(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _flip_a_bit(file):
    content = bytearray(file.read_bytes())
    content[len(content) * 2 // 3] ^= 4
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("siamese_mnist-train.array_record-00000-of-00001", _truncate),
        ("siamese_mnist-train.array_record-00000-of-00001", _flip_a_bit),
        ("siamese_mnist-train.array_record-00000-of-00001", lambda file: file.unlink()),
        ("dataset_info.json", _truncate),
        ("dataset_info.json", lambda file: file.unlink()),
    ],
)
def test_damaged_prepared_data_are_refused_with_the_folder_to_delete(small, tmp_path, name, damage):
    data.load_mnist(str(tmp_path / "data"), str(small))
    damage(tmp_path / "data" / "siamese_mnist" / "1.0.0" / name)
    with pytest.raises(UserError, match=r"in (/\S+/siamese_mnist\S*) is damaged .*: delete that folder") as caught:
        data.load_mnist(str(tmp_path / "data"), str(small))
    assert "\n" not in str(caught.value)
    shutil.rmtree(str(caught.value).split(" in ")[1].split(" is damaged")[0])
    data.load_mnist(str(tmp_path / "data"), str(small))


def test_a_folder_that_cannot_be_written_is_named(small, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        UserError, match=rf"cannot prepare siamese_mnist in {tmp_path}/file: .*choose another --data_dir"
    ):
        data.load_mnist(str(tmp_path / "file"), str(small))


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), RuntimeError("x: No space left on device; y")]
)
def test_a_full_disk_is_told_and_leaves_nothing_that_counts_as_prepared(small, tmp_path, monkeypatch, error):
    def fill(self, images, labels):
        yield 0, {"images": b"", "labels": b""}
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(mnist.SiameseMnist, "_generate_examples", fill)
        with pytest.raises(UserError, match=r"No space left on device; make room"):
            data.load_mnist(str(tmp_path / "data"), str(small))
    assert len(data.load_mnist(str(tmp_path / "data"), str(small))["train"][0]) == 1500


def test_digits_are_characters_by_nobody_knows_whom_resized_as_asked(small, tmp_path):
    images, labels = data.load_mnist(str(tmp_path / "data"), str(small))["test"]
    digits = data.load_digits(56, str(tmp_path / "data"), str(small))
    assert digits.images.shape == (20, 56, 56, 1)
    np.testing.assert_array_equal(digits.class_index, np.sort(labels))
    assert set(digits.author) == {-1}
    assert set(digits.group_index) == {0}
    assert digits.group_names == ("MNIST test digits",)
    first = images[np.flatnonzero(labels == np.sort(labels)[0])[0]].astype(float)
    # Bilinear, twice as large: each new pixel is 9/16, 3/16, 3/16 and 1/16 of the four that are nearest.
    expected = (9 * first[10, 10] + 3 * first[10, 11] + 3 * first[11, 10] + first[11, 11]) / 16
    assert abs(digits.images[0, 21, 21, 0] - expected) <= 1


def test_preparing_that_was_killed_succeeds_the_next_time(small, tmp_path):
    code = f"""if True:
        import os, signal
        from siamese_jax.data import mnist
        mnist.MD5.update({dict(mnist.MD5)!r})
        def die(self, images, labels):
            yield 0, {{"images": b"", "labels": b""}}
            os.kill(os.getpid(), signal.SIGKILL)
        mnist.SiameseMnist._generate_examples = die
        mnist.load({str(tmp_path / "data")!r}, {str(small)!r})
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert list((tmp_path / "data" / "siamese_mnist").iterdir())  # it had begun
    assert len(data.load_mnist(str(tmp_path / "data"), str(small))["train"][0]) == 1500


def test_preparing_says_so_in_one_line_and_reading_says_nothing(small, tmp_path, capfd):
    data.load_mnist(str(tmp_path / "data"), str(small))
    assert capfd.readouterr() == ("", f"Preparing siamese_mnist in {tmp_path / 'data'} ...\n")
    data.load_mnist(str(tmp_path / "data"), str(small))
    assert capfd.readouterr() == ("", "")


def test_the_real_mnist_has_the_published_counts(archives, tmp_path):
    read = data.load_mnist(str(tmp_path), str(archives))
    assert read["train"][0].shape == (60_000, 28, 28)
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(read["test"][1]).tolist() == counts
    digits = data.load_digits(None, str(tmp_path), str(archives))
    assert np.bincount(digits.class_index).tolist() == counts
    images, labels = read["test"]
    np.testing.assert_array_equal(
        digits.images[..., 0], np.concatenate([images[labels == digit] for digit in range(10)])
    )
