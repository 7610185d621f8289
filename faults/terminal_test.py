"""Signals at random moments, pipes, full and closed streams, narrow encodings, limits of memory, missing devices."""

import contextlib
import os
import pty
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from campaign import TINY, Command, Outcome, nothing_lost, wait_for
from sharing import Once

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
START, TRAINING, REPORT = range(8), range(8), range(6)
"""Seeds of signals in the first two seconds, while training, and in the report that follows."""
ENCODINGS = ("ascii", "ascii:strict", "latin-1", "cp437", "utf-16")


@pytest.fixture
def words(pictures: Path, tmp_path: Path) -> tuple[str, ...]:
    """The flags of a run in the current folder."""
    return (*TINY, f"--data.path={pictures}", f"--workdir={tmp_path / 'run'}")


@pytest.fixture(scope="session")
def seconds(once: Once, trained: Path, pictures: Path, programs: Path) -> tuple[float, float]:
    """How long a run takes until its first line of metrics, and until its end, when all programs are compiled."""

    def build(folder: Path) -> None:
        command, began = Command(folder, programs), time.monotonic()
        process = command.start(*TINY, f"--data.path={pictures}", f"--workdir={folder / 'run'}")
        wait_for(process, folder / "run" / "metrics.jsonl")
        training = time.monotonic() - began
        command.ended(process).survived(0)
        (folder / "seconds").write_text(f"{training} {time.monotonic() - began}")

    first, last = (once("seconds", build) / "seconds").read_text().split()
    return float(first), float(last)


def interrupted(command: Command, words: tuple[str, ...], after: float, number: int, again: float = 0.0) -> Outcome:
    """Send a signal after some seconds, and perhaps a second one; return how the command ended."""
    process = command.start(*words)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(after)
    process.send_signal(number)
    if again:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(again)
        process.send_signal(number)
    return command.ended(process, timeout=30)


@pytest.mark.parametrize("seed", START)
def test_a_signal_while_the_command_starts(command, words, tmp_path, seed):
    rng = random.Random(seed)
    number = SIGNALS[seed % 4]
    outcome = interrupted(command, words, rng.uniform(0.15, 2.0), number).survived(128 + number).says("interrupted")
    assert outcome.seconds < 10


@pytest.mark.parametrize("seed", TRAINING)
def test_a_signal_while_it_trains_and_the_resumed_run_loses_nothing(command, words, tmp_path, seconds, seed):
    number = SIGNALS[seed % 4]
    interrupted(command, words, random.Random(seed).uniform(2.0, seconds[0] + 1), number).survived(0, 128 + number)
    run = tmp_path / "run"
    kept = [step.name for step in (run / "checkpoints").glob("[0-9]*")] if run.exists() else []
    command(*words).survived(0)
    assert all(int(step) <= 12 for step in kept)
    assert (run / "report.html").exists()


@pytest.mark.parametrize("seed", REPORT)
def test_a_signal_while_it_evaluates_and_reports(command, finished, pictures, seed):
    number = SIGNALS[seed % 4]
    words = ("--mode=evaluate", f"--workdir={finished}")
    keep = ("results.json", "trials.npz", "report.md", "report.html", "lock")
    pictures_of_report = tuple(path.name for path in finished.glob("*.png"))
    with nothing_lost(finished, but=(*keep, *pictures_of_report)):
        interrupted(command, words, random.Random(seed).uniform(1.5, 7.0), number).survived(0, 128 + number)


@pytest.mark.parametrize("seed", range(4))
def test_a_second_signal_ends_it_at_once_and_tears_nothing(command, words, tmp_path, seconds, seed):
    after = random.Random(seed).uniform(seconds[0] - 1, seconds[0] + 1)
    interrupted(command, words, after, signal.SIGINT, again=0.6).survived(0, 130)
    command(*words).survived(0)


def test_a_signal_in_a_compile_is_answered_at_once(command, words):
    cold = {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    process = command.start(*words, "--network.width=64", "--network.stages=1", env=cold)
    time.sleep(5)
    process.send_signal(signal.SIGTERM)
    command.ended(process).survived(0, 143)


def test_nohup_keeps_a_run_alive(command, finished):
    words = ("--mode=report", f"--workdir={finished}")
    process = command.start(*words, before=("nohup",))
    time.sleep(1)
    process.send_signal(signal.SIGHUP)
    command.ended(process).survived(0)


@pytest.mark.parametrize("words", [("--list",), ("--help",), ("identify", "--help")])
def test_a_reader_that_goes(command, words):
    ours, theirs = os.pipe()
    os.close(ours)
    outcome = command(*words, stdout=theirs)
    assert (outcome.code, outcome.err) == (128 + signal.SIGPIPE, "")
    os.close(theirs)


@pytest.mark.parametrize("words", [("--list",), ("--help",), ("verify", "--help")])
def test_a_full_disk_behind_the_output(command, words):
    with Path("/dev/full").open("w") as full:
        command(*words, stdout=full).survived(2).says("No space left on device")


@pytest.mark.parametrize("which", ["1", "2", "12", "012"])
def test_training_without_streams(command, words, tmp_path, which):
    closed = " ".join(f"{number}>&-" for number in which)
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh"]
    command(*words, "--max_epochs=1", before=shell).survived(0)
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_training_into_a_full_disk_behind_the_output(command, words, tmp_path, stream):
    with Path("/dev/full").open("w") as full:
        command(*words, "--max_epochs=1", **{stream: full}).survived(0)
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_list_in_a_narrow_encoding(command, encoding):
    command("--list", env={"PYTHONIOENCODING": encoding}).survived(0)


@pytest.mark.parametrize(
    "env", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]
)
def test_training_in_a_narrow_encoding(command, words, env):
    command(*words, "--max_epochs=1", env=env).survived(0)


def test_the_bar_of_a_terminal_in_a_narrow_encoding(command, words):
    ours, theirs = pty.openpty()
    process = command.start(*words, "--max_epochs=1", env={"PYTHONIOENCODING": "ascii"}, stderr=theirs)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # EIO: the other end has been closed
        while some := os.read(ours, 1 << 16):
            shown += some
    os.close(ours)
    command.ended(process).survived(0)
    assert b"Traceback" not in shown


def test_a_terminal_that_goes_while_it_trains(command, words, tmp_path):
    ours, theirs = pty.openpty()
    process = command.start(*words, "--max_epochs=1", stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.read(ours, 100)
    os.close(ours)
    process.wait(120)
    assert process.returncode == 0
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.parametrize("megabytes", [200, 400, 700, 1000, 1500, 2500])
def test_too_few_addresses_for_jax(command, words, tmp_path, megabytes):
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    command(*words, preexec_fn=limit).survived(2).says("ulimit -v")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "flag",
    [
        "--network.units=2000000000",
        "--network.width=80000",
        "--evaluation.embed_batch=1000000000",
        "--network.units=100000000",
    ],
)
def test_what_cannot_fit_into_memory(command, words, tmp_path, flag):
    assert command(*words, flag).survived(2).says("GB").seconds < 20
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("platform", ["cuda", "tpu", "typo"])
def test_a_device_that_is_not_there(command, words, tmp_path, platform):
    command(*words, env={"JAX_PLATFORMS": platform}).survived(2).says(f"JAX_PLATFORMS={platform}")
    assert not (tmp_path / "run").exists()


def test_a_package_that_is_started_as_a_module(command):
    done = subprocess.run([sys.executable, "-m", "siamese_jax", "--list"], capture_output=True, check=True)
    assert done.stdout
