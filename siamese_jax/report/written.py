"""Writes report.md and report.html."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from siamese_jax.report.html import page
from siamese_jax.report.pictures import PICTURES, there
from siamese_jax.report.sections import report
from siamese_jax.report.side_by_side import Paired, Run, comparison
from siamese_jax.results import RunResults
from siamese_jax.specs import Experiment
from siamese_jax.storage import files


def write_report(
    workdir: str | os.PathLike, experiment: Experiment, results: RunResults, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Write report.md and report.html of a run, with those pictures that are in its folder.

    Args:
      workdir: The folder of the run.
      experiment: What was run.
      results: What was measured.
      rows: The lines of metrics.jsonl.

    Raises:
      UserError: A file cannot be written.
    """
    workdir = Path(workdir)
    pictures = there(workdir, PICTURES)
    _write(workdir, report(experiment, results, rows, pictures), pictures)


def write_comparison(
    folder: str | os.PathLike, runs: Sequence[Run], paired: Sequence[Paired], pictures: Sequence[str]
) -> None:
    """Write report.md and report.html of several runs.

    Args:
      folder: Where they are written.
      runs: The runs.
      paired: Their differences on the same trials.
      pictures: The picture files in the folder.

    Raises:
      UserError: A file cannot be written.
    """
    _write(Path(folder), comparison(runs, paired, pictures), pictures)


def _write(folder: Path, text: str, pictures: Sequence[str]) -> None:
    files.write_text(folder / "report.md", text)
    files.write_text(folder / "report.html", page(text, folder, pictures))
