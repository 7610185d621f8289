"""Finding the published files in a folder of the user."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from siamese_jax.data import archives as doors
from siamese_jax.data.archives import copies_of, first_right, locate
from siamese_jax.data.download import Archive
from siamese_jax.errors import UserError

FILE = Archive("a.zip", "http://nowhere.invalid/a.zip", usual=r"a( \(\d\))?(\.zip)?")


def test_archives_may_stand_in_the_folder_or_in_one_named_like_the_data_set(tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.zip").touch()
    for given in (tmp_path, tmp_path / "letters"):
        assert locate("letters", [FILE], str(given), tmp_path / "downloads") == tmp_path / "letters"


def test_a_missing_folder_or_archive_is_named(tmp_path):
    with pytest.raises(UserError, match=r"there is no folder .*/absent: .*a\.zip"):
        locate("letters", [FILE], str(tmp_path / "absent"), tmp_path)
    with pytest.raises(UserError, match=rf"{tmp_path} lacks a\.zip: download it from http://nowhere"):
        locate("letters", [FILE], str(tmp_path), tmp_path)


def test_copies_are_found_packed_unpacked_and_below_other_folders_the_nearest_first(tmp_path):
    for name in ("python/x/a.zip", "python/A (2).zip", "other.zip"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a" / "character01" / "a").mkdir(parents=True)
    for name in ("__MACOSX/a", ".hidden/a.zip"):
        (tmp_path / name).mkdir(parents=True)
    found = [path.relative_to(tmp_path).as_posix() for path in copies_of(FILE, tmp_path)]
    assert found == ["a", "python/A (2).zip", "python/x/a.zip"]


def test_an_unpacked_copy_without_a_folder_of_its_own_is_known_by_what_it_holds(tmp_path):
    runs = replace(FILE, inside="run01")
    for name in ("run01", "python/run01"):
        (tmp_path / name).mkdir(parents=True)
    assert copies_of(runs, tmp_path) == [tmp_path, tmp_path / "python"]
    assert locate("letters", [runs], str(tmp_path), tmp_path / "downloads") == tmp_path


def test_a_circle_of_links_and_a_pipe_end_the_search(tmp_path):
    (tmp_path / "circle").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "a.zip")
    assert copies_of(FILE, tmp_path) == []


def test_the_search_of_a_large_folder_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(doors, "MOST", 3)
    for name in ("b", "c", "d", "e"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.zip").touch()
    assert copies_of(FILE, tmp_path) == []


def test_the_first_right_copy_is_taken_and_the_first_problem_is_said(tmp_path):
    def read(path):
        if path.name == "right":
            return 1
        raise UserError(path.name)

    assert first_right([tmp_path / "x", tmp_path / "right"], read) == 1
    with pytest.raises(UserError, match="x"):
        first_right([tmp_path / "x", tmp_path / "y"], read)


def test_importing_the_package_imports_neither_tfds_nor_tensorflow():
    code = "import sys, siamese_jax.data; print([m for m in sys.modules if m.startswith('tensorflow')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
