"""results.json and trials.npz: what was measured in a run, and the credit of each trial."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from siamese_jax.errors import UserError
from siamese_jax.results import RunResults, from_json, to_json
from siamese_jax.storage import files
from siamese_jax.storage.experiment_file import read_json

if TYPE_CHECKING:
    import numpy as np


def write_results(workdir: Path, results: RunResults, credit: Mapping[str, "np.ndarray"]) -> None:
    """Write the results of a run, the trials first: no results.json stands without its trials.

    Args:
      workdir: The run's folder.
      results: What was measured.
      credit: Credit [R, Q] of each trial by protocol, or by "BASELINE.PROTOCOL". Two runs are compared by it.

    Raises:
      UserError: A file cannot be written.
    """
    files.write_arrays(workdir / "trials.npz", {name: part.astype("float32") for name, part in credit.items()})
    files.write_json(workdir / "results.json", to_json(results))


def read_results(workdir: Path) -> RunResults:
    """Return the results of a run; UserError if there are none, or they are of another version or damaged."""
    path = workdir / "results.json"
    value = read_json(path)
    if value is None:
        raise UserError(f"{workdir} holds no results (no results.json): give the --workdir of a run that was measured")
    return from_json(RunResults, value, str(path), "measure the run again with --mode=evaluate")


def read_trials(workdir: Path) -> "dict[str, np.ndarray]":
    """Return the credit [R, Q] of each trial as `write_results` takes it; empty if the file is not there."""
    path = workdir / "trials.npz"
    return files.read_arrays(path) if path.exists() else {}
