"""Faults of a search: its record, its workers, and programs beside it."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from campaign import TINY, Command, nothing_lost, wait_for

SEARCH = (
    *TINY, "--study=tiny", "--search=optimizer.rate=log:1e-4..1e-2", "--trials=3", "--trial_epochs=1",
    "--sampler=random", "--pruner=none",
)  # fmt: skip
REPORTED = ("trials.csv", "best.flags", "report.md", "report.html")


@pytest.fixture(scope="session")
def searched(once, pictures, programs) -> Path:
    """A finished search, which no test may change."""

    def build(folder):
        Command(folder.parent, programs)(*SEARCH, f"--data.path={pictures}", f"--workdir={folder}").survived(0)

    return once("searched", build)


@pytest.fixture
def study(searched, tmp_path) -> Path:
    """A copy of the finished search, for one test."""
    return Path(shutil.copytree(searched, tmp_path / "study"))


def emptied(content: bytes, chance: random.Random) -> bytes:
    return b""


def cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(1, len(content) - 1)]


def without_a_line(content: bytes, chance: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    del lines[chance.randrange(len(lines))]
    return b"".join(lines)


def flipped(content: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]


def shuffled(content: bytes, chance: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    chance.shuffle(lines)
    return b"".join(lines)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("damage", [emptied, cut, without_a_line, flipped, shuffled])
def test_a_damaged_journal_is_refused_and_kept(study, command, damage, seed):
    journal = study / "journal.log"
    journal.write_bytes(damage(journal.read_bytes(), random.Random(seed)))
    with nothing_lost(study):
        command("--mode=report", "--study=tiny", f"--workdir={study}").survived(2).says("journal.log is not as")


@pytest.mark.parametrize("left", ["a link", "a file", "a journal.digest.tmp"])
def test_a_lock_that_was_left_behind_does_not_hold_a_search_up(study, command, left):
    lock = study / ("journal.log.lock" if left != "a journal.digest.tmp" else ".journal.digest.1.tmp")
    lock.symlink_to("runs/study/journal.log") if left == "a link" else lock.write_text("")
    ended = command("--mode=report", "--study=tiny", f"--workdir={study}").survived(0)
    assert ended.seconds < 20


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda how: how.name)
def test_a_search_whose_worker_was_ended_tries_every_candidate_once(tmp_path, pictures, command, how, seed):
    study = tmp_path / "study"
    words = (*SEARCH, f"--data.path={pictures}", f"--workdir={study}")
    worker = command.start(*words)
    wait_for(worker, study / "journal.log")
    time.sleep(random.Random(seed).uniform(0, 4))
    worker.send_signal(how)
    ended = command.ended(worker)
    if how is not signal.SIGKILL:
        ended.survived(0, 128 + how)
    command(*words).survived(0)
    rows = (study / "trials.csv").read_text().splitlines()
    assert sum(",complete," in row for row in rows) == 3, rows


def test_the_dashboard_of_the_documentation_reads_the_journal_with_what_pip_installs_today(study, tmp_path):
    page = (Path(__file__).parent.parent / "docs" / "searching.md").read_text()
    install, show = re.search(r"    (pip install optuna-dashboard) && (optuna-dashboard \S+)", page).groups()
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "fresh"], check=True)
    programs = tmp_path / "fresh" / "bin"
    subprocess.run([programs / install.split()[0], *install.split()[1:], "-q"], check=True)
    place = tmp_path / "runs" / "STUDY"
    place.parent.mkdir()
    study.rename(place)
    with nothing_lost(place):
        dashboard = subprocess.Popen(
            [programs / show.split()[0], *show.split()[1:], "--port=8099"], cwd=tmp_path, stderr=subprocess.PIPE
        )
        try:
            for _ in range(100):
                time.sleep(0.2)
                try:
                    with urllib.request.urlopen("http://127.0.0.1:8099/api/studies/0?after=0") as answer:
                        told = answer.read().decode()
                    break
                except OSError:
                    assert dashboard.poll() is None
        finally:
            os.kill(dashboard.pid, signal.SIGTERM)
            dashboard.communicate()
    assert '"name": "tiny"' in told
    assert told.count('"Complete"') >= 3
