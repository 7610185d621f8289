"""results.json and trials.npz: what was measured in a run, and the credit of each trial."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from siamese_jax.errors import UserError
from siamese_jax.results import RunResults, from_json, to_json
from siamese_jax.storage import files

if TYPE_CHECKING:
    import numpy as np

ADVICE = "measure the run again with --mode=evaluate"


def write_results(workdir: Path, results: RunResults, credit: Mapping[str, "np.ndarray"]) -> None:
    """Write the results of a run, the trials first: no results.json stands without its trials.

    Args:
      workdir: The run's folder.
      results: What was measured.
      credit: Credit [R, Q] of each trial by protocol, or by "BASELINE.PROTOCOL". Two runs are compared by it.

    Raises:
      UserError: A file cannot be written.
    """
    from siamese_jax.storage.array_files import write_arrays

    write_arrays(workdir / "trials.npz", {name: part.astype("float32") for name, part in credit.items()})
    files.write_json(workdir / "results.json", to_json(results))


def read_results(workdir: Path) -> RunResults:
    """Return the results of a run; UserError if there are none, or they are of another version or damaged."""
    path = workdir / "results.json"
    value = files.read_json(path, ADVICE)
    if value is None:
        raise UserError(f"{workdir} holds no results (no results.json): give the --workdir of a run that was measured")
    return from_json(RunResults, value, str(path), ADVICE)


def read_trials(workdir: Path) -> "dict[str, np.ndarray]":
    """Return the credit [R, Q] of each trial as `write_results` takes it; empty if the file is not there."""
    import numpy as np

    from siamese_jax.storage.array_files import read_arrays

    path = workdir / "trials.npz"
    if not os.path.lexists(path):
        return {}
    found = read_arrays(path)
    for name, credit in found.items():
        if credit.dtype != np.float32 or credit.ndim != 2 or not np.all((credit >= 0) & (credit <= 1)):
            raise UserError(
                f"{path} is damaged, {name!r:.100} is {credit.dtype} {list(credit.shape)}, not the credit of trials, "
                f"float32 [R, Q] from 0 to 1: {ADVICE}"
            )
    return found
