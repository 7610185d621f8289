"""Checkpoints are damaged, killed and starved here as disks and schedulers do it."""

import asyncio
import errno
import gc
import json
import logging
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from siamese_jax.errors import UserError
from siamese_jax.records import TrainState
from siamese_jax.storage import checkpoint
from siamese_jax.storage.checkpoint import Checkpoints, Restored

META = {"epoch": 3, "best": float("-inf"), "history": [0.1, 0.2], "name": "größer"}


def make_state(step: int, units: int = 5) -> TrainState:
    """A state with the nesting and dtypes of a real one; its numbers depend on `step`."""
    draw = np.random.default_rng(step)
    params = {
        "twin": {"fc": {"kernel": jnp.asarray(draw.normal(size=(3000, units)), jnp.float32), "bias": jnp.zeros(units)}},
        "out": {"kernel": jnp.asarray(draw.normal(size=(units, 1)), jnp.bfloat16)},
    }
    rule = optax.chain(
        optax.add_decayed_weights(1e-3),
        optax.inject_hyperparams(optax.trace)(decay=lambda count: 0.5 + 0.01 * count),
    )
    optimizer = optax.partition({"a": rule, "b": optax.sgd(0.1)}, {"twin": "a", "out": "b"})
    _, opt_state = optimizer.update(params, optimizer.init(params), params)
    return TrainState(jnp.int32(step), params, opt_state)


def template(units: int = 5) -> TrainState:
    return jax.eval_shape(lambda: make_state(0, units))


def assert_same(restored: Restored | None, step: int) -> None:
    assert restored is not None
    assert restored.step == step
    expected = make_state(step)
    assert jax.tree.structure(restored.state) == jax.tree.structure(expected)
    for got, want in zip(jax.tree.leaves(restored.state), jax.tree.leaves(expected), strict=True):
        assert isinstance(got, jax.Array)
        assert (got.dtype, got.shape, got.weak_type) == (want.dtype, want.shape, want.weak_type)
        assert np.asarray(got).tobytes() == np.asarray(want).tobytes()


def save_all(workdir: Path, *steps: int) -> None:
    with Checkpoints(workdir) as checkpoints:
        for step in steps:
            checkpoints.save(step, make_state(step), META)


def files_of(workdir: Path, step: int, part: str) -> list[Path]:
    return sorted(p for p in (workdir / "checkpoints" / str(step) / part).rglob("*") if p.is_file())


def flip_a_bit(workdir: Path, step: int, part: str = "state") -> None:
    """Flips a bit well inside the largest file: of `state`, two large leaves; of `state/d`, the index of all leaves."""
    file = max(files_of(workdir, step, part), key=lambda p: p.stat().st_size)
    data = bytearray(file.read_bytes())
    data[len(data) // 4] ^= 1
    file.write_bytes(data)


def names(workdir: Path) -> set[str]:
    return {p.name for p in (workdir / "checkpoints").iterdir()}


def test_a_state_returns_bit_for_bit_with_its_dtypes_and_meta(tmp_path):
    save_all(tmp_path, 7)
    for restored in (checkpoint.restore(tmp_path, template()), checkpoint.restore(tmp_path, make_state(0))):
        assert_same(restored, 7)
        assert restored.meta == META
    with Checkpoints(tmp_path) as checkpoints:
        assert_same(checkpoints.restore(template()), 7)


def test_relative_folders_work_and_only_the_newest_are_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_all(Path("run"), 1, 2, 3)
    assert names(tmp_path / "run") == {"2", "3"}
    assert_same(checkpoint.restore("run", template()), 3)


def test_without_checkpoints_nothing_is_restored_and_reading_leaves_no_trace(tmp_path):
    assert checkpoint.restore(tmp_path / "none", template()) is None
    assert not (tmp_path / "none").exists()
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest is None
        assert checkpoints.restore(template()) is None


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("state", "twin.fc.kernel differs from what was saved"),
        ("state/d", "DATA_LOSS"),
        ("meta", "meta differs from what was saved"),
    ],
)
def test_a_flipped_bit_falls_back_to_the_checkpoint_before_and_saving_goes_on(tmp_path, caplog, part, reason):
    save_all(tmp_path, 10, 20)
    if part == "meta":
        file = tmp_path / "checkpoints/20/meta/metadata"
        file.write_text(re.sub(r'"epoch":( ?)3', r'"epoch":\g<1>2', file.read_text()))
    else:
        flip_a_bit(tmp_path, 20, part)
    with Checkpoints(tmp_path) as checkpoints:
        with caplog.at_level(logging.WARNING):
            assert_same(checkpoints.restore(template()), 10)
        assert "checkpoint 20 is damaged" in caplog.text
        assert reason in caplog.text
        assert names(tmp_path) == {"10", "damaged-20"}
        checkpoints.save(15, make_state(15), META)
        checkpoints.save(20, make_state(20), META)
    assert_same(checkpoint.restore(tmp_path, template()), 20)


