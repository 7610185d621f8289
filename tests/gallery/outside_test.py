"""A gallery's file that somebody else made, or changed, is used as it is meant or refused in one sentence."""

import os
import shutil
import sqlite3
import struct
from contextlib import closing

import numpy as np
import pytest
from tiny_model import embedded, make_model, picture

from siamese_jax.errors import UserError
from siamese_jax.gallery import Gallery, sqlite
from siamese_jax.gallery.store import checksum

MODEL = make_model()
QUERY = embedded(MODEL, 0)
VALUES = (None, 0, -1, 2**62, 0.5, "x", "", "9" * 300, b"", b"\xff", b"\x89PNG\r\n\x1a\n", "\x1b[31m\n", "a" * 70_000)
"""SQLite keeps a value of any kind in any column."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    place = tmp_path_factory.mktemp("whole") / "g"
    with Gallery.open(place, MODEL, create=True) as gallery:
        gallery.enrol([picture(index) for index in (0, 1, 20)])
    return place


@pytest.fixture
def place(whole, tmp_path):
    return shutil.copy(whole, tmp_path / "g")


def change(place, *statements):
    """Change a file as its owner can: without any constraint."""
    with closing(sqlite3.connect(place, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = DELETE")
        for statement, *values in statements:
            database.execute(statement, values)


def without_constraints(place):
    """Let every column be NULL, as a file can say that no command of SQLite would write."""
    tables = "UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '')"
    change(place, ("PRAGMA writable_schema = ON",), (tables,))


def use(place):
    """Call everything that reads; return the sentences of those that refused."""
    refused = []
    calls = [
        lambda gallery: gallery.classes(),
        lambda gallery: gallery.pictures(),
        lambda gallery: gallery.thumbnail(1),
        lambda gallery: gallery.identify(QUERY),
        lambda gallery: gallery.one_of_each(),
        lambda gallery: gallery.check().problems and refused.append("check"),
        lambda gallery: gallery.re_embed(MODEL),
    ]
    for call in calls:
        try:
            with Gallery.open(place, MODEL) as gallery:
                call(gallery)
        except UserError as error:
            refused.append(str(error))
    assert all(len(text) < 600 for text in refused)
    return refused


def test_a_whole_gallery_is_used(place):
    assert use(place) == []


COLUMNS = ("class_name", "checksum", "digest", "enrolled", "embedding", "source", "image", "thumbnail")


@pytest.mark.parametrize("column", [*COLUMNS, "id"])
def test_any_value_in_any_column_of_a_picture_is_used_or_refused(place, tmp_path, column):
    some = COLUMNS.index(column) % 3 if column in COLUMNS else 0
    for number, value in enumerate(VALUES[some::3]):
        one = shutil.copy(place, tmp_path / f"{number}")
        if column == "id" and not isinstance(value, int):
            continue
        if value is None:
            without_constraints(one)
            change(one, (f"UPDATE pictures SET {column} = NULL WHERE id = 1",))
            refill = "UPDATE sqlite_master SET sql = ? WHERE name = ?"
            change(
                one,
                ("PRAGMA writable_schema = ON",),
                (refill, sqlite.TABLES[0], "about"),
                (refill, sqlite.TABLES[1], "pictures"),
            )
        else:
            change(one, (f"UPDATE pictures SET {column} = ? WHERE id = 1", value))
        refused = use(one)
        assert all(one.name in text or text == "check" for text in refused)
        text = isinstance(value, str | int | float)
        fits = text and len(str(value)) <= {"enrolled": 100, "source": 4096}.get(column, -1)
        fits |= column in ("digest", "thumbnail") or column == "id"
        assert bool(refused) or fits, value


@pytest.mark.parametrize("column", ["network", "fingerprint", "embedding_size", "changes"])
def test_any_value_about_the_network_is_used_or_refused(place, tmp_path, column):
    for number, value in enumerate(VALUES[1::3]):
        one = shutil.copy(place, tmp_path / f"{number}")
        change(one, (f"UPDATE about SET {column} = ?", value))
        refused = use(one)
        assert all(one.name in text for text in refused)


def test_an_embedding_that_is_not_a_number_is_refused_although_its_checksum_fits(place):
    values = np.full(MODEL.embedding_size, np.nan, "<f4").tobytes()
    change(place, ("UPDATE pictures SET embedding = ?, checksum = ? WHERE id = 1", values, checksum("c0", values)))
    assert any("picture 1" in text and "is damaged" in text for text in use(place))


def test_values_that_would_fill_the_memory_are_not_read(place):
    change(place, ("UPDATE pictures SET image = zeroblob(?), embedding = zeroblob(?)", 17 << 20, 1 << 20))
    assert len(use(place)) >= 4


HOSTILE = {
    "a view": ["DROP TABLE pictures", "CREATE VIEW pictures AS SELECT 1 id, 'a' class_name"],
    "a trigger": [
        "CREATE TRIGGER t AFTER INSERT ON pictures BEGIN DELETE FROM pictures; END",
    ],
    "an index": ["CREATE INDEX i ON pictures (abs(checksum))"],
    "another table": ["CREATE TABLE other (x)"],
    "no tables": ["DROP TABLE pictures", "DROP TABLE about"],
    "an endless view": [
        "DROP TABLE about",
        "CREATE VIEW about AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) "
        "SELECT 'n' network, 'f' fingerprint, max(n) embedding_size, 0 changes FROM r",
    ],
    "a column more": ["ALTER TABLE pictures ADD COLUMN more"],
    "two networks": ["INSERT INTO about SELECT * FROM about"],
    "no network": ["DELETE FROM about"],
    "another version": ["PRAGMA user_version = 7"],
    "another application": ["PRAGMA application_id = 1"],
    "a schema of bytes": ["PRAGMA writable_schema = ON", "UPDATE sqlite_master SET sql = x'ff00' WHERE name = 'about'"],
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_file_with_another_schema_is_refused(place, what):
    change(place, *((statement,) for statement in HOSTILE[what]))
    with pytest.raises(UserError, match=f"{place.name} "):
        Gallery.open(place, MODEL)


@pytest.mark.parametrize("what", ["folder", "pipe", "device", "empty", "text", "header", "huge page", "link to itself"])
def test_what_is_not_a_database_is_refused_at_once(place, what):
    place.unlink()
    match what:
        case "folder":
            place.mkdir()
        case "pipe":
            os.mkfifo(place)
        case "device":
            place.symlink_to("/dev/zero")
        case "empty":
            place.touch()
        case "text":
            place.write_text("hello " * 1000)
        case "header":
            place.write_bytes(b"SQLite format 3\0" + bytes(84))
        case "huge page":
            place.write_bytes(b"SQLite format 3\0" + struct.pack(">HBB", 1, 1, 1) + b"\xff" * 5000)
        case "link to itself":
            place.symlink_to(place.name)
    with pytest.raises(UserError, match="g "):
        Gallery.open(place, MODEL)
