"""The command line: every field of an experiment is an absl flag, and mistakes are answered in one sentence."""

import dataclasses
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from absl import flags

from siamese_jax import specs
from siamese_jax.experiments import EXPERIMENTS, find
from siamese_jax.specs import Experiment, UserError

FLAGS = flags.FLAGS

SHORT = {"train_pairs": "data.train_pairs"}
"""Flags that stand for a longer field name; top-level fields (seed, batch_size, max_epochs …) need none."""

MAY_CHANGE = ("max_epochs", "patience", "checkpoint_minutes")
"""Fields that a workdir's experiment may be continued with otherwise: they say how far training goes, not where."""

USAGE = """One-shot learning with siamese networks in JAX, after Koch, Zemel and Salakhutdinov (2015).

  python -m siamese_jax.main --experiment=NAME [flags]

  --experiment=NAME   which experiment; --list shows them all
  --list              name, what it is, cost on a CPU and a GPU, expected result
  --mode=MODE         train (default): train, or go on where the workdir stands, then evaluate and report
                      evaluate: measure the workdir's best parameters again, and report
  --workdir=DIR       where everything is written (default: a new folder under runs/)
  --archives=DIR      folder with the published archives of the data set, instead of a download
  --data_dir=DIR      where prepared data are kept (default: TFDS's own, ~/tensorflow_datasets)
  --flagfile=FILE     flags from a file, one a line, '#' for notes; flags after it override it

Every field of an experiment is a flag; the most used ones:

  --seed=N            everything random follows from it
  --max_epochs=N      --patience=N      --batch_size=N      --train_pairs=N

and all others by their dotted names, such as --optimizer.layers.conv1.learning_rate=0.02, --network.conv2.filters=64,
--distort.copies=0, --network.initialiser=paper. An experiment prints all of its fields before its first step, and
writes them to WORKDIR/experiment.json. A flag file replays a run or changes it: see the folder experiments/.

Begin with --experiment=glyphs_20way: it needs no download and takes a few minutes on two cores.
"""


def define_flags() -> None:
    """Defines the flags of the command, and one for every field of every experiment; None is "as registered"."""
    flags.DEFINE_string("experiment", None, "Which experiment.")
    flags.DEFINE_bool("list", False, "Show all experiments.")
    flags.DEFINE_enum("mode", "train", ["train", "evaluate"], "What to do.")
    flags.DEFINE_string("workdir", None, "Where everything is written.")
    flags.DEFINE_string("archives", None, "Folder with the published archives.")
    flags.DEFINE_string("data_dir", None, "Where prepared data are kept.")
    define = {bool: flags.DEFINE_bool, int: flags.DEFINE_integer, float: flags.DEFINE_float, str: flags.DEFINE_string}
    fields = {name: value for experiment in EXPERIMENTS.values() for name, value in specs.leaves(experiment)}
    for short, name in SHORT.items():
        fields[short] = fields[name]
    for name, value in fields.items():
        if name not in specs.DESCRIPTION:
            define[type(value)](name, None, "A field of the experiment.")


def parse(argv: list[str]) -> list[str]:
    """Parses the flags as absl's app.run asks for; a mistake is one sentence and exit code 2."""
    if {"--help", "-help", "-h", "--helpshort", "--helpfull"} & set(argv[1:]):
        print(USAGE)
        sys.exit(0)
    try:
        stray = FLAGS(argv)[1:]
        if stray:
            raise UserError(f"{shlex.join(stray)} is not a flag: flags are written --name=value; --help shows them")
    except (flags.Error, UserError) as error:
        fail(error)
    return argv[:1]


def fail(error: Exception) -> None:
    """Says what is wrong on standard error, and exits with code 2."""
    print(f"siamese_jax: {' '.join(str(error).split())}", file=sys.stderr)
    sys.exit(2)


