"""Many picture files: each is read or named with a reason, and what was never a picture is counted apart."""

import io

import numpy as np
import pytest
from PIL import Image

from siamese_jax.errors import UserError
from siamese_jax.storage.image_files import Picture, read_image
from siamese_jax.storage.picture_files import check_left, is_foreign, read_pictures, skipped_in_words

PAGE = np.full((20, 20), 255, np.uint8)
PAGE[5:15, 9:11] = 0


def png(page: np.ndarray = PAGE, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(page).save(file, kind)
    return file.getvalue()


FOREIGN = {
    "Thumbs.db": b"\xd0\xcf\x11\xe0", ".DS_Store": b"\0\0\0\1Bud1", "desktop.ini": b"[.ShellClassInfo]",
    "._a.png": b"\0\5\26\7", "notes.txt": b"the third is mine", "labels.csv": b"path,class\n", "README": b"",
    "Icon\r": b"",
}  # fmt: skip
MEANT = {
    "a.png": png(), "b.jpg": png(kind="JPEG"), "scan": png(kind="TIFF"), "c.dat": png(kind="BMP"),
    "d.pgm": png(kind="PPM"),
    "damaged.png": png()[:50], "empty.png": b"", "photo.heic": b"\0\0\0 ftypheic", "drawing.svg": b"<svg/>",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    for name, content in (FOREIGN | MEANT).items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "a.png").write_bytes(png())
    return tmp_path


def test_files_that_were_never_pictures_are_foreign_and_damaged_pictures_are_not(folder):
    assert {path.name for path in folder.iterdir() if path.is_file() and is_foreign(path)} == set(FOREIGN)
    assert is_foreign(folder / "__MACOSX" / "a.png")
    assert not is_foreign(folder / "missing")


def test_every_file_is_read_or_has_a_reason_that_names_it(folder):
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    found = dict(read_pictures(paths, 16))
    assert list(found) == paths
    read = {path.name for path, picture in found.items() if isinstance(picture, Picture)}
    assert read == {"a.png", "b.jpg", "scan", "c.dat", "d.pgm"}
    np.testing.assert_array_equal(found[folder / "a.png"].pixels, read_image(folder / "a.png", 16))
    reasons = {path: reason for path, reason in found.items() if isinstance(reason, str)}
    for path, reason in reasons.items():
        assert reason.startswith(str(path))
    assert reasons[folder / "notes.txt"].endswith("is not a picture")
    assert "is empty" in reasons[folder / "empty.png"]
    assert "of a format that is not read" in reasons[folder / "photo.heic"]
    said = skipped_in_words(reasons)
    assert said.startswith(f"12 files were skipped: {folder / 'damaged.png'} is")
    assert said.endswith("8 not pictures (.DS_Store, ._a.png, Icon\\r, README, Thumbs.db, and 3 more)")


def test_arguments_reach_the_reading_and_mistakes_in_them_are_the_callers(folder):
    inverted = dict(read_pictures([folder / "a.png"], 20, channels=3, polarity="light"))[folder / "a.png"]
    assert inverted.pixels.shape == (20, 20, 3)
    with pytest.raises(UserError, match="fit='stretch' is unknown"):
        list(read_pictures([folder / "a.png"], 20, fit="stretch"))


def test_what_was_skipped_is_one_sentence(tmp_path):
    a, b = tmp_path / "a.png", tmp_path / "Thumbs.db"
    assert skipped_in_words({}) == ""
    assert skipped_in_words({b: f"{b} is not a picture"}) == "1 file was skipped: 1 not a picture (Thumbs.db)"
    both = {a: f"{a} is empty: replace the file", b: f"{b} is not a picture"}
    said = f"2 files were skipped: {a} is empty: replace the file; 1 not a picture (Thumbs.db)"
    assert skipped_in_words(both) == said
    check_left(1, both, tmp_path)
    with pytest.raises(UserError) as refused:
        check_left(1, both, tmp_path, least=2)
    expected = f"{tmp_path} has 1 picture that can be used, and at least 2 are needed. {said}"
    assert str(refused.value) == expected
    with pytest.raises(UserError, match="has 0 pictures that can be used, and at least 1 is needed$"):
        check_left(0, {}, tmp_path)
