"""One request: what the flags ask for, as plain values. A mistake in the flags is a UserError."""

import datetime
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siamese_jax import specs
from siamese_jax.command import places
from siamese_jax.command.flags import FLAGS, SEARCH
from siamese_jax.command.places import Sources
from siamese_jax.errors import UserError
from siamese_jax.experiments import all_fields, find
from siamese_jax.search import Plan, make_plan
from siamese_jax.specs import Experiment
from siamese_jax.storage.experiment_file import read_experiment
from siamese_jax.storage.workdir import claimed


@dataclass(frozen=True)
class ListExperiments:
    """Show all experiments."""


@dataclass(frozen=True)
class Train:
    """Train an experiment, or measure untrained baselines, into `workdir`; then evaluate and report."""

    experiment: Experiment
    workdir: Path
    sources: Sources


@dataclass(frozen=True)
class Evaluate:
    """Evaluate the run of `workdir`, or the network named `checkpoint`, as `experiment.evaluation` says."""

    experiment: Experiment
    workdir: Path
    sources: Sources
    checkpoint: str | None


@dataclass(frozen=True)
class Report:
    """Write the report of one run again, or that of several side by side into `output`."""

    workdirs: tuple[Path, ...]
    output: Path


@dataclass(frozen=True)
class Search:
    """Work on a study."""

    plan: Plan
    folder: Path
    storage: str | None
    sources: Sources


@dataclass(frozen=True)
class ReportStudy:
    """Write the report of a study again."""

    name: str
    folder: Path
    storage: str | None


PATHS = {"data.path": places.folder, "data.table": places.file, "start_from": places.network}
"""Fields of an experiment that are paths, and what checks them."""

Request = ListExperiments | Train | Evaluate | Report | Search | ReportStudy


def read_request() -> Request:
    """Return what the flags ask for; UserError where they do not fit together."""
    if FLAGS.list:
        return ListExperiments()
    if FLAGS.mode == "report":
        return _report() if FLAGS.study is None else _report_study()
    if FLAGS.output is not None:
        raise UserError(f"--output is for --mode=report, not for --mode={FLAGS.mode}: leave it out")
    sources = places.sources(FLAGS)
    if (plan := _plan()) is not None:
        return Search(plan, _study_folder(), _storage(), sources)
    experiment, workdir = resolve(), _workdir()
    if FLAGS.mode == "evaluate":
        return Evaluate(experiment, workdir or _new_folder(experiment.name), sources, _checkpoint())
    return Train(experiment, workdir or _new_folder(experiment.name), sources)


def resolve() -> Experiment:
    """Return the experiment that the flags name, with their overrides; UserError where they do not fit it."""
    if FLAGS.checkpoint is not None:
        if FLAGS.mode != "evaluate":
            raise UserError("--checkpoint is for --mode=evaluate: add it, or leave --checkpoint out")
        from siamese_jax.pretrained import folder_of  # JAX is heavy

        return _overridden(read_experiment(folder_of(_checkpoint() or ""), FLAGS.experiment))
    experiment = None if FLAGS.experiment is None else find(FLAGS.experiment)
    if experiment is not None and experiment.name != FLAGS.experiment:
        print(f"{FLAGS.experiment} is now called {experiment.name}", file=sys.stderr)
    if FLAGS.mode == "evaluate":
        if (workdir := _workdir()) is None:
            raise UserError(
                "--mode=evaluate needs --workdir=DIR, the folder of the run to evaluate, or --checkpoint=best"
            )
        return _overridden(read_experiment(workdir, experiment and experiment.name))
    if experiment is None:
        raise UserError(
            "no experiment is named: add --experiment=NAME (--list shows all; glyphs_20way is the quickest)"
        )
    return _overridden(experiment)


def overrides() -> dict[str, Any]:
    """Return the fields that the flags set, by dotted name."""
    given = {name: FLAGS[name].value for name in all_fields() if name in FLAGS and FLAGS[name].value is not None}
    for name in PATHS & given.keys():
        if given[name]:
            given[name] = str(PATHS[name](f"--{name}", given[name]))
    return given