def test_a_second_damaged_checkpoint_of_the_same_step_is_set_aside_too(tmp_path):
    save_all(tmp_path, 10, 20)
    for _ in range(2):
        flip_a_bit(tmp_path, 20)
        with Checkpoints(tmp_path) as checkpoints:
            assert_same(checkpoints.restore(template()), 10)
            checkpoints.save(20, make_state(20), META)
    assert names(tmp_path) == {"10", "20", "damaged-20", "damaged-20-2"}


def test_reading_passes_over_a_damaged_checkpoint_but_moves_nothing(tmp_path, caplog):
    save_all(tmp_path, 10, 20)
    flip_a_bit(tmp_path, 20)
    with Checkpoints(tmp_path):  # reading needs no lock
        assert_same(checkpoint.restore(tmp_path, template()), 10)
    assert [record.module for record in caplog.records] == ["checkpoint"]  # one warning, ours, and none of Orbax's
    assert names(tmp_path) == {"10", "20"}


def test_when_every_checkpoint_is_damaged_the_user_is_told_and_nothing_moves(tmp_path):
    save_all(tmp_path, 10, 20)
    flip_a_bit(tmp_path, 10)
    for file in files_of(tmp_path, 20, "state"):
        file.write_bytes(b"")
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(UserError, match=r"step 20: .*step 10: .*another --workdir"),
    ):
        checkpoints.restore(template())
    assert names(tmp_path) == {"10", "20"}


def test_what_a_save_that_was_killed_left_is_not_a_checkpoint_and_is_removed_by_the_next_run(tmp_path, caplog):
    save_all(tmp_path, 10)
    (tmp_path / "checkpoints" / "20" / "state").mkdir(parents=True)
    (tmp_path / "checkpoints" / "saving").write_text("[20, 5]")
    assert_same(checkpoint.restore(tmp_path, template()), 10)
    with Checkpoints(tmp_path) as checkpoints:
        assert names(tmp_path) == {"10"}
        assert_same(checkpoints.restore(template()), 10)
        checkpoints.save(20, make_state(20), META)
    assert "damaged" not in caplog.text
    assert_same(checkpoint.restore(tmp_path, template()), 20)


@pytest.mark.parametrize("content", ["", "[2", '{"a": 1}', "7", '["../..", "/", null, true, -1]'])
def test_a_note_of_unfinished_saves_that_was_damaged_deletes_nothing(tmp_path, content):
    save_all(tmp_path, 10)
    (tmp_path / "checkpoints" / "saving").write_text(content)
    (tmp_path / "checkpoints" / "20" / "state").mkdir(parents=True)
    with Checkpoints(tmp_path):
        assert names(tmp_path) == {"10", "20"}


