"""Runs that are killed, damaged, copied, starved of disk or moved to another machine: they end with the same bits."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from campaign import DERIVED, TINY, Command, digests, nothing_lost, wait_for

EPOCH = 4
"""Steps of an epoch of TINY; it has three."""
SMALL_FILES = "lock", "first_checkpoint.json"


def leaves(workdir: Path, step: int = 3 * EPOCH) -> dict[str, Any]:
    """The digests of all arrays of a checkpoint, as they were when it was saved."""
    return json.loads((workdir / f"checkpoints/{step}/meta/metadata").read_text())["leaves"]


def train(command: Command, pictures: Path, workdir: Path, *flags: str, **how):
    """Train TINY there to its end."""
    return command(*TINY, f"--data.path={pictures}", f"--workdir={workdir}", *flags, **how)


@pytest.fixture
def before_the_last_epoch(finished: Path) -> Path:
    """The run as a kill in its last epoch leaves it."""
    shutil.rmtree(finished / f"checkpoints/{3 * EPOCH}")
    (finished / "results.json").unlink()
    return finished


@pytest.mark.parametrize("seed", range(4))
def test_a_training_killed_at_a_random_moment_resumes_to_the_same_bits(command, pictures, trained, tmp_path, seed):
    workdir = tmp_path / "run"
    process = command.start(*TINY, f"--data.path={pictures}", f"--workdir={workdir}")
    wait_for(process, workdir / "metrics.jsonl")
    time.sleep(random.Random(seed).uniform(0, 3))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    train(command, pictures, workdir).survived(0)
    assert leaves(workdir) == leaves(trained)


@pytest.mark.parametrize("times", [2])
def test_a_training_killed_again_and_again_before_its_first_checkpoint_can_be_started(
    command, pictures, trained, tmp_path, times
):
    workdir = tmp_path / "run"
    for number in range(times):
        process = command.start(*TINY, f"--data.path={pictures}", f"--workdir={workdir}")
        wait_for(process, workdir / ("metrics.jsonl" if number else "experiment.json"))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not (workdir / "first_checkpoint.json").exists()
    train(command, pictures, workdir).survived(0)
    assert leaves(workdir) == leaves(trained)


def flip(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes() or b"x")
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def cut(path: Path, chance: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: chance.randrange(1 + path.stat().st_size)])


def empty(path: Path, chance: random.Random) -> None:
    path.write_bytes(b"")


def remove(path: Path, chance: random.Random) -> None:
    path.unlink()


def replace_by_text(path: Path, chance: random.Random) -> None:
    path.write_text("<html>404</html>")


def replace_by_folder(path: Path, chance: random.Random) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, Callable[[Path, random.Random], None]] = {
    "flip": flip, "cut": cut, "empty": empty, "remove": remove, "text": replace_by_text, "folder": replace_by_folder,
}  # fmt: skip
PARTS = ("state/ocdbt.process_0/d/*", "state/d/*", "state/manifest.ocdbt", "state/_METADATA", "meta/metadata")


def damage(checkpoint: Path, part: str, kind: str, seed: int) -> None:
    """Damage one file of a part of a checkpoint, or all of them."""
    chance, files = random.Random(seed), sorted(path for path in checkpoint.glob(part) if path.is_file())
    for path in files if seed % 2 else [chance.choice(files)]:
        DAMAGES[kind](path, chance)


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_newest_checkpoint_is_passed_over_by_an_evaluation(command, finished, kind):
    number = list(DAMAGES).index(kind)
    damage(finished / f"checkpoints/{3 * EPOCH}", PARTS[number % len(PARTS)], kind, number)
    with nothing_lost(finished, but=DERIVED):
        command("--mode=evaluate", "--experiment=own_images", f"--workdir={finished}").survived(0)


@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_newest_checkpoint_is_set_aside_and_training_ends_with_the_same_bits(
    command, pictures, trained, finished, seed
):
    chance = random.Random(seed)
    damage(finished / f"checkpoints/{3 * EPOCH}", chance.choice(PARTS), chance.choice(list(DAMAGES)), seed)
    train(command, pictures, finished).survived(0)
    assert leaves(finished) == leaves(trained)


@pytest.mark.parametrize("kind", ["flip", "remove"])
def test_when_all_checkpoints_are_damaged_nothing_is_touched(command, pictures, finished, kind):
    for step in (2 * EPOCH, 3 * EPOCH):
        damage(finished / f"checkpoints/{step}", "meta/metadata", kind, step)
    before = digests(finished, SMALL_FILES)
    train(command, pictures, finished).survived(2).says("no checkpoint", "is intact", "another --workdir")
    assert digests(finished, SMALL_FILES) == before


def drop(workdir: Path, pattern: str) -> None:
    for path in list(workdir.rglob(pattern)):
        path.unlink()


@pytest.mark.parametrize("pattern", ["commit_success.txt", "checkpoints/*/commit_success.txt", "8/commit_success.txt"])
def test_checkpoints_that_lost_only_their_commit_files_are_used(
    command, pictures, trained, before_the_last_epoch, pattern
):
    drop(before_the_last_epoch, pattern)
    train(command, pictures, before_the_last_epoch).survived(0)
    assert leaves(before_the_last_epoch) == leaves(trained)
    lines = (before_the_last_epoch / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["step"] == 0


@pytest.mark.parametrize("pattern", ["_*", "*.ocdbt", "metadata"])
def test_a_copy_that_lacks_some_files_is_refused_or_right_and_the_rest_of_it_stays(
    command, pictures, finished, tmp_path, pattern
):
    copy = Path(shutil.copytree(finished, tmp_path / "copy"))
    drop(copy / "checkpoints", pattern)
    before = digests(copy / "checkpoints")
    outcome = train(command, pictures, copy).survived(0, 2)
    if outcome.code == 2:
        assert digests(copy / "checkpoints") == before


def test_a_copy_of_a_run_elsewhere_resumes_to_the_same_bits(
    command, pictures, trained, before_the_last_epoch, tmp_path
):
    copy = Path(shutil.copytree(before_the_last_epoch, tmp_path / "elsewhere" / "größer als 1"))
    shutil.rmtree(before_the_last_epoch)
    train(command, pictures, copy).survived(0)
    assert leaves(copy) == leaves(trained)


def gone(workdir: Path) -> None:
    shutil.rmtree(workdir / "checkpoints")


def emptied(workdir: Path) -> None:
    gone(workdir)
    (workdir / "checkpoints").mkdir()


def only_folders(workdir: Path) -> None:
    for path in list((workdir / "checkpoints").rglob("*")):
        if path.is_file():
            path.unlink()


def only_results(workdir: Path) -> None:
    emptied(workdir)
    (workdir / "first_checkpoint.json").unlink()
    (workdir / "metrics.jsonl").unlink()


def only_metrics(workdir: Path) -> None:
    gone(workdir)
    (workdir / "first_checkpoint.json").unlink()
    (workdir / "results.json").unlink()


def a_note_alone(workdir: Path) -> None:
    only_results(workdir)
    (workdir / "results.json").unlink()
    (workdir / "first_checkpoint.json").write_text("")


def other_things(workdir: Path) -> None:
    emptied(workdir)
    (workdir / "checkpoints/2024").mkdir()
    (workdir / "checkpoints/2024/holiday.jpg").write_bytes(b"mine")


def a_file(workdir: Path) -> None:
    gone(workdir)
    (workdir / "checkpoints").write_text("see the other disk")


def a_broken_link(workdir: Path) -> None:
    gone(workdir)
    (workdir / "checkpoints").symlink_to(workdir / "no such folder")


@pytest.mark.parametrize(
    "lose",
    [gone, emptied, only_folders, only_results, only_metrics, a_note_alone, other_things, a_file, a_broken_link],
)
def test_training_never_starts_over_a_run_whose_checkpoints_are_lost(command, pictures, finished, lose):
    lose(finished)
    before = digests(finished, SMALL_FILES)
    train(command, pictures, finished).survived(2).says("checkpoints")
    command("--mode=evaluate", "--experiment=own_images", f"--workdir={finished}").survived(2).says("checkpoints")
    assert digests(finished, SMALL_FILES) == before


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (["2024/photo.jpg", "0012/photo.jpg", "²/photo.jpg", "-1/photo.jpg", "damaged-8/photo.jpg", "notes.txt"], None),
        (["12/photo.jpg"], ["not-a-checkpoint-12/photo.jpg"]),
        (["12/state/photo.jpg"], ["not-a-checkpoint-12/state/photo.jpg"]),
        (["12"], ["not-a-checkpoint-12"]),
    ],
)
def test_what_the_user_keeps_among_checkpoints_stays_and_is_not_a_checkpoint(
    command, pictures, trained, before_the_last_epoch, names, kept
):
    folder = before_the_last_epoch / "checkpoints"
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"mine: {name}")
    train(command, pictures, before_the_last_epoch).survived(0)
    assert leaves(before_the_last_epoch) == leaves(trained)
    for name, now in zip(names, kept or names, strict=True):
        assert (folder / now).read_text() == f"mine: {name}"


@pytest.mark.parametrize("pause", [0.0])
def test_of_two_trainings_in_one_folder_one_is_refused_and_the_other_ends_with_the_same_bits(
    command, pictures, trained, tmp_path, pause
):
    words = (*TINY, f"--data.path={pictures}", f"--workdir={tmp_path / 'run'}")
    first = command.start(*words)
    time.sleep(pause)
    outcomes = [command.ended(process) for process in (command.start(*words), first)]
    assert sorted(outcome.code for outcome in outcomes) == [0, 2]
    for outcome in outcomes:
        outcome.survived(0, 2)
        if outcome.code == 2:
            outcome.says("in use by another run")
    assert leaves(tmp_path / "run") == leaves(trained)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """`small_disk(kilobytes)` mounts a file system of that size, or gives the mounted one that size."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def sized(kilobytes: int) -> Path:
        remount = ("remount,",) if folder.is_mount() else ("",)
        order = ["mount", "-t", "tmpfs", "-o", f"{remount[0]}size={kilobytes}k", "tmpfs", str(folder)]
        if subprocess.run(order, check=False, capture_output=True).returncode:
            pytest.skip("only root can mount a small disk")
        return folder

    yield sized
    if folder.is_mount():
        subprocess.run(["umount", "-l", str(folder)], check=True)


