"""A gallery's file: a killed writer loses nothing and leaves no half, many can use it, other files are refused."""

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest
from tiny_model import WRITER, embedded, make_model, picture

from siamese_jax.errors import UserError
from siamese_jax.gallery import Gallery, sqlite, store

MODEL = make_model()


def begin(location, name) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(location), name], stdout=subprocess.PIPE, text=True, env=os.environ
    )


def acknowledged(writer) -> list[int]:
    """Reads what a killed writer has said; a last line that was cut off was not acknowledged."""
    lines = writer.stdout.read().split("\n")
    writer.stdout.close()
    return [int(number) for line in lines[:-1] for number in line.split()]


def test_two_writers_that_are_killed_at_any_moment_lose_nothing_and_leave_no_half(tmp_path):
    location, rng = tmp_path / "g", random.Random(0)
    writers = [begin(location, name) for name in "ab"]
    try:
        said = {int(number) for writer in writers for number in writer.stdout.readline().split()}
        for writer in writers:
            time.sleep(rng.uniform(0.05, 0.3))
            writer.send_signal(signal.SIGKILL)
            writer.wait()
            said |= set(acknowledged(writer))
    finally:
        for writer in writers:
            writer.kill()
    with Gallery.open(location, MODEL) as gallery:
        assert len(said) >= 80
        assert said <= {one.id for one in gallery.pictures()}
        assert set(gallery.classes().values()) == {40}  # each call as a whole
        assert gallery.check().problems == ()
        assert gallery.enrol([picture(20, "after")])
        assert gallery.identify(embedded(MODEL, 20))[0].matches[0].class_name == "after"


