"""The flags of the command: one for every field of every experiment. A mistake is answered in one sentence."""

import shlex
import sys

from absl import flags

from siamese_jax import specs
from siamese_jax.command.flag_files import expanded
from siamese_jax.command.usual_names import elsewhere
from siamese_jax.errors import UserError, did_you_mean
from siamese_jax.experiments import all_fields
from siamese_jax.search import PRUNERS, SAMPLERS
from siamese_jax.terminal import fail

FLAGS = flags.FLAGS

USAGE = """One-shot learning with siamese networks in JAX, after Koch, Zemel and Salakhutdinov (2015).

  python -m siamese_jax.main --experiment=NAME [flags]      or: siamese-jax train --experiment=NAME [flags]
  siamese-jax VERB --help     VERB: unpack (a data set as pictures), enrol, identify, verify, gallery: your own pictures

  --experiment=NAME   which experiment; --list shows them all
  --list              name, what it is, cost on a CPU and a GPU, expected result
  --mode=MODE         train (default): train, or resume the run in the workdir, then evaluate and report
                      evaluate: measure the workdir's best parameters under every protocol, and report;
                      --experiment is not needed
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
  --study=NAME           its name; everything is written to runs/NAME, or --workdir; the same command resumes it
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


SEARCH = (
    "study", "storage", "trials", "sampler", "multivariate", "pruner", "trial_epochs", "trial_minutes", "population",
    "winner_seeds",
)  # fmt: skip
"""Flags that only a search has, beside --search."""


def define_flags() -> None:
    """Define the flags of the command, and one for every field of every experiment; None is "as registered"."""
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
    for name, kind in all_fields().items():
        if name not in specs.DESCRIPTION:
            define[kind](name, None, "A field of the experiment.")
    # Other short names are fields of the experiment itself.
    flags.DEFINE_alias("train_pairs", "data.train_pairs")
    flags.DEFINE_alias("compute_dtype", "network.compute_dtype")


def parse(argv: list[str]) -> list[str]:
    """Parse the flags as absl's app.run asks for; a mistake is one sentence and exit code 2.

    Args:
      argv: The command line. After the verb `train`, or without a verb, there are only flags.

    Returns:
      The name of the program. Another verb and what follows it are left for `verbs`.
    """
    if argv[1:2] == ["train"]:
        argv = argv[:1] + argv[2:]
    elif argv[1:] and not argv[1].startswith("-"):
        FLAGS(argv[:1])
        return argv
    if {"--help", "-help", "-h", "--helpshort", "--helpfull", "--helpxml"} & set(argv[1:]):
        print(USAGE)
        sys.exit(0)
    try:
        stray = FLAGS([*argv[:1], *expanded(argv[1:])])[1:]
        if stray:
            raise UserError(f"{shlex.join(stray)} is not a flag: flags are written --name=value; --help shows them")
    except flags.UnrecognizedFlagError as error:
        hint = elsewhere(error.flagname) or did_you_mean(error.flagname, FLAGS, "--")
        fail(UserError(f"--{error.flagname} is not a flag: {hint}{' ' * bool(hint)}--help explains the most used ones"))
    except (flags.Error, UserError) as error:
        fail(error)
    return argv[:1]