def kilobytes_of(folder: Path) -> int:
    """What a file system with pages of 4 kB needs for a folder."""
    return sum(4 * -(-max(path.stat().st_size, 1) // 4096) for path in folder.rglob("*"))


@pytest.mark.parametrize(("spare", "debug"), [(0, ""), (16, "1"), (80, "")])
def test_a_disk_that_is_full_costs_nothing_that_was_written(
    command, pictures, trained, before_the_last_epoch, small_disk, spare, debug
):
    workdir = small_disk(100_000) / "run"
    shutil.copytree(before_the_last_epoch, workdir)
    small_disk(kilobytes_of(workdir.parent) + spare)
    with nothing_lost(workdir, but=("metrics.jsonl", *DERIVED)):
        outcome = train(command, pictures, workdir, env={"PYTHONASYNCIODEBUG": debug})
        outcome.survived(2).says("No space left on device")
    small_disk(100_000)
    train(command, pictures, workdir).survived(0)
    assert leaves(workdir) == leaves(trained)
    assert {path.name for path in (workdir / "checkpoints").iterdir()} == {"8", "12"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JAX_ENABLE_X64", "1"),
        ("JAX_THREEFRY_PARTITIONABLE", "0"),
        ("JAX_RANDOM_SEED_OFFSET", "3"),
        ("JAX_NUMPY_DTYPE_PROMOTION", "strict"),
    ],
)
def test_a_setting_that_changes_every_result_is_refused_before_anything_is_written(
    command, pictures, tmp_path, name, value
):
    outcome = train(command, pictures, tmp_path / "run", env={name: value})
    outcome.survived(2).says(name, "unset this variable")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("JAX_DEFAULT_PRNG_IMPL", "rbg"), ("JAX_DEFAULT_DTYPE_BITS", "64")],
)
def test_a_setting_that_must_not_matter_does_not(command, pictures, trained, before_the_last_epoch, name, value):
    train(command, pictures, before_the_last_epoch, env={name: value}).survived(0)
    assert leaves(before_the_last_epoch) == leaves(trained)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"before": ("taskset", "-c", "0")}, "cores was"),
        ({"env": {"NPROC": "1"}}, "NPROC was not set and is 1"),
    ],
)
def test_a_resume_where_bits_will_differ_says_so_and_results_record_it(
    command, pictures, before_the_last_epoch, how, words
):
    if "before" in how and len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this machine has one core")
    train(command, pictures, before_the_last_epoch, **how).survived(0).says("Bits will differ", words)
    environment = json.loads((before_the_last_epoch / "results.json").read_text())["environment"]
    assert environment["machine_cores"] == os.cpu_count()
    if "before" in how:
        assert environment["cores"] == 1
    else:
        ((_, value),) = how["env"].items()
        assert value in environment["settings"].values()


@pytest.mark.parametrize("rate", ["1e4"])
def test_a_run_that_learned_nothing_says_so_in_its_last_line(command, pictures, tmp_path, rate):
    outcome = train(command, pictures, tmp_path / "run", f"--optimizer.rate={rate}").survived(0, 2)
    if outcome.code == 0:
        assert outcome.out.splitlines()[-1].startswith("This network learned nothing")
    else:
        outcome.says("learning rates")