def test_an_error_in_the_middle_of_a_write_leaves_nothing(tmp_path, monkeypatch):
    with Gallery.open(tmp_path / "g", MODEL, create=True) as gallery:
        made = []
        monkeypatch.setattr(sqlite, "checksum", lambda *row: made.append(row) or 1 // (3 - len(made)))
        with pytest.raises(ZeroDivisionError):
            gallery.enrol([picture(index) for index in range(5)])
        monkeypatch.undo()
        assert len(gallery) == 0
        assert len(gallery.enrol([picture(index) for index in range(5)])) == 5


def test_a_process_that_is_killed_while_it_makes_a_gallery_leaves_none(tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(sqlite.os, "link", killed)
    with pytest.raises(KeyboardInterrupt):
        Gallery.open(tmp_path / "g", MODEL, create=True)
    assert not (tmp_path / "g").exists()
    monkeypatch.undo()
    Gallery.open(tmp_path / "g", MODEL, create=True).close()
    assert [path.name for path in tmp_path.iterdir()] == ["g"]  # one file once it is closed


def test_many_threads_make_and_use_one_gallery(tmp_path):
    found, failed = [], []

    def use(number):
        try:
            with Gallery.open(tmp_path / "g", MODEL, create=True) as gallery:
                for index in range(number, 60, 6):
                    gallery.enrol([picture(index)])
                    found.append(gallery.identify(embedded(MODEL, index))[0].matches[0])
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(found) == 60
    with Gallery.open(tmp_path / "g", MODEL) as gallery:
        assert gallery.classes() == {"c0": 20, "c1": 20, "c2": 20}


def test_threads_share_one_object(tmp_path):
    with Gallery.open(tmp_path / "g", MODEL, create=True) as gallery:
        threads = [threading.Thread(target=gallery.enrol, args=([picture(index)],)) for index in range(0, 200, 20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(gallery) == 10


def test_what_one_of_two_objects_enrols_is_kept_when_another_process_closes_the_file(tmp_path):
    place = tmp_path / "g"
    with Gallery.open(place, MODEL, create=True) as one, Gallery.open(place, MODEL):
        one.enrol([picture(0)])
        read = "import sys, sqlite3; sqlite3.connect(sys.argv[1]).execute('SELECT * FROM pictures').fetchall()"
        subprocess.run([sys.executable, "-S", "-c", read, place], check=True)
        one.enrol([picture(20)])
        shutil.copytree(tmp_path, tmp_path / "killed")  # as a process that is killed leaves the files
    with Gallery.open(tmp_path / "killed" / "g", MODEL) as gallery:
        assert set(gallery.classes()) == {"c0", "c1"}


def test_who_waits_too_long_for_another_writer_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "PATIENCE", 0.05)
    with Gallery.open(tmp_path / "g", MODEL, create=True) as gallery:
        gallery.enrol([picture(0)])
        with closing(sqlite3.connect(tmp_path / "g", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(
                UserError, match="cannot be used .database is locked.: another process has been writing"
            ):
                gallery.enrol([picture(1)])
            assert gallery.identify(embedded(MODEL, 0))  # a reader does not wait
        assert len(gallery) == 1


def test_a_file_that_is_not_there_is_made_only_if_that_is_asked(tmp_path):
    with pytest.raises(UserError, match="none could not be opened: No such file or directory; check the path"):
        Gallery.open(tmp_path / "none", MODEL)
    with pytest.raises(UserError, match="none cannot be made without a network"):
        Gallery.open(tmp_path / "none", None, create=True)
    assert list(tmp_path.iterdir()) == []


def _database(path, *commands):
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for command in commands:
            database.execute(command)


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"SQLite format 3", b"\x80\x04pickle", b"SQLite format 3\0nonsense" * 99]
)
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    (tmp_path / "g").write_bytes(content)
    for create in (False, True):
        with pytest.raises(UserError, match=r"g (is not a gallery|cannot be used .file is not a database.): "):
            Gallery.open(tmp_path / "g", MODEL, create=create)
    assert (tmp_path / "g").read_bytes() == content


def test_a_database_of_another_program_is_refused(tmp_path):
    _database(tmp_path / "g", "CREATE TABLE t (x)")
    with pytest.raises(UserError, match="g is not a gallery: give the path of a file that enrol made"):
        Gallery.open(tmp_path / "g", MODEL)


@pytest.mark.parametrize(
    "change",
    ["PRAGMA user_version = 9", "DROP TABLE pictures", "CREATE TRIGGER t AFTER INSERT ON pictures BEGIN SELECT 1; END"],
)
def test_a_gallery_of_another_format_is_refused(tmp_path, change):
    Gallery.open(tmp_path / "g", MODEL, create=True).close()
    _database(tmp_path / "g", change)
    with pytest.raises(UserError, match=r"g does not fit this version: its format is \d, not 1; enrol"):
        Gallery.open(tmp_path / "g", MODEL)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE pictures SET embedding = x'00' WHERE id = 2",
        "UPDATE pictures SET embedding = zeroblob(32) WHERE id = 2",
        "UPDATE pictures SET embedding = 'text' WHERE id = 2",
        "UPDATE pictures SET class_name = x'00' WHERE id = 2",
        "UPDATE pictures SET checksum = 0 WHERE id = 2",
        "UPDATE pictures SET embedding = zeroblob(70000000) WHERE id = 2",
    ],
)
def test_a_damaged_row_is_never_compared(tmp_path, change):
    with Gallery.open(tmp_path / "g", MODEL, create=True) as gallery:
        gallery.enrol([picture(0), picture(20)])
    _database(tmp_path / "g", change)
    with Gallery.open(tmp_path / "g", MODEL) as gallery, pytest.raises(UserError, match="damaged"):
        gallery.identify(embedded(MODEL, 0))


@pytest.mark.parametrize("seed", range(8))
def test_a_file_with_a_spoiled_part_is_refused_or_gives_the_right_answers(tmp_path, seed):
    with Gallery.open(tmp_path / "g", MODEL, create=True) as gallery:
        gallery.enrol([picture(index) for index in range(0, 600, 10)])
        wanted = gallery.identify(embedded(MODEL, 5), top=40)
    content, rng = bytearray((tmp_path / "g").read_bytes()), random.Random(seed)
    place = rng.randrange(100, len(content) - 64)
    content[place : place + 64] = rng.randbytes(64)
    (tmp_path / "g").write_bytes(content[: len(content) - 4096 * (seed % 2)])
    with contextlib.suppress(UserError), Gallery.open(tmp_path / "g", MODEL) as gallery:
        assert gallery.identify(embedded(MODEL, 5), top=40) == wanted or gallery.check().problems


def test_a_file_that_does_not_name_one_network_is_damaged(tmp_path):
    Gallery.open(tmp_path / "g", MODEL, create=True).close()
    _database(tmp_path / "g", "INSERT INTO about VALUES ('x', 'y', 8, 0)")
    with pytest.raises(UserError, match="g is damaged, it does not name one network"):
        Gallery.open(tmp_path / "g", MODEL)


def test_all_rows_are_read_however_many_fit_in_a_batch(tmp_path, monkeypatch):
    for size in (1, 2, 3, 7):
        monkeypatch.setattr(sqlite, "BATCH", size)
        monkeypatch.setattr(sqlite, "SCANNED", size)
        with Gallery.open(tmp_path / f"{size}", MODEL, create=True) as gallery:
            gallery.enrol([picture(index) for index in range(3)])
            assert gallery.check() == (3, 1, ())
            assert gallery.search == "exact scan of 3 embeddings in memory"
            assert gallery.re_embed(make_model(1)) == 3
    assert store.BATCH > 7
