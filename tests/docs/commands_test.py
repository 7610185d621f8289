"""Commands in README.md and docs/ name flags, files and extras that exist, and none that readers know has been lost."""

import re
import shlex
import subprocess
import sys
import tomllib

import pages
import pytest
from absl.testing import flagsaver

from siamese_jax import main  # noqa: F401 (it defines the flags)
from siamese_jax.command import verbs
from siamese_jax.command.flags import FLAGS
from siamese_jax.command.request import read_request

TEXT = "\n".join(map(pages.code, pages.PAGES)) + "\n" + pages.code(pages.ROOT / "benchmarks" / "README.md")
COMMANDS = re.findall(r"^(?:.*&& )?(?:python -m siamese_jax\.main|siamese-jax)( .*)$", TEXT, re.MULTILINE)
FLAG_FILES = re.findall(r"(?:^--[\w.]+=.*\n?)+", TEXT, re.MULTILINE)
PLACEHOLDERS = re.compile(r"=(DIR|NAME|[AB]|my_variant\.flags|FILE)\b|runs/[AB]\b")

KNOWN = """
--experiment=glyphs_20way
--experiment=omniglot_20way_fast
--experiment=omniglot_20way_fast --archives=DIR
--experiment=omniglot_20way
--list
--mode=report --workdir=runs/A --workdir=runs/B
--mode=report --workdir=A --workdir=B
--mode=evaluate --checkpoint=best --archives=DIR
--experiment=omniglot_20way_small --seed=1 --train_pairs=12000 --network.conv2.filters=128 \
--optimizer.layers.fc.learning_rate=0.05 --distort.copies=0
--flagfile=my_variant.flags
--flagfile=experiments/sweeps/glyphs_quick.flags
--flagfile=experiments/sweeps/paper_search.flags
--flagfile=experiments/sweeps/paper_search.flags --storage=postgresql://USER@HOST/DB
--mode=report --study=glyphs_quick
--mode=evaluate --experiment=NAME --workdir=DIR
""".strip().splitlines()
"""What the first README showed after `python -m siamese_jax.main`."""


def resolve(arguments: str, read: bool) -> None:
    """Parse flags as the command does; with `read`, make its request, too."""
    words = shlex.split(arguments, comments=True)
    if words[0] in verbs.VERBS:
        if "--help" not in words:
            verbs.read_request(words)
        return
    with flagsaver.flagsaver():
        for name in FLAGS:  # another test may have set some
            FLAGS[name].unparse()
        stray = FLAGS(["siamese_jax", *words[words[0] == "train" :]])[1:]
        assert stray == []
        if read:
            read_request()


@pytest.mark.parametrize("arguments", dict.fromkeys(COMMANDS))
def test_the_flags_of_a_command_resolve(arguments, monkeypatch):
    monkeypatch.chdir(pages.ROOT)
    with_file = arguments.replace(" --flagfile=my_variant.flags", " --experiment=glyphs_20way")
    resolve(with_file, read=not PLACEHOLDERS.search(with_file))


@pytest.mark.parametrize("text", FLAG_FILES)
def test_the_flags_of_a_flag_file_resolve(text):
    resolve(text.replace("\n", " "), read=True)


@pytest.mark.parametrize("arguments", KNOWN)
def test_a_command_of_the_first_readme_is_still_shown(arguments):
    assert arguments in [command.strip() for command in COMMANDS]


def test_flags_in_a_sentence_exist():
    written = re.findall(r"`--([\w.]+)", "\n".join(page.read_text() for page in pages.PAGES))
    of_verbs = {name for verb in verbs.VERBS.values() for name in verb.flags()}
    unknown = {name for name in written if name not in FLAGS and name not in {"flagfile", "help", *of_verbs}}
    assert {name for name in unknown if not any(f"--{name}" in text for text in TOOLS.values())} == set()


TOOLS = {
    path.name: path.read_text() for folder in ("tools", "benchmarks") for path in (pages.ROOT / folder).glob("*.py")
}


def test_installed_extras_exist():
    extras = tomllib.loads((pages.ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    written = re.findall(r"\.\[([\w,]+)\]", "\n".join(page.read_text() for page in pages.PAGES))
    assert written
    assert {extra for group in written for extra in group.split(",")} <= set(extras)


def test_scripts_in_commands_exist():
    text = "\n".join(page.read_text() for page in pages.PAGES)
    scripts = set(re.findall(r"python ((?:tools|benchmarks|examples)/\w+\.py)", text))
    assert scripts
    assert {script for script in scripts if not (pages.ROOT / script).exists()} == set()


def test_files_in_code_exist():
    written = re.findall(r"`((?:tools|benchmarks|examples|experiments|docs)/[\w/.]+\.\w+)`", TEXT)
    for page in pages.PAGES:
        written += re.findall(r"`((?:tools|examples|experiments|docs)/[\w/.]+\.\w+)`", page.read_text())
    assert [path for path in written if not (pages.ROOT / path).exists()] == []


def test_the_command_is_the_console_script():
    done = subprocess.run(
        [sys.executable, "-m", "siamese_jax.main", "--help"], capture_output=True, text=True, check=True
    )
    assert "python -m siamese_jax.main --experiment=NAME" in done.stdout
