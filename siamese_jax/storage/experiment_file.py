"""experiment.json: the fields that a workdir's run was begun with."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from siamese_jax import specs
from siamese_jax.errors import UserError
from siamese_jax.experiments import find
from siamese_jax.specs import Experiment
from siamese_jax.storage import files


def read_json(path: Path) -> Mapping[str, Any] | None:
    """Returns the JSON object that a file holds, None where there is no such file; UserError for anything else."""
    with files.explained(path, "read"):
        if not path.exists():
            return None
        text = path.read_bytes()
    try:
        value = json.loads(text)
        if not isinstance(value, Mapping):
            raise ValueError(f"it holds a {type(value).__name__}")
    except ValueError as error:
        raise UserError(f"{path} cannot be read ({error}): restore it, or choose another --workdir") from error
    return value


def read_fields(workdir: Path) -> dict[str, Any] | None:
    """Returns the fields of a workdir's run, by dotted name, with newer ones (see `completed`); None for no run."""
    written = read_json(workdir / "experiment.json")
    return None if written is None else specs.completed(dict(specs.leaves(written)))


def read_experiment(workdir: Path, name: str | None = None) -> Experiment:
    """Returns the experiment that a workdir's run is of.

    UserError where there is no run, or one of another experiment than `name`.
    """
    written = read_fields(workdir)
    if written is None:
        raise UserError(f"{workdir} holds no run (no experiment.json): give the --workdir that a training wrote")
    if name is not None:
        check_name(name, workdir, written)
    experiment = find(str(written.get("name")))
    for field, registered in specs.leaves(experiment):
        value = written.get(field, registered)
        if field in specs.DESCRIPTION:
            continue
        if type(value) is not type(registered):
            raise UserError(f"{workdir / 'experiment.json'} has {field}={value!r}, which is no such value: restore it")
        experiment = specs.with_value(experiment, field, value)
    return experiment


def check_name(name: str, workdir: Path, written: Mapping[str, Any]) -> None:
    """Raises UserError if the fields that were `written` are of another experiment."""
    if written.get("name") != name:
        raise UserError(
            f"{workdir} belongs to the experiment {written.get('name')!r}, not {name!r}: "
            f"choose another --workdir, or give --experiment={written.get('name')}"
        )
