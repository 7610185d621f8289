"""experiment.json: the experiment that a folder's run was begun with."""

from pathlib import Path

from siamese_jax.errors import UserError
from siamese_jax.specs import Experiment, from_nested, to_nested
from siamese_jax.storage import files

NAME = "experiment.json"


def write_experiment(workdir: Path, experiment: Experiment) -> None:
    """Write the experiment of a folder's run, with the fields that it uses."""
    files.write_json(workdir / NAME, to_nested(experiment))


def read_written(workdir: Path) -> Experiment | None:
    """Return the experiment of a folder's run, None if there is no run; UserError for a damaged file."""
    written = files.read_json(workdir / NAME, "restore it, or choose another --workdir")
    if written is None:
        return None
    try:
        return from_nested(Experiment, written)
    except UserError as error:
        raise UserError(f"{workdir / NAME} does not describe an experiment: {error}") from None


def read_experiment(workdir: Path, name: str | None = None) -> Experiment:
    """Return the experiment of a folder's run.

    Args:
        workdir: the folder.
        name: the experiment that it must be of. None: any.

    Raises:
        UserError: if there is no run, the run is of another experiment, or the file is damaged.
    """
    experiment = read_written(workdir)
    if experiment is None:
        raise UserError(f"{workdir} holds no run ({NAME} is missing): give the --workdir that a training wrote")
    if name is not None:
        check_name(name, workdir, experiment)
    return experiment


def check_name(name: str, workdir: Path, written: Experiment) -> None:
    """Raise UserError if the run of a folder is of another experiment."""
    if written.name != name:
        raise UserError(
            f"{workdir} belongs to the experiment {written.name!r}, not {name!r}: "
            f"choose another --workdir, or give --experiment={written.name}"
        )
