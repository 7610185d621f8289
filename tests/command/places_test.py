"""Paths of the command line."""

import itertools
import os
import re
from pathlib import Path

import pytest
from absl import flags

from siamese_jax import main  # noqa: F401 - it defines the flags
from siamese_jax.command import places, request, verbs
from siamese_jax.command.flag_files import expanded
from siamese_jax.errors import UserError
from siamese_jax.storage.workdir import opened, remove_claimed


def read(*words: str):
    """Returns the request of a command line without a verb."""
    flags.FLAGS.unparse_flags()
    for name in flags.FLAGS:
        flags.FLAGS[name].unparse()
    flags.FLAGS(["siamese_jax", *expanded(words)])
    return request.read_request()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """A home and a current folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


GLYPHS = "--experiment=glyphs_20way"
OWN = "--experiment=own_images"
SEARCH = (GLYPHS, "--search=network.units=8,16", "--study=s")

FOLDERS = {
    "--workdir": ((GLYPHS,), lambda asked: asked.workdir),
    "--data_dir": ((GLYPHS,), lambda asked: asked.sources["data_dir"]),
    "--archives": ((GLYPHS,), lambda asked: asked.sources["archives"]),
    "--data.path": ((OWN,), lambda asked: asked.experiment.data.path),
    "--data.table": ((OWN,), lambda asked: asked.experiment.data.table),
    "--start_from": ((GLYPHS,), lambda asked: asked.experiment.start_from),
    "--workdir ": (("--mode=report",), lambda asked: asked.workdirs[0]),
    "--output": (("--mode=report", "--workdir=a", "--workdir=b"), lambda asked: asked.output),
    "--workdir  ": (SEARCH, lambda asked: asked.folder),
}
VERBS = {
    "unpack glyphs {}": lambda asked: asked.folder,
    "unpack glyphs d --data_dir={}": lambda asked: asked.data_dir,
    "unpack mnist d --archives={}": lambda asked: asked.archives,
    "enrol {} --gallery=g": lambda asked: asked.paths[0],
    "enrol d --gallery={}": lambda asked: asked.gallery,
    "identify {} --gallery=g": lambda asked: asked.paths[0],
    "identify a --gallery=g --checkpoint={}": lambda asked: asked.checkpoint,
    "verify {} b": lambda asked: asked.first,
    "verify a {}": lambda asked: asked.second,
    "gallery list --gallery={}": lambda asked: asked.gallery,
    "gallery check --gallery=g --checkpoint={}": lambda asked: asked.checkpoint,
    "export --output={}": lambda asked: asked.output,
    "export --format=page --output={}": lambda asked: asked.output,
    "export --format=page --output=o --gallery={}": lambda asked: asked.gallery,
    "export --output=o --data_dir={}": lambda asked: asked.data_dir,
    "export --output=o --archives={}": lambda asked: asked.archives,
    "export --output=o --checkpoint={}": lambda asked: asked.checkpoint,
    "serve --gallery={}": lambda asked: asked.gallery,
    "serve --checkpoint={}": lambda asked: asked.checkpoint,
}
EVERYWHERE = [
    *(lambda text, flag=flag, words=words, of=of: of(read(*words, f"{flag.strip()}={text}"))
      for flag, (words, of) in FOLDERS.items()),
    *(lambda text, verb=verb, of=of: of(verbs.read_request([word.format(text) for word in verb.split()]))
      for verb, of in VERBS.items()),
]  # fmt: skip
NAMES = [*FOLDERS, *VERBS]


@pytest.mark.parametrize("read_place", EVERYWHERE, ids=NAMES)
def test_a_tilde_becomes_the_home_and_an_address_is_refused_everywhere(read_place, home):
    assert str(read_place("~/x")) == str(home / "x")
    for text in ("gs://bucket/x", "s3://bucket", "hdfs://host/x", "https://host/x", "file:///x"):
        with pytest.raises(UserError, match=r"is an address, and only paths of this machine"):
            read_place(text)
    with pytest.raises(UserError, match="begins with ~, and that home is not known"):
        read_place("~nobody-of-that-name/x")


def test_addresses_of_databases_are_galleries():
    for address in ("postgresql://u@h/d", "postgres://u@h/d", "postgresql+psycopg2://u@h/d", "PostgreSQL://u@h/d"):
        assert verbs.read_request(["gallery", "list", f"--gallery={address}"]).gallery == address


@pytest.mark.parametrize("read_place", EVERYWHERE, ids=NAMES)
def test_a_message_about_an_address_holds_no_password(read_place):
    with pytest.raises(UserError, match=r"mysql://…'? is an address") as error:
        read_place("mysql://me:secret@h/d")
    assert "secret" not in str(error.value)


def test_a_gallery_in_another_database_is_sent_to_postgresql():
    with pytest.raises(UserError, match="--gallery=mysql://… is an address.*write postgresql://USER@HOST/DATABASE"):
        verbs.read_request(["gallery", "list", "--gallery=mysql://me@h/d"])


def make_traps(folder: Path) -> None:
    (folder / "file").write_text("")
    (folder / "loop").symlink_to("loop")
    (folder / "dangling").symlink_to("nowhere/at all")


TRAPS = {
    "file": "is not a folder",
    "/dev/null": "is not a folder",
    "file/x": "cannot be used: Not a directory",
    "loop": "cannot be used: Too many levels of symbolic links",
    "loop/x": "cannot be used: Too many levels of symbolic links",
    "dangling": "is a link to nowhere/at all, which does not exist",
    "x" * 300: "cannot be used: File name too long",
    "a/" + "x" * 5000: "cannot be used: File name too long",
    "a\0b": "cannot be used",
    "": "is empty: give a path",
    "  ": "is empty: give a path",
}


@pytest.mark.parametrize("text", TRAPS)
def test_a_folder_that_cannot_be_one_is_a_sentence_and_nothing_is_made(tmp_path, text):
    make_traps(tmp_path)
    before = sorted(os.listdir(tmp_path))
    for flag, words in (("--workdir", (GLYPHS,)), ("--workdir", ("--mode=report",)), ("--data_dir", (GLYPHS,))):
        with pytest.raises(UserError, match=re.escape(f"{flag}={text[:100]}")) as error:
            read(*words, f"{flag}={text}")
        assert TRAPS[text] in str(error.value)
        assert len(str(error.value)) < 400
    assert sorted(os.listdir(tmp_path)) == before


def test_a_folder_where_a_file_is_needed_is_a_sentence(tmp_path):
    (tmp_path / "d").mkdir()
    for words in (["export", "--format=page", "--output=d"], ["gallery", "list", "--gallery=d"]):
        with pytest.raises(UserError, match="=d is a folder: give the path of a file"):
            verbs.read_request(words)
    with pytest.raises(UserError, match="data.table=d is a folder"):
        read(OWN, "--data.table=d")


@pytest.mark.parametrize(
    "name", ["..", ".", "/x", "a/b", "../x", "", "-x", ".x", "a\\b", "a b", "~", "x" * 201, "a\nb"]
)
def test_a_study_has_a_name_that_stays_below_runs(tmp_path, name):
    for words in ((GLYPHS, "--search=network.units=8,16"), ("--mode=report",)):
        with pytest.raises(UserError, match="--study"):
            read(*words, f"--study={name}")
    assert os.listdir(tmp_path) == []
    assert read(*SEARCH[:2], "--study=a-b.c_1").folder == Path("runs/a-b.c_1")


def test_runs_that_start_in_one_second_get_different_folders(monkeypatch):
    class Now:
        @staticmethod
        def now():
            return request_datetime(2026, 1, 2, 3, 4, 5)

    request_datetime = request.datetime.datetime
    monkeypatch.setattr(request.datetime, "datetime", Now)
    found = [read(GLYPHS).workdir for _ in range(3)]
    assert found == [Path(f"runs/glyphs_20way-20260102-030405{end}") for end in ("", "-2", "-3")]
    compared = [read("--mode=report", "--workdir=a", "--workdir=b").output for _ in range(2)]
    assert len(set(compared)) == 2
    assert all(folder.is_dir() for folder in (*found, *compared))


def test_a_claimed_folder_that_stays_empty_is_removed_at_the_end(tmp_path):
    remove_claimed()
    one, other = read(GLYPHS).workdir, read(GLYPHS).workdir
    (other / "results.json").write_text("{}")
    remove_claimed()
    assert not one.exists()
    assert os.listdir(other) == ["results.json"]
    (tmp_path / "elsewhere").mkdir()
    os.chdir("elsewhere")
    read(GLYPHS), read(GLYPHS)
    os.chdir(tmp_path)
    remove_claimed()
    assert os.listdir("elsewhere") == []


def test_where_no_folder_can_be_made_the_sentence_names_it(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(UserError, match=r"runs/glyphs_20way-\S+ could not be made: (File exists|Not a directory)"):
        read(GLYPHS)


def test_a_packaged_network_and_a_folder_of_its_name_stay_apart():
    assert places.network("--checkpoint", "best") == "best"
    assert places.network("--checkpoint", "./best") == "./best"


def test_a_file_in_a_workdir_that_is_named_lock_is_not_removed(tmp_path):
    (tmp_path / "lock").write_text("mine")
    with opened(tmp_path):
        pass
    assert (tmp_path / "lock").read_text() == "mine"


assert len({*itertools.chain(NAMES)}) == len(EVERYWHERE)