def listing() -> str:
    """Returns the table that --list shows."""
    lines = []
    for experiment in EXPERIMENTS.values():
        lines += [
            f"{experiment.name}",
            f"    {experiment.summary}",
            f"    CPU: {experiment.cost_cpu}    GPU: {experiment.cost_gpu}",
            f"    result: {experiment.expected}",
        ]
    return "\n".join(lines)


def resolve() -> Experiment:
    """Returns the experiment that the flags name, with their overrides; UserError where they do not fit it."""
    if FLAGS.experiment is None:
        raise UserError(
            "no experiment is named: add --experiment=NAME (--list shows all; glyphs_20way is the quickest)"
        )
    experiment = find(FLAGS.experiment)
    if FLAGS.mode == "evaluate":
        if FLAGS.workdir is None:
            raise UserError("--mode=evaluate needs --workdir=DIR, the folder of the run to evaluate")
        if not (Path(FLAGS.workdir) / "experiment.json").is_file():
            raise UserError(
                f"{FLAGS.workdir} holds no run (no experiment.json): give the --workdir that a training wrote"
            )
        experiment = _as_written(experiment, FLAGS.workdir)
    for name, value in overrides().items():
        try:
            experiment = specs.with_value(experiment, name, value)
        except KeyError:
            raise UserError(f"--{name} is not a field of {experiment.name}") from None
    specs.check(experiment)
    return experiment


def overrides() -> dict[str, Any]:
    """Returns the fields that the flags set, by dotted name."""
    names = {name: name for experiment in EXPERIMENTS.values() for name, _ in specs.leaves(experiment)} | SHORT
    given = {flag: FLAGS[flag].value for flag in names if flag in FLAGS and FLAGS[flag].value is not None}
    return {names[flag]: value for flag, value in given.items()}


def replay(experiment: Experiment) -> str:
    """Returns the command that runs the experiment again."""
    registered = dict(specs.leaves(find(experiment.name)))
    changed = [f"--{name}={value}" for name, value in specs.leaves(experiment) if value != registered.get(name)]
    return shlex.join(["python", "-m", "siamese_jax.main", f"--experiment={experiment.name}", *changed])


def check_workdir(experiment: Experiment, workdir: Path) -> None:
    """Raises UserError if the workdir belongs to another experiment, naming the first field that differs."""
    if not (workdir / "experiment.json").exists():
        return
    written = _read(workdir)
    if written.get("name") != experiment.name:
        raise UserError(
            f"{workdir} belongs to the experiment {written.get('name')!r}, not {experiment.name!r}: "
            "choose another --workdir"
        )
    for name, value in specs.leaves(experiment):
        if name in MAY_CHANGE or name in specs.DESCRIPTION or name.startswith("evaluation."):
            continue
        if written.get(name, value) != value:
            raise UserError(
                f"{workdir} belongs to a run with {name}={written[name]}, not {value}: "
                "choose another --workdir, or give the flags it was begun with"
            )


def to_json(experiment: Experiment) -> dict[str, Any]:
    """Returns the experiment as nested plain values."""
    return dataclasses.asdict(experiment)


def _as_written(experiment: Experiment, workdir: str) -> Experiment:
    """Returns the experiment with the fields that a workdir's run was trained with."""
    written = _read(Path(workdir))
    if written.get("name") != experiment.name:
        raise UserError(
            f"{workdir} belongs to the experiment {written.get('name')!r}, not {experiment.name!r}: "
            f"give --experiment={written.get('name')}"
        )
    for name, value in specs.leaves(experiment):
        if name not in specs.DESCRIPTION:
            experiment = specs.with_value(experiment, name, written.get(name, value))
    return experiment


def _read(workdir: Path) -> dict[str, Any]:
    """Returns the fields in a workdir's experiment.json, by dotted name."""
    path = workdir / "experiment.json"
    try:
        return dict(specs.leaves(json.loads(path.read_text())))
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"{path} cannot be read ({error}): restore it, or choose another --workdir") from error
