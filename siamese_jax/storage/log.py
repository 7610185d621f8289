"""What training measures: metrics.jsonl, TensorBoard event files beside it, and a progress display.

metrics.jsonl is what reports read. A line is one JSON object: {"step": int, "epoch": int, "time": seconds since 1970,
name: number or null, ...}.
"""

import contextlib
import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any, SupportsFloat, TextIO

from siamese_jax.errors import UserError
from siamese_jax.results import LARGEST
from siamese_jax.storage.files import explained, read_bytes, to_json, write_text


class MetricsLog:
    """Appends metrics to WORKDIR/metrics.jsonl. Each line is handed to the system before `write` returns.

    Args:
      workdir: the folder of the run.
      resume_step: the step of the restored checkpoint. Later lines are dropped, also from TensorBoard, since training
        will write them again. None drops all earlier lines.

    Raises:
      UserError: the folder cannot be written.
    """

    def __init__(self, workdir: str | os.PathLike, resume_step: int | None):
        # tensorboardX's SummaryWriter is not used, for two reasons. Its thread dies silently on a full disk, and later
        # writes then wait for ever. And a file that it opens within a second of another overwrites that one.
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog  # pyright: ignore[reportAttributeAccessIssue]  # made when it is imported

        self._folder = Path(workdir)
        first_new = 0 if resume_step is None else resume_step + 1
        kept = [row for row in read_metrics(workdir) if row["step"] < first_new]
        write_text(self._folder / "metrics.jsonl", "".join(to_json(row) + "\n" for row in kept))
        with explained(self._folder):
            self._lines = (self._folder / "metrics.jsonl").open("ab", buffering=0)
            runs = len(list(self._folder.glob("events.out.tfevents.*")))
            self._events = EventsWriter(str(self._folder / "events"), filename_suffix=f".{runs:04}")
            self._events.write_event(Event(step=first_new, session_log=SessionLog(status=SessionLog.START)))
            self._events.flush()

    def write(self, step: int, epoch: int, **scalars: SupportsFloat) -> None:
        """Write one line and its TensorBoard events. A value that is not finite is null in the line.

        Args:
          step: updates made so far.
          epoch: the epoch of the last update, from 1.
          **scalars: numbers by name.

        Raises:
          UserError: the disk is full.
        """
        from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
        from tensorboardX.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]

        now, values = time.time(), {name: float(value) for name, value in scalars.items()}
        line = to_json({"step": int(step), "epoch": int(epoch), "time": now, **values}).encode() + b"\n"
        summary = Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()])
        with explained(self._folder / "metrics.jsonl"):
            while line:  # a disk that fills up may take only the start of a line
                line = line[self._lines.write(line) :]
            self._events.write_event(Event(wall_time=now, step=step, summary=summary))
            self._events.flush()

    def close(self) -> None:
        """Close the files; UserError if what was left could not be written."""
        self._lines.close()
        with explained(self._folder):
            self._events.close()

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, *_) -> None:
        self.close()


MOST_METRICS = 100_000_000
"""Bytes of metrics.jsonl. Its lines take up to twenty times as much memory."""


def read_metrics(workdir: str | os.PathLike) -> list[dict[str, Any]]:
    """Return the lines of metrics.jsonl in order, without a torn last line; [] if there is no such file.

    Raises:
      UserError: the file cannot be read, or a line, other than a torn last one, is not a line of metrics.
    """
    path = Path(workdir) / "metrics.jsonl"
    if not os.path.lexists(path):
        return []
    lines = read_bytes(path, MOST_METRICS).rstrip(b"\n").split(b"\n")
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            if number < len(lines):
                raise UserError(f"line {number} of {path} is not JSON: remove that line, then start again") from error
            break
        if wrong := _wrong(row):
            raise UserError(f"line {number} of {path} is damaged, {wrong}: remove that line, then start again")
        rows.append(row)
    return rows


def _wrong(row: Any) -> str:
    """Return what is wrong with a line of metrics; "" if nothing is."""
    if not isinstance(row, dict):
        return f"it is {row!r:.60}"
    for name in ("step", "epoch"):
        if type(row.get(name)) is not int or not 0 <= row[name] < 1 << 63:
            return f"{name} is {row.get(name)!r:.60}, not a whole number"
    for name, value in row.items():
        if value is not None and not (type(value) in (int, float) and abs(value) < LARGEST[float]):
            return f"{name:.60} is {value!r:.60}, not a number"
    return ""


SILENCE = 300.0
"""Seconds without a line after which training says where it is, when it does not write to a terminal."""


class Progress:
    """Shows progress. A context manager.

    On a terminal it is a bar. Elsewhere it is one line per epoch, and one whenever 5 minutes (SILENCE) pass without a
    line.

    Args:
      total_steps: the most steps that training can take.
      epochs: the most epochs.
      stream: where to write; None is standard error.
    """

    def __init__(self, total_steps: int, epochs: int, stream: TextIO | None = None):
        self._stream = sys.stderr if stream is None else stream  # None: a program without a terminal
        self._total_steps, self._epochs = total_steps, epochs
        self._accuracy, self._said = math.nan, time.monotonic()
        self._bar = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Progress":
        if self._stream is not None and self._stream.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Bar

            columns = BarColumn(bar_width=20), TextColumn("{task.description}", markup=False)
            self._bar = self._stack.enter_context(Bar(*columns, console=Console(file=self._stream)))
            self._task = self._bar.add_task("starting", total=self._total_steps)
        return self

    def __exit__(self, *_) -> None:
        self._stack.close()

    def step(self, step: int, epoch: int, pairs_per_second: float, loss: float, seconds_left: float) -> None:
        """Move the bar to `step` of `epoch`; both count from 1. NaN stands for a number that is not known yet."""
        text = self._text(epoch, loss, self._accuracy, pairs_per_second, seconds_left)
        text = f"step {step}/{self._total_steps}  {text}"
        if self._bar:
            self._bar.update(self._task, completed=step, description=text)
        elif time.monotonic() - self._said > SILENCE:  # an epoch may take a day
            self.note(text)

    def epoch(self, epoch: int, loss: float, accuracy: float, pairs_per_second: float, seconds_left: float) -> None:
        """Print the line of an epoch. `accuracy` is the one-shot accuracy on validation trials, in [0, 1]."""
        self._accuracy = accuracy
        self.note(self._text(epoch, loss, accuracy, pairs_per_second, seconds_left))

    def note(self, text: str) -> None:
        """Print one line, above the bar where there is one."""
        self._said = time.monotonic()
        if self._bar:
            self._bar.console.print(text, markup=False, highlight=False)
        elif self._stream is not None:  # print would take standard output
            print(text, file=self._stream, flush=True)

    def _text(self, epoch: int, loss: float, accuracy: float, pairs_per_second: float, seconds_left: float) -> str:
        parts = [f"epoch {epoch}/{self._epochs}", f"loss {loss:.4f}"]
        if math.isfinite(accuracy):
            parts.append(f"one-shot {accuracy:.1%}")
        if math.isfinite(pairs_per_second):
            parts.append(f"{pairs_per_second:.0f} pairs/s")
        if math.isfinite(seconds_left):
            minutes, seconds = divmod(round(seconds_left), 60)
            parts.append(f"{minutes // 60}:{minutes % 60:02}:{seconds:02} left")
        return "  ".join(parts)
