"""Built-in data as folders of pictures: every image is there as it was, and nothing is left after an error."""

import numpy as np
import pytest
from PIL import Image
from tiny import make_dataset, make_digits

from siamese_jax import data
from siamese_jax.data import unpack as unpacking
from siamese_jax.data.unpack import unpack
from siamese_jax.errors import UserError


@pytest.fixture(autouse=True)
def tiny_data(monkeypatch):
    monkeypatch.setattr(data, "load", lambda spec, data_dir, archives: make_dataset())
    monkeypatch.setattr(data, "load_digits", lambda side, data_dir, archives: make_digits(side))


def test_each_image_is_a_picture_named_after_its_group_class_and_author(tmp_path):
    assert unpack("glyphs", tmp_path / "some" / "glyphs") == (600, 30, 6)
    images = make_dataset().images
    for row in (0, 19, 20, 399, 599):
        group, within = "abcdef"[row // 100], row // 20 % 5 + 1
        path = tmp_path / "some" / "glyphs" / group / f"character{within:02}" / f"{row % 20 + 1:02}.png"
        np.testing.assert_array_equal(255 - np.asarray(Image.open(path)), images.images[row, ..., 0])
    assert len(list((tmp_path / "some").rglob("*.png"))) == 600
    assert [path.name for path in (tmp_path / "some").iterdir()] == ["glyphs"]


def test_images_by_unknown_authors_are_numbered_and_classes_have_their_names(tmp_path, monkeypatch):
    named = make_digits(None)._replace(class_names=tuple("0123456789"))
    monkeypatch.setattr(data, "load_digits", lambda *_: named)
    assert unpack("mnist", tmp_path / "d") == (50, 10, 1)
    assert {path.name for path in (tmp_path / "d" / "digits").iterdir()} == set("0123456789")
    assert sorted(path.name for path in (tmp_path / "d" / "digits" / "7").iterdir())[-1] == "0005.png"


def test_names_that_a_file_system_does_not_take_are_changed_and_equal_ones_kept_apart(tmp_path, monkeypatch):
    dataset = make_dataset()
    images = dataset.images._replace(
        group_names=("a/b", "..", *"cdef"), class_names=tuple(f"x?{i}" for i in range(30)),
        author=np.ones(600, np.int32), author_names=("nobody", "one"),
    )  # fmt: skip
    monkeypatch.setattr(data, "load", lambda *_: dataset._replace(images=images))
    unpack("glyphs", tmp_path / "d")
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == ["_", "a_b", *"cdef"]
    assert (tmp_path / "d" / "a_b" / "x_0" / "one.png").exists()
    assert len(list(tmp_path.rglob("one*.png"))) == 600


def test_ink_in_one_bit_becomes_a_picture_in_one_bit(tmp_path, monkeypatch):
    dataset = make_dataset()
    ink = np.where(dataset.images.images > 127, 255, 0).astype(np.uint8)
    monkeypatch.setattr(data, "load", lambda *_: dataset._replace(images=dataset.images._replace(images=ink)))
    unpack("glyphs", tmp_path / "d")
    with Image.open(tmp_path / "d" / "a" / "character01" / "01.png") as image:
        assert image.mode == "1"
        np.testing.assert_array_equal(np.asarray(image), ink[0, ..., 0] == 0)


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is not an empty folder"):
        unpack("glyphs", tmp_path)
    with pytest.raises(UserError, match="is not an empty folder"):
        unpack("glyphs", tmp_path / "mine.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "d").mkdir()
    unpack("glyphs", tmp_path / "d")
    assert len(list((tmp_path / "d").iterdir())) == 6


def test_after_an_error_nothing_is_left(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(unpacking, "_picture", full)
    with pytest.raises(UserError, match="free some space"):
        unpack("glyphs", tmp_path / "d")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_data_set_is_refused_with_those_that_there_are(tmp_path):
    with pytest.raises(
        UserError, match="glyfs is not a built-in data set: did you mean glyphs. use glyphs, omniglot, mnist"
    ):
        unpack("glyfs", tmp_path / "d")
