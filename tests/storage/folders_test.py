"""Folders above a file that cannot be written do not stay behind."""

import errno
import os

import pytest

from siamese_jax.data import unpack as unpack_module
from siamese_jax.errors import UserError
from siamese_jax.export.output import written_whole
from siamese_jax.gallery.records import About
from siamese_jax.gallery.sqlite import SqliteStore
from siamese_jax.storage import files
from siamese_jax.storage.folders import made

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fail(*_, **__):
    raise FULL


def test_what_is_written_keeps_its_folders_and_what_fails_takes_them_away(tmp_path, monkeypatch):
    files.write_text(tmp_path / "a" / "b" / "x", "text")
    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(UserError, match="No space left"):
        files.write_text(tmp_path / "a" / "c" / "d" / "x", "text")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_a_folder_that_is_not_empty_stays(tmp_path):
    def work():
        with made(tmp_path / "a" / "b"):
            (tmp_path / "a" / "other").write_text("")
            raise FULL

    with pytest.raises(OSError, match="No space"):
        work()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["other"]


def test_a_gallery_a_data_set_and_an_export_that_fail_leave_no_folders(tmp_path, monkeypatch):
    monkeypatch.setattr("siamese_jax.gallery.sqlite._name", fail)
    with pytest.raises(UserError, match="No space left"):
        SqliteStore.create(tmp_path / "a" / "b" / "x.gallery", About("best", "f", 8))
    monkeypatch.setattr(unpack_module, "_write", fail)
    monkeypatch.setattr(unpack_module.data, "load_digits", lambda *_: None)
    with pytest.raises(UserError, match="No space left"):
        unpack_module.unpack("mnist", tmp_path / "a" / "b" / "digits")
    with pytest.raises(OSError, match="No space left"), written_whole(tmp_path / "a" / "b" / "export"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_gallery_is_made_where_there_are_no_hard_links(tmp_path, monkeypatch):
    def no_links(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    about = About("best", "f", 8)
    for _ in range(2):
        SqliteStore.create(tmp_path / "x.gallery", about)
    store = SqliteStore(tmp_path / "x.gallery")
    assert store.about() == about
    store.close()
    assert {path.name for path in tmp_path.iterdir()} == {"x.gallery"}
