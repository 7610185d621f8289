"""The command line: every field of an experiment is an absl flag, and mistakes are answered in one sentence."""

import re
import shlex
import sys
from pathlib import Path
from typing import Any

from absl import flags

from siamese_jax import specs
from siamese_jax.errors import UserError
from siamese_jax.experiments import EXPERIMENTS, as_flags, find
from siamese_jax.search import PRUNERS, SAMPLERS, Plan, checked
from siamese_jax.search import parse as parse_spaces
from siamese_jax.specs import Experiment
from siamese_jax.storage.experiment_file import check_name, read_experiment, read_fields

FLAGS = flags.FLAGS

MAY_CHANGE = (
    "max_epochs", "patience", "checkpoint_minutes", "log_steps", "evaluation.random_trials", "evaluation.mnist",
    "evaluation.embed_batch", "evaluation.views",
)  # fmt: skip
"""Fields that a workdir's training may be continued with otherwise: they say how far it goes, not where."""

USAGE = """One-shot learning with siamese networks in JAX, after Koch, Zemel and Salakhutdinov (2015).

  python -m siamese_jax.main --experiment=NAME [flags]

  --experiment=NAME   which experiment; --list shows them all
  --list              name, what it is, cost on a CPU and a GPU, expected result
  --mode=MODE         train (default): train, or go on where the workdir stands, then evaluate and report
                      evaluate: measure the workdir's best parameters under every protocol, and report
                      report: write the workdir's report again; with several --workdir, compare them
  --checkpoint=best   what --mode=evaluate measures in place of the workdir's: the network that comes with the package,
                      or a folder with another and its model card
  --workdir=DIR       where everything is written (default: a new folder under runs/)
  --output=DIR        where --mode=report writes a comparison (default: a new folder under runs/)
  --archives=DIR      folder with the published archives of the data set, instead of a download
  --data_dir=DIR      where prepared data are kept (default: TFDS's own, ~/tensorflow_datasets)
  --flagfile=FILE     flags from a file, one a line, '#' for notes; flags after it override it

Every field can be searched; a sweep is a flag file (see the folder experiments/sweeps):

  --search=FIELD=SPACE   what is searched: log:1e-4..1e-1, 0.5..1, 16..256:16 or a,b,c; once for each field
  --study=NAME           its name; everything is written to runs/NAME, or --workdir; the same command goes on
  --storage=URL          postgresql://… for workers on several machines; else a journal file, for those on one
  --trials=N             --sampler=bayesian|random|grid    --pruner=median|hyperband|none    --winner_seeds=0,1,2
  --trial_epochs=N       --trial_minutes=N    --population=N    --multivariate=false
  --mode=report --study=NAME     write its report again

Every field of an experiment is a flag; the most used ones:

  --seed=N            everything random follows from it
  --max_epochs=N      --patience=N      --batch_size=N      --train_pairs=N
  --compute_dtype=bfloat16              halves what a GPU or TPU moves; parameters and updates stay float32

and all others by their dotted names, such as --optimizer.layers.conv1.learning_rate=0.02, --network.conv2.filters=64,
--distort.copies=0, --network.initialiser=paper. An experiment prints all of its fields before its first step, and
writes them to WORKDIR/experiment.json. A flag file replays a run or changes it: see the folder experiments/.

Begin with --experiment=glyphs_20way: it needs no download and takes a few minutes on two cores.
"""


SWEEP = (
    "study", "storage", "trials", "sampler", "multivariate", "pruner", "trial_epochs", "trial_minutes", "population",
    "winner_seeds",
)  # fmt: skip
"""Flags that are of a sweep alone, beside --search."""


