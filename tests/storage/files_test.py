"""A reader sees the old file or the new one, never a part."""

import errno
import json
import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamese_jax.errors import UserError
from siamese_jax.storage import files
from siamese_jax.storage.files import (
    explained,
    open_file,
    read_bytes,
    read_json,
    read_text,
    to_json,
    write_json,
    write_text,
)


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


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b"\xff\xfe", b"", b'{"a": ' * 2000, b'{"a": ' + b"[" * 60 + b"]" * 60 + b"}"]
)
def test_json_that_is_not_an_object_or_too_deep_is_refused_by_name(tmp_path, content):
    (tmp_path / "some.json").write_bytes(content)
    with pytest.raises(UserError, match=r"some\.json cannot be read .*: say so"):
        read_json(tmp_path / "some.json", "say so")
    assert read_json(tmp_path / "none.json") is None


def test_no_more_of_a_file_is_read_than_is_asked(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(bytes(10))
    assert read_bytes(path, 10) == bytes(10)
    os.truncate(path, 1 << 40)  # a terabyte that takes no room on the disk
    for read in (read_bytes, read_text):
        with pytest.raises(UserError, match="has more than 10 bytes"):
            read(path, 10)
    with pytest.raises(UserError, match="has more than"):
        read_json(path)
    if os.path.exists("/proc/self/status"):
        assert read_bytes("/proc/self/status", 100_000)  # its length is given as 0


@pytest.mark.parametrize("path", ["a\0b", "\ud800"])
def test_a_path_that_no_file_can_have_is_refused(path):
    with pytest.raises(UserError, match="cannot be the path of a file"):
        read_bytes(path, 10)


def test_a_file_that_a_pipe_replaces_at_the_last_moment_is_refused(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "a")
    monkeypatch.setattr(files, "check_file", lambda path: None)
    with pytest.raises(UserError, match="is not a file"):
        open_file(tmp_path / "a")


@given(st.text())
def test_any_text_is_written_as_json_that_prints_and_is_read_back(text):
    written = to_json({text: [text]})
    assert written.isprintable()
    assert written.encode()
    assert json.loads(written) == {text: [text]}


def test_errors_that_are_not_of_files_pass_unchanged(tmp_path):
    with pytest.raises(KeyError), explained(tmp_path):
        raise KeyError("a mistake in the code")


def test_half_a_character_is_refused_where_json_is_read_and_a_whole_one_is_not(tmp_path):
    path = tmp_path / "card.json"
    path.write_text('{"name": "n\\ud83d\\ude00"}')
    assert files.read_json(path) == {"name": "n\U0001f600"}
    path.write_text('{"name": "n\\uD800"}')
    with pytest.raises(UserError, match=r"card\.json cannot be read .*surrogates not allowed"):
        files.read_json(path)