def _overridden(experiment: Experiment) -> Experiment:
    for name in overrides():
        if FLAGS.mode == "evaluate" and (not name.startswith("evaluation.") or name == "evaluation.validation_trials"):
            raise UserError(
                f"--{name} cannot be changed by --mode=evaluate: leave it out. Fields of evaluation.* can be changed, "
                "except evaluation.validation_trials, which chose the epoch"
            )
    experiment = specs.with_values(experiment, overrides())
    specs.check(experiment)
    return experiment


def _plan() -> Plan | None:
    """Return the search that the flags ask for; None where nothing is searched."""
    if not FLAGS.search:
        for name in SEARCH:
            if FLAGS[name].present:
                raise UserError(f"--{name} is for a search: add --search=FIELD=SPACE, or leave it out")
        return None
    if FLAGS.mode != "train":
        raise UserError(f"--search cannot be used with --mode={FLAGS.mode}: leave it out")
    study, base = _study(), resolve()
    try:
        seeds = tuple(dict.fromkeys(int(seed) for seed in FLAGS.winner_seeds))
    except ValueError:
        raise UserError(f"--winner_seeds={','.join(FLAGS.winner_seeds)} are not whole numbers") from None
    for seed in seeds:
        specs.check(specs.with_value(base, "seed", seed))
    asked: dict[str, Any] = {
        name: FLAGS[name].value for name in SEARCH if name not in ("study", "storage", "winner_seeds")
    }
    return make_plan(study, base, FLAGS.search, winner_seeds=seeds, **asked)


def _report() -> Report:
    _refuse_others(("experiment", "checkpoint"), "--mode=report, which reads what runs have left")
    if not FLAGS.workdir:
        raise UserError("--mode=report needs --workdir=DIR, the folder of a run; give it several times to compare runs")
    workdirs = tuple(places.folder("--workdir", folder) for folder in FLAGS.workdir)
    if len(workdirs) == 1 and FLAGS.output is not None:
        raise UserError("--output is for a comparison: the report of one run is written into its --workdir")
    if len(workdirs) == 1:
        return Report(workdirs, workdirs[0])
    return Report(workdirs, _new_folder("report") if FLAGS.output is None else places.folder("--output", FLAGS.output))


def _report_study() -> ReportStudy:
    _refuse_others(("search", "experiment", "checkpoint", "output"), "the report of a study, which reads its record")
    return ReportStudy(_study(), _study_folder(), _storage())


def _refuse_others(names: tuple[str, ...], what: str) -> None:
    """Raise UserError for the first flag that has no meaning for `what`."""
    given = [*(name for name in names if FLAGS[name].value), *overrides()]
    if given:
        raise UserError(f"--{given[0]} cannot be used with {what}: leave it out")


def _study() -> str:
    """Return the --study; UserError if it cannot be the name of a folder."""
    if not FLAGS.study:
        raise UserError("a search needs --study=NAME, of letters, digits, '_', '-' and '.'")
    if not re.fullmatch(r"\w[\w.-]{0,199}", FLAGS.study):
        raise UserError(
            f"--study={FLAGS.study[:200]} is not a name: use letters, digits, '_', '-' and '.', and begin with a "
            "letter or digit; --workdir=DIR writes the study elsewhere"
        )
    return FLAGS.study


def _study_folder() -> Path:
    """Return where the study is written: the --workdir, of several the last."""
    return _workdir() or Path("runs") / _study()


def _workdir() -> Path | None:
    """Return the --workdir, of several the last; None where none is given."""
    return places.folder("--workdir", FLAGS.workdir[-1]) if FLAGS.workdir else None


def _checkpoint() -> str | None:
    return None if FLAGS.checkpoint is None else places.network("--checkpoint", FLAGS.checkpoint)


def _storage() -> str | None:
    if FLAGS.storage == "":
        raise UserError("--storage is empty: give the address of a database, or leave it out")
    return FLAGS.storage


def _new_folder(name: str) -> Path:
    """Make a folder that no other run has: several may start in one second."""
    return claimed(Path("runs") / f"{name}-{datetime.datetime.now():%Y%m%d-%H%M%S}")