def define_flags() -> None:
    """Defines the flags of the command, and one for every field of every experiment; None is "as registered"."""
    flags.DEFINE_string("experiment", None, "Which experiment.")
    flags.DEFINE_bool("list", False, "Show all experiments.")
    flags.DEFINE_enum("mode", "train", ["train", "evaluate", "report"], "What to do.")
    flags.DEFINE_multi_string("workdir", None, "Where everything is written.")
    flags.DEFINE_string("checkpoint", None, "Folder of the trained network to evaluate.")
    flags.DEFINE_string("output", None, "Where a comparison is written.")
    flags.DEFINE_multi_string("search", None, "A field to search, and its space; makes a sweep.")
    flags.DEFINE_string("study", None, "Name of a sweep's study.")
    flags.DEFINE_string("storage", None, "Database of a sweep with several workers.")
    flags.DEFINE_integer("trials", 0, "Trials of a sweep, over all workers; 0: 20, or a whole grid.")
    flags.DEFINE_enum("sampler", "bayesian", SAMPLERS, "How a sweep chooses its trials.")
    flags.DEFINE_bool("multivariate", True, "Whether the Bayesian sampler looks at fields together.")
    flags.DEFINE_enum("pruner", "median", PRUNERS, "How a sweep ends trials early.")
    flags.DEFINE_integer("trial_epochs", 0, "Epochs of a trial at most; 0: as many as the experiment has.")
    flags.DEFINE_float("trial_minutes", 0.0, "Minutes of a trial at most; 0: no bound.")
    flags.DEFINE_integer("population", 1, "Trials of equal shape that are trained as one program.")
    flags.DEFINE_list("winner_seeds", [], "Seeds with which the winner is trained again, and measured on test.")
    flags.DEFINE_string("archives", None, "Folder with the published archives.")
    flags.DEFINE_string("data_dir", None, "Where prepared data are kept.")
    define = {bool: flags.DEFINE_bool, int: flags.DEFINE_integer, float: flags.DEFINE_float, str: flags.DEFINE_string}
    fields = {name: value for experiment in EXPERIMENTS.values() for name, value in specs.leaves(experiment)}
    for name, value in fields.items():
        if name not in specs.DESCRIPTION:
            define[type(value)](name, None, "A field of the experiment.")
    # Other short names are fields of the experiment itself.
    flags.DEFINE_alias("train_pairs", "data.train_pairs")
    flags.DEFINE_alias("compute_dtype", "network.compute_dtype")


def parse(argv: list[str]) -> list[str]:
    """Parses the flags as absl's app.run asks for; a mistake is one sentence and exit code 2."""
    if {"--help", "-help", "-h", "--helpshort", "--helpfull", "--helpxml"} & set(argv[1:]):
        print(USAGE)
        sys.exit(0)
    try:
        stray = FLAGS(argv)[1:]
        if stray:
            raise UserError(f"{shlex.join(stray)} is not a flag: flags are written --name=value; --help shows them")
    except (flags.Error, UserError) as error:
        fail(error)
    except UnicodeDecodeError:
        fail(UserError("--flagfile names a file that is not text: flag files hold one flag a line"))
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
    if FLAGS.checkpoint is not None:
        if FLAGS.mode != "evaluate":
            raise UserError("--checkpoint is for --mode=evaluate: add it, or leave --checkpoint out")
        from siamese_jax.pretrained import folder_of  # JAX is heavy

        return _overridden(read_experiment(folder_of(FLAGS.checkpoint), FLAGS.experiment))
    if FLAGS.experiment is None:
        raise UserError(
            "no experiment is named: add --experiment=NAME (--list shows all; glyphs_20way is the quickest)"
        )
    experiment = find(FLAGS.experiment)
    if FLAGS.mode == "evaluate":
        if workdir() is None:
            raise UserError(
                "--mode=evaluate needs --workdir=DIR, the folder of the run to evaluate, or --checkpoint=best"
            )
        experiment = read_experiment(workdir(), experiment.name)
    return _overridden(experiment)


def _overridden(experiment: Experiment) -> Experiment:
    for name, value in overrides().items():
        if FLAGS.mode == "evaluate" and (not name.startswith("evaluation.") or name == "evaluation.validation_trials"):
            raise UserError(
                f"--{name} cannot be changed by --mode=evaluate, only fields of evaluation.* that nothing was chosen "
                "on can: leave it out"
            )
        try:
            experiment = specs.with_value(experiment, name, value)
        except KeyError:
            raise UserError(f"--{name} is not a field of {experiment.name}") from None
    specs.check(experiment)
    return experiment


