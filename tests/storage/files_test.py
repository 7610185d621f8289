"""A reader sees the old file or the new one, never a part."""

import errno
import json
import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from siamese_jax.errors import UserError
from siamese_jax.storage.files import explained, to_json, write_json, write_text


def test_text_replaces_text_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "new" / "report.md"
    write_text(path, "one\n")
    with path.open() as reader:
        write_text(path, "zwölf\n")
        assert reader.read() == "one\n"  # who had it open keeps the whole old file
    assert path.read_bytes() == "zwölf\n".encode()
    assert os.listdir(path.parent) == ["report.md"]


def test_a_failed_write_keeps_the_old_file_and_cleans_up(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    write_text(path, "old")

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"results.json could not be written: No space left on device; free some space"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["results.json"]


def test_a_path_below_a_file_is_told_to_the_user(tmp_path):
    write_text(tmp_path / "file", "")
    with pytest.raises(UserError, match=r"could not be written: .*; check the path"):
        write_text(tmp_path / "file" / "below", "")


def test_a_written_file_has_the_mode_of_any_other_file(tmp_path):
    write_text(tmp_path / "ours", "")
    Path(tmp_path / "plain").write_text("")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_json_is_valid_whatever_the_numbers_are(tmp_path):
    value = {"a": np.float32(0.5), "b": jnp.array([1, 2]), "c": (float("nan"), -np.inf), 7: [True, None, "ø"]}
    write_json(tmp_path / "x.json", value)

    def refuse(name):
        raise AssertionError(name)

    text = (tmp_path / "x.json").read_text()
    assert json.loads(text, parse_constant=refuse) == {"a": 0.5, "b": [1, 2], "c": [None, None], "7": [True, None, "ø"]}
    assert "\n" not in to_json(value)


def test_errors_that_are_not_of_files_pass_unchanged(tmp_path):
    with pytest.raises(KeyError), explained(tmp_path):
        raise KeyError("a mistake in the code")