def test_folders_and_files_that_are_not_ours_are_neither_deleted_nor_taken_for_checkpoints(tmp_path, caplog):
    save_all(tmp_path, 10)
    folder = tmp_path / "checkpoints"
    for name in ("2024", "007", "²", "99", "archive"):
        (folder / name).mkdir()
        (folder / name / "photo.jpg").write_text("mine")
    (folder / "2024" / "state").mkdir()
    (folder / "notes.txt").write_text("mine")
    (folder / "12").write_text("mine")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "10" not in path.parts}
    assert_same(checkpoint.restore(tmp_path, template()), 10)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest == 10
        assert_same(checkpoints.restore(template()), 10)
        checkpoints.save(11, make_state(11), META)
        assert {path: path.read_bytes() for path in before} == before
        for step in (12, 99):  # names that training needs are given back under another one
            checkpoints.save(step, make_state(step), META)
    assert (folder / "not-a-checkpoint-12").read_text() == (folder / "not-a-checkpoint-99/photo.jpg").read_text()
    assert "12 is not a checkpoint of this run: it is now called not-a-checkpoint-12" in caplog.text
    assert_same(checkpoint.restore(tmp_path, template()), 99)


@pytest.mark.parametrize("everywhere", [False, True])
def test_whole_checkpoints_without_their_commit_files_are_used_and_nothing_is_deleted(tmp_path, everywhere):
    save_all(tmp_path, 10, 20)
    for file in list(tmp_path.rglob("commit_success.txt")):
        if everywhere or file.parent.parent.name == "checkpoints":
            file.unlink()
    before = sorted(tmp_path.rglob("*"))
    assert_same(checkpoint.restore(tmp_path, template()), 20)
    assert sorted(tmp_path.rglob("*")) == before
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest == 20
        assert_same(checkpoints.restore(template()), 20)
        assert set(tmp_path.rglob("*")) > set(before)
        checkpoints.save(30, make_state(30), META)
    assert names(tmp_path) == {"20", "30"}


def test_a_damaged_checkpoint_without_its_commit_file_is_set_aside_like_any_other(tmp_path):
    save_all(tmp_path, 10, 20)
    for file in list(tmp_path.rglob("commit_success.txt")):
        file.unlink()
    flip_a_bit(tmp_path, 20)
    with Checkpoints(tmp_path) as checkpoints:
        assert_same(checkpoints.restore(template()), 10)
    assert names(tmp_path) == {"10", "damaged-20"}
    flip_a_bit(tmp_path, 10)
    (tmp_path / "checkpoints/10/commit_success.txt").unlink()
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(UserError, match=r"no checkpoint .* is intact \(step 10"):
        checkpoints.restore(template())
    assert names(tmp_path) == {"10", "damaged-20"}


@pytest.mark.parametrize("lost", ["folder", "content", "files"])
def test_training_never_starts_over_the_traces_of_a_run_whose_checkpoints_are_lost(tmp_path, lost):
    save_all(tmp_path, 10)
    write_metrics(tmp_path, 1)
    for path in sorted((tmp_path / "checkpoints").rglob("*"), reverse=True):
        if lost != "files" or path.is_file():
            path.unlink() if path.is_file() else path.rmdir()
    if lost == "folder":
        (tmp_path / "checkpoints").rmdir()
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    words = r"checkpoints holds no checkpoint, but first_checkpoint.json .* Restore .* another --workdir"
    with pytest.raises(UserError, match=words), Checkpoints(tmp_path):
        pass
    with pytest.raises(UserError, match=words):
        checkpoint.restore(tmp_path, template())
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before


