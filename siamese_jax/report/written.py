"""Writes what a run or a comparison leaves for programs and for people."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from siamese_jax.report.html import page
from siamese_jax.report.pictures import PICTURES, there
from siamese_jax.report.sections import report
from siamese_jax.report.side_by_side import Paired, Run, comparison
from siamese_jax.specs import Experiment
from siamese_jax.storage import files


def write_results(workdir: str | os.PathLike, results: Mapping[str, Any]) -> None:
    """Writes `results` to WORKDIR/results.json; UserError if that cannot be done."""
    files.write_json(Path(workdir) / "results.json", results)


def write_report(
    workdir: str | os.PathLike, experiment: Experiment, results: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Writes WORKDIR/report.md and report.html, which show the pictures that stand there; UserError if it cannot be."""
    workdir = Path(workdir)
    _write(workdir, report(experiment, results, rows, there(workdir, PICTURES)))


def write_comparison(
    folder: str | os.PathLike, runs: Sequence[Run], paired: Sequence[Paired], pictures: Sequence[str]
) -> None:
    """Writes FOLDER/report.md and report.html of several runs, with pictures that stand there; UserError as above."""
    _write(Path(folder), comparison(runs, paired, pictures))


def _write(folder: Path, text: str) -> None:
    files.write_text(folder / "report.md", text)
    files.write_text(folder / "report.html", page(text, folder))