def plan() -> Plan | None:
    """Returns the sweep that the flags ask for; None where nothing is searched. UserError where they do not fit."""
    if not FLAGS.search:
        for name in SWEEP:
            if FLAGS[name].present:
                raise UserError(f"--{name} is for a sweep: add --search=FIELD=SPACE, or leave it out")
        return None
    if FLAGS.mode != "train":
        raise UserError(f"--search has no place in --mode={FLAGS.mode}: leave it out")
    if FLAGS.study is None or not re.fullmatch(r"[\w.-]+", FLAGS.study):
        raise UserError("a sweep needs --study=NAME, of letters, digits, '_', '-' and '.'")
    base = resolve()
    try:
        seeds = tuple(dict.fromkeys(int(seed) for seed in FLAGS.winner_seeds))
    except ValueError:
        raise UserError(f"--winner_seeds={','.join(FLAGS.winner_seeds)} are not whole numbers") from None
    for seed in seeds:
        specs.check(specs.with_value(base, "seed", seed))
    asked = {name: FLAGS[name].value for name in SWEEP if name not in ("study", "storage", "winner_seeds")}
    return checked(Plan(FLAGS.study, base, parse_spaces(FLAGS.search, base), winner_seeds=seeds, **asked))


def study_folder(name: str) -> Path:
    """Returns where a study of that name is written: to the --workdir, of several the last."""
    return Path(FLAGS.workdir[-1]) if FLAGS.workdir else Path("runs") / name


def reported_study() -> tuple[str, Path]:
    """Returns the study that --mode=report is to read, and its folder; UserError where the flags do not fit it."""
    named = [name for name in ("search", "experiment", "checkpoint", "output") if FLAGS[name].value]
    changed = [*named, *overrides()]
    if changed:
        raise UserError(f"--{changed[0]} has no place in the report of a study, which reads its record: leave it out")
    return FLAGS.study, study_folder(FLAGS.study)


def workdir() -> Path | None:
    """Returns the --workdir, of several the last; None where none is given. UserError if there is an --output."""
    if FLAGS.output is not None:
        raise UserError(f"--output is for --mode=report, not for --mode={FLAGS.mode}: leave it out")
    return Path(FLAGS.workdir[-1]) if FLAGS.workdir else None


def reported() -> tuple[list[Path], Path | None]:
    """Returns what --mode=report is to read and the --output, if given; UserError where the flags do not fit it."""
    named = [name for name in ("experiment", "checkpoint") if FLAGS[name].value]
    changed = [*named, *overrides()]
    if changed:
        raise UserError(f"--{changed[0]} has no place in --mode=report, which reads what runs have left: leave it out")
    if not FLAGS.workdir:
        raise UserError("--mode=report needs --workdir=DIR, the folder of a run; give it several times to compare runs")
    if len(FLAGS.workdir) == 1 and FLAGS.output is not None:
        raise UserError("--output is for a comparison: the report of one run is written into its --workdir")
    return [Path(folder) for folder in FLAGS.workdir], Path(FLAGS.output) if FLAGS.output else None


def overrides() -> dict[str, Any]:
    """Returns the fields that the flags set, by dotted name."""
    names = dict.fromkeys(name for experiment in EXPERIMENTS.values() for name, _ in specs.leaves(experiment))
    return {name: FLAGS[name].value for name in names if name in FLAGS and FLAGS[name].value is not None}


def replay(experiment: Experiment) -> str:
    """Returns the command that runs the experiment again."""
    return shlex.join(["python", "-m", "siamese_jax.main", *as_flags(experiment)])


def check_workdir(experiment: Experiment, workdir: Path) -> None:
    """Raises UserError if the workdir belongs to another run, naming the first field that differs."""
    written = read_fields(workdir)
    if written is None:
        return
    check_name(experiment.name, workdir, written)
    registered = dict(specs.leaves(EXPERIMENTS[experiment.name])) if experiment.name in EXPERIMENTS else {}
    for name, value in specs.leaves(experiment):
        # A schedule over all epochs is another one if there are more of them.
        scheduled = name == "max_epochs" and experiment.optimizer.over_all_epochs
        if name in specs.DESCRIPTION or (name in MAY_CHANGE and not scheduled):
            continue
        begun = written.get(name, registered.get(name, value))
        if begun != value:
            raise UserError(
                f"{workdir} belongs to a run with {name}={begun}, not {value}: "
                "choose another --workdir, or give the flags it was begun with"
            )