def write_metrics(workdir: Path, *epochs: int) -> None:
    rows = ({"step": 9 * epoch, "epoch": epoch, "time": 0.0, "validation_one_shot": 0.5} for epoch in epochs)
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize(
    ("epochs", "results", "words"),
    [
        ((1, 2), None, "metrics.jsonl has lines of more than one epoch"),
        ((), {"training": {"steps": 9}}, "results.json is of a trained network"),
        ((1,), None, None),  # killed in the first epoch, or while it was saved
        ((), {"training": None}, None),  # untrained baselines
        ((), None, None),
    ],
)
def test_each_trace_of_a_training_is_enough_and_a_run_killed_in_its_first_epoch_starts_again(
    tmp_path, epochs, results, words
):
    write_metrics(tmp_path, *epochs)
    if results is not None:
        (tmp_path / "results.json").write_text(json.dumps(results))
    if words:
        with pytest.raises(UserError, match=words), Checkpoints(tmp_path):
            pass
    else:
        with Checkpoints(tmp_path) as checkpoints:
            assert checkpoints.restore(template()) is None
        assert not (tmp_path / "lock").exists()  # what an unused folder would leave


def test_a_truncated_commit_file_does_not_matter(tmp_path):
    save_all(tmp_path, 10)
    (tmp_path / "checkpoints" / "10" / "commit_success.txt").write_bytes(b"")
    assert_same(checkpoint.restore(tmp_path, template()), 10)


def test_a_second_run_in_the_same_folder_is_refused_until_the_first_ends(tmp_path):
    refused = pytest.raises(UserError, match=r"in use by another run.*another --workdir")
    with Checkpoints(tmp_path), refused, Checkpoints(tmp_path):
        pass
    with Checkpoints(tmp_path):
        pass


def test_another_network_is_refused_with_the_name_of_the_first_leaf(tmp_path):
    save_all(tmp_path, 10)
    with pytest.raises(UserError, match=r"params.out.kernel is bfloat16\[5, 1\] in it, but bfloat16\[6, 1\]"):
        checkpoint.restore(tmp_path, template(units=6))
    wrong_dtype = template()._replace(step=jax.ShapeDtypeStruct((), jnp.uint32))
    with pytest.raises(UserError, match=r"step is int32\[\] in it, but uint32\[\]"):
        checkpoint.restore(tmp_path, wrong_dtype)
    with pytest.raises(UserError, match=r"opt_state.*absent"):
        checkpoint.restore(tmp_path, template()._replace(opt_state=()))
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(UserError, match=r"extra is missing"):
        checkpoints.restore(
            template()._replace(params={**template().params, "extra": jax.ShapeDtypeStruct((), "float32")})
        )


