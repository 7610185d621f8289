"""Words and flags of each verb become one request; mistakes are sentences, before anything heavy is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from siamese_jax.command import picture_verbs, verb, verbs
from siamese_jax.command.picture_verbs import (
    CheckGallery,
    Enrol,
    Identify,
    ListGallery,
    RemoveFromGallery,
    Unpack,
    Verify,
)
from siamese_jax.command.verb import Reading
from siamese_jax.data.unpack import BUILT_IN
from siamese_jax.errors import UserError
from siamese_jax.storage import image_files

READING = Reading(None, None)
REQUESTS = {
    "unpack glyphs d --json": Unpack(source="glyphs", folder=Path("d"), data_dir=None, archives=None, json=True),
    "enrol d e --gallery=g": Enrol(
        paths=(Path("d"), Path("e")), class_name=None, only="*", gallery="g", checkpoint="best", reading=READING,
        json=False,
    ),
    "enrol a.png --class=x --only=0*.png --gallery g --checkpoint=runs/a --fit=ink --polarity=light": Enrol(
        paths=(Path("a.png"),), class_name="x", only="0*.png", gallery="g", checkpoint="runs/a",
        reading=Reading("ink", "light"), json=False,
    ),
    "identify a.png b.png --gallery=postgresql://h/d --top=2 --fpir=0.05": Identify(
        paths=(Path("a.png"), Path("b.png")), gallery="postgresql://h/d", checkpoint="best", top=2, fpir=0.05,
        reading=READING, json=False,
    ),
    "verify --json a.png b.png --prior=0.1": Verify(
        first=Path("a.png"), second=Path("b.png"), checkpoint="best", prior=0.1, reading=READING, json=True
    ),
    "gallery list --gallery=g": ListGallery(gallery="g", json=False),
    "gallery remove --class=x --gallery=g": RemoveFromGallery(gallery="g", class_name="x", picture=None, json=False),
    "gallery remove --picture=3 --gallery=g": RemoveFromGallery(gallery="g", class_name=None, picture=3, json=False),
    "gallery check --gallery=g --checkpoint=best": CheckGallery(gallery="g", checkpoint="best", json=False),
}  # fmt: skip


@pytest.mark.parametrize("line", REQUESTS)
def test_a_command_line_is_one_request(line):
    assert verbs.read_request(line.split()) == REQUESTS[line]


MISTAKES = {
    "enrl d": "did you mean enrol? use train, unpack, enrol, identify, verify, gallery",
    "unpack glyphs": "unpack takes a data set and a folder",
    "enrol --gallery=g": "enrol takes a folder",
    "enrol d": "no gallery is named: add --gallery=FILE",
    "enrol d --galery=g": "--galery is not a flag of enrol: did you mean --gallery?",
    "enrol d --gallery=g --seed=1": "--seed is not a flag of enrol: siamese-jax enrol --help",
    "identify --gallery=g": "identify takes pictures",
    "identify a.png --gallery=g --top=0": "top",
    "identify a.png --gallery=g --fit=stretch": "value should be one of <pad|ink|crop|squash>",
    "verify a.png": "verify takes two pictures, not 1",
    "verify a.png b.png c.png": "verify takes two pictures, not 3",
    "verify a.png b.png --prior=x": "prior",
    "gallery --gallery=g": "gallery takes list, remove or check",
    "gallery show --gallery=g": "gallery takes list, remove or check",
    "gallery remove --gallery=g": "add --class=NAME or --picture=NUMBER",
    "gallery remove --gallery=g --class=a --picture=1": "add --class=NAME or --picture=NUMBER",
    "gallery list --gallery=g --class=a": "--class is for gallery remove",
    "gallery check --gallery=g --picture=1": "--picture is for gallery remove",
    "gallery list --gallery=g --checkpoint=best": "--checkpoint is for gallery check",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_a_sentence_that_says_what_to_write(line):
    with pytest.raises(UserError) as refused:
        verbs.read_request(line.split())
    assert MISTAKES[line] in str(refused.value)


@pytest.mark.parametrize("name", verbs.VERBS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_the_help_of_a_verb_names_each_of_its_flags(name, flag, capsys):
    with pytest.raises(SystemExit) as ended:
        verbs.read_request([name, "x", flag])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert f"siamese-jax {name} " in shown
    assert all(len(line) <= 120 for line in shown.splitlines())
    for defined in verbs.VERBS[name].flags():
        assert f"--{defined}" in shown


def test_choices_are_those_of_reading_and_unpacking():
    assert verb.FITS == image_files.FITS
    assert verb.POLARITIES == image_files.POLARITIES
    for name in BUILT_IN:
        assert name in picture_verbs.UNPACK


def run(*words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "siamese_jax.main", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_command_answers_help_and_mistakes_without_a_traceback():
    shown = run("verify", "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "siamese-jax verify a.png b.png" in shown.stdout
    mistake = run("enrl")
    assert (mistake.returncode, mistake.stdout) == (2, "")
    assert mistake.stderr.startswith("siamese_jax: enrl is not a verb")
    assert mistake.stderr.count("\n") == 1


def test_train_is_the_command_without_a_verb():
    assert run("train", "--experiment=glyphs_20way", "--sed=1").stderr.startswith("siamese_jax: --sed is not a flag")
    assert run("train", "--list").stdout == run("--list").stdout
    assert "--experiment=NAME" in run("train", "--help").stdout


def test_words_and_help_load_nothing_heavy():
    code = (
        "import sys, siamese_jax.main; from siamese_jax.command import verbs;"
        "verbs.read_request(['verify', 'a', 'b']); print({'jax', 'numpy', 'PIL', 'sqlite3'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
