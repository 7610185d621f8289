"""metrics.jsonl after kills and resumes; event files, read by hand; the progress display on both kinds of stream."""

import errno
import io
import json
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboardX.crc32c import crc32c
from tensorboardX.proto.event_pb2 import Event, SessionLog

from siamese_jax.errors import UserError
from siamese_jax.storage import log
from siamese_jax.storage.log import MetricsLog, Progress, read_metrics


def steps(workdir: Path) -> list[int]:
    return [row["step"] for row in read_metrics(workdir)]


def events(file: Path) -> list[Event]:
    """Reads a TFRecord file: length (8 bytes), its masked CRC (4), data, its masked CRC (4)."""

    def mask(data: bytes) -> int:
        crc = crc32c(data)
        return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF

    data, found = file.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        record, rest = data[12 : 12 + length], data[12 + length :]
        assert struct.unpack("<I", data[8:12]) == (mask(data[:8]),)
        assert struct.unpack("<I", rest[:4]) == (mask(record),)
        found.append(Event.FromString(record))
        data = rest[4:]
    return found


def event_files(workdir: Path) -> list[Path]:
    return sorted(workdir.glob("events.out.tfevents.*"))


def test_what_is_written_is_read_back_and_the_files_are_strictly_json(tmp_path):
    with MetricsLog(tmp_path, None) as log:
        log.write(1, 1, loss=0.25, accuracy=0.1)
        log.write(2, 1, loss=float("nan"), rate=float("inf"))

    def refuse(name):
        raise AssertionError(name)

    rows = [json.loads(t, parse_constant=refuse) for t in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rows == read_metrics(tmp_path)
    assert [{k: v for k, v in row.items() if k != "time"} for row in rows] == [
        {"step": 1, "epoch": 1, "loss": 0.25, "accuracy": 0.1},
        {"step": 2, "epoch": 1, "loss": None, "rate": None},
    ]
    assert rows[0]["time"] <= rows[1]["time"]


def test_without_a_file_there_are_no_metrics(tmp_path):
    assert read_metrics(tmp_path / "none") == []


def test_event_files_hold_what_was_written(tmp_path):
    with MetricsLog(tmp_path, None) as log:
        log.write(5, 1, loss=0.25, accuracy=0.5)
        (file,) = event_files(tmp_path)
        version, start, event = events(file)  # before close: nothing waits in memory
    assert version.file_version == "brain.Event:2"
    assert start.session_log.status == SessionLog.START
    assert event.step == 5
    assert {value.tag: value.simple_value for value in event.summary.value} == {"loss": 0.25, "accuracy": 0.5}
    assert event.wall_time == read_metrics(tmp_path)[0]["time"]


def test_a_resumed_run_drops_the_lines_after_the_checkpoint_and_tells_tensorboard(tmp_path):
    with MetricsLog(tmp_path, None) as log:
        for step in (10, 20, 30):
            log.write(step, 1, loss=step)
    with MetricsLog(tmp_path, 20) as log:
        assert steps(tmp_path) == [10, 20]
        log.write(30, 1, loss=3)
    assert [row["loss"] for row in read_metrics(tmp_path)] == [10, 20, 3]
    first, second = event_files(tmp_path)  # begun within a second, and yet two
    assert len(events(first)) == 5
    _, start, event = events(second)
    assert (start.session_log.status, start.step) == (SessionLog.START, 21)  # steps from 21 on are forgotten
    assert event.step == 30
    with MetricsLog(tmp_path, None):
        assert steps(tmp_path) == []


@pytest.mark.parametrize("torn", [b'{"step": 3', b'{"step": 3, "na', b"\0\0\0\n", b"\xff\xc3"])
def test_a_torn_last_line_is_ignored_and_dropped_on_resuming(tmp_path, torn):
    with MetricsLog(tmp_path, None) as log:
        log.write(1, 1, loss=1)
        log.write(2, 1, loss=1)
    path = tmp_path / "metrics.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    assert steps(tmp_path) == [1, 2]
    with MetricsLog(tmp_path, 2) as log:
        assert path.read_bytes() == whole
        log.write(3, 1, loss=1)
    assert steps(tmp_path) == [1, 2, 3]


def test_a_line_broken_in_the_middle_is_told_with_its_number(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "epoch": 1}\n{"st\n{"step": 3}\n')
    with pytest.raises(UserError, match=r"line 2 of .*metrics.jsonl is not JSON"):
        read_metrics(tmp_path)


def test_a_kill_loses_no_line_and_no_event_that_was_written(tmp_path):
    code = f"""
import os, signal
from siamese_jax.storage.log import MetricsLog
log = MetricsLog({str(tmp_path)!r}, None)
for step in range(50):
    log.write(step, 1, loss=step)
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert steps(tmp_path) == list(range(50))
    assert [event.step for event in events(event_files(tmp_path)[0])[2:]] == list(range(50))


def test_a_full_disk_is_told_to_the_user(tmp_path):
    log = MetricsLog(tmp_path, None)
    log._lines.close()
    told = pytest.raises(UserError, match=r"metrics.jsonl could not be written: No space left.*free some space")
    with open("/dev/full", "wb", buffering=0) as log._lines, told:
        log.write(1, 1, loss=1)
    log.close()


def test_a_folder_that_cannot_be_written_is_told_to_the_user(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="could not be written"):
        MetricsLog(tmp_path / "file", None)

    def read_only(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "open", read_only)
    with pytest.raises(UserError, match="Read-only file system; that disk is read-only"):
        MetricsLog(tmp_path, None)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def show(stream: io.StringIO) -> str:
    with Progress(total_steps=200, epochs=20, stream=stream) as progress:
        progress.step(1, 1, float("nan"), 0.7, float("nan"))
        progress.epoch(1, loss=0.65, accuracy=0.5, pairs_per_second=99.6, seconds_left=3723)
        progress.step(11, 2, 100.0, 0.6, 3700)
        progress.note("a [note]")
    return stream.getvalue()


def test_without_a_terminal_there_is_one_line_an_epoch_and_one_a_note():
    assert show(io.StringIO()) == "epoch 1/20  loss 0.6500  one-shot 50.0%  100 pairs/s  1:02:03 left\na [note]\n"


def test_without_a_terminal_a_long_epoch_says_where_it_is(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(log.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    with Progress(total_steps=200, epochs=20, stream=stream) as progress:
        for step, seconds in ((1, 10.0), (2, 301.0), (3, 302.0), (4, 700.0)):
            now[0] = seconds
            progress.step(step, 1, 100.0, 0.6, 3700)
    assert [line.split("  ")[0] for line in stream.getvalue().splitlines()] == ["step 2/200", "step 4/200"]


def test_a_terminal_shows_a_bar_and_keeps_the_lines_of_the_epochs(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    shown = show(Terminal())
    assert "epoch 1/20  loss 0.6500  one-shot 50.0%  100 pairs/s  1:02:03 left\n" in shown
    assert "step 11/200  epoch 2/20  loss 0.6000  one-shot 50.0%  100 pairs/s  1:01:40 left" in shown
    assert "a [note]\n" in shown


def test_progress_in_a_program_without_a_terminal_is_silent(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr", None)
    with Progress(4, 1) as progress:
        progress.step(1, 1, 10.0, 0.5, 1.0)
        progress.note("said to nobody")
    assert capsys.readouterr().out == ""