def test_a_step_that_is_not_new_is_an_error_and_not_silence(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(10, make_state(10), META)
        assert checkpoints.latest == 10
        for step in (5, 10):
            with pytest.raises(ValueError, match=f"checkpoint {step} does not come after checkpoint 10"):
                checkpoints.save(step, make_state(step), META)


@pytest.mark.parametrize("leaf", [3, 0.5, np.int64(3), np.zeros(2)])
def test_leaves_that_jax_would_change_are_refused(tmp_path, leaf):
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(TypeError, match=r"params.rate is (int|float)64"):
        checkpoints.save(1, TrainState(jnp.int32(1), {"rate": leaf}, ()), META)


def test_meta_comes_back_as_json_gives_it_back(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, make_state(1), {"pair": (1, 2), "by_epoch": {2: "b", 10: "a"}})
    assert checkpoint.restore(tmp_path, template()).meta == {"pair": [1, 2], "by_epoch": {"2": "b", "10": "a"}}


def test_two_leaves_of_one_name_are_refused(tmp_path):
    twice = {"a.b": jnp.zeros(2), "a": {"b": jnp.ones(2)}}
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(ValueError, match="same dotted name"):
        checkpoints.save(1, twice, META)


def test_a_full_disk_names_the_last_good_checkpoint_and_leaves_nothing_half_written(tmp_path, monkeypatch):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(10, make_state(10), META)

        def full(step, **_):
            (tmp_path / "checkpoints" / str(step) / "state").mkdir(parents=True)
            # The words of tensorstore, from a full tmpfs.
            raise ValueError("RESOURCE_EXHAUSTED: Failed to write: No space left on device [os_error_code='28']")

        with monkeypatch.context() as patch:
            patch.setattr(checkpoints._manager, "save", full)
            with pytest.raises(UserError, match=r"No space left on device. The last good checkpoint is step 10"):
                checkpoints.save(20, make_state(20), META)
        assert names(tmp_path) == {"10"}
        checkpoints.save(20, make_state(20), META)
    assert_same(checkpoint.restore(tmp_path, template()), 20)


def test_a_save_in_progress_is_not_a_damaged_checkpoint_for_those_who_read(tmp_path, caplog):
    (tmp_path / "checkpoints").mkdir()
    for wanted in (None, 10):
        step = "20" if wanted else "10"
        (tmp_path / "checkpoints" / step / "meta").mkdir(parents=True)
        (tmp_path / "checkpoints" / step / "meta" / "metadata").write_text("{")
        (tmp_path / "checkpoints" / "saving").write_text(f"[{step}]")
        found = checkpoint.restore(tmp_path, template())
        assert (found and found.step) == wanted
        assert not caplog.records
        if wanted is None:
            save_all(tmp_path, 10)


def test_a_disk_that_is_still_full_after_a_failed_save_is_the_same_sentence(tmp_path, monkeypatch):
    save_all(tmp_path, 10)
    with Checkpoints(tmp_path) as checkpoints:

        def full(*_, **__):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(checkpoints._manager, "save", full)
        monkeypatch.setattr(checkpoints, "_settle_unmarked", full)
        with pytest.raises(UserError, match=r"checkpoint 20 .*No space left on device. The last good .* 10\. "):
            checkpoints.save(20, make_state(20), META)


def test_errors_in_many_leaves_at_once_are_one_error_without_tracebacks_of_closed_event_loops(
    tmp_path, monkeypatch, caplog, capfd
):
    draw, unraisable = np.random.default_rng(0), []
    state = {f"layer {n}": jnp.asarray(draw.normal(size=20_000), jnp.float32) for n in range(40)}
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    caplog.set_level(logging.DEBUG)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state, META)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
        try:
            with pytest.raises(UserError, match=r"checkpoint 2 .*: File too large. The last good .* 1. Check the disk"):
                checkpoints.save(2, state, META)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert names(tmp_path) == {"1"}
        for file in files_of(tmp_path, 1, "state/d") + files_of(tmp_path, 1, "state/ocdbt.process_0"):
            file.write_bytes(file.read_bytes()[:100])
        with pytest.raises(UserError, match="is intact"):
            checkpoints.restore(state)
    gc.collect()
    time.sleep(0.1)
    gc.collect()
    assert unraisable == []
    assert "Traceback" not in "".join(capfd.readouterr())
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_event_loops_of_others_are_left_as_they_are(tmp_path):
    before = asyncio.new_event_loop
    save_all(tmp_path, 1)
    assert asyncio.new_event_loop is before
    assert asyncio.run(asyncio.sleep(0, "done")) == "done"


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="run could not be opened"), Checkpoints(tmp_path / "file" / "run"):
        pass


CHILD = """
import sys
sys.path.insert(0, {tests!r})
from checkpoint_test import META, Checkpoints, make_state, template
with Checkpoints({workdir!r}) as checkpoints:
    found = checkpoints.restore(template())
    step = found.step if found else 0
    while True:
        step += 1
        checkpoints.save(step, make_state(step), META)
        print(step, flush=True)
"""


def test_after_kills_in_the_middle_of_saving_the_last_finished_checkpoint_is_there(tmp_path):
    command = [sys.executable, "-c", CHILD.format(tests=str(Path(__file__).parent), workdir=str(tmp_path))]
    for pause in (0.0, 0.03, 0.06):
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        saved = [int(child.stdout.readline()), int(child.stdout.readline())]
        time.sleep(pause)
        child.send_signal(signal.SIGKILL)
        saved += [int(line) for line in child.communicate()[0].split()]
        restored = checkpoint.restore(tmp_path, template())
        assert restored.step >= saved[-1]
        assert_same(restored, restored.step)
