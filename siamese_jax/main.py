"""The command: absl flags -> experiment -> data -> fit -> evaluate -> report.

Nothing heavy is imported before the flags are known to be good: --help, --list and mistakes answer at once.
"""

import contextlib
import dataclasses
import datetime
import functools
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import app, logging

from siamese_jax import command, specs
from siamese_jax.command import FLAGS
from siamese_jax.devices import OUT_OF_MEMORY, keep_freed_memory
from siamese_jax.errors import UserError
from siamese_jax.experiments import QUICK
from siamese_jax.search import Plan
from siamese_jax.specs import Experiment
from siamese_jax.storage import files
from siamese_jax.storage.experiment_file import read_experiment

if TYPE_CHECKING:
    from siamese_jax.records import Alphabets
    from siamese_jax.search.study import Study
    from siamese_jax.training.loop import Fitted

command.define_flags()


def main(_: list[str]) -> None:
    """Does what the flags say; a user's mistake is one sentence and exit code 2."""
    logging.set_verbosity(logging.WARNING)  # the libraries tell of every file they close
    if FLAGS.list:
        print(command.listing())
        return
    workdir = None
    try:
        if FLAGS.mode == "report" and FLAGS.study is not None:
            report_study(*command.reported_study())
            return
        if FLAGS.mode == "report":
            report_runs(*command.reported())
            return
        workdir = command.workdir()
        if (plan := command.plan()) is not None:
            workdir = command.study_folder(plan.name)
            run_sweep(plan, workdir)
            return
        experiment = command.resolve()
        workdir = workdir or _new_folder(experiment.name)
        run_experiment(experiment, workdir)
    except UserError as error:
        command.fail(error)
    except KeyboardInterrupt:
        goes_on = f"; the same command with --workdir={workdir} goes on" if workdir else ""
        print(f"siamese_jax: interrupted{goes_on}", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if OUT_OF_MEMORY not in str(error):
            raise
        command.fail(
            UserError(
                "out of memory: lower --batch_size (--data.batch_alphabets, batch_characters or batch_drawers where "
                "images of a batch are compared with each other), --network.units or --evaluation.embed_batch"
            )
        )


def report_runs(workdirs: list[Path], output: Path | None) -> None:
    """Writes the report of one run again, or that of several side by side, from what they have left."""
    from siamese_jax.report import compare

    if len(workdirs) == 1:
        folder = workdirs[0]
        compare.report_again(folder)
    else:
        folder = output or _new_folder("report")
        compare.compare(workdirs, folder)
    _say_where(folder)


def run_sweep(plan: Plan, folder: Path) -> None:
    """Works on a study until it is done, writes what it found, and trains and measures its winner."""
    keep_freed_memory()
    keep_compiled()
    from siamese_jax import data
    from siamese_jax.sampling import splits
    from siamese_jax.search import findings
    from siamese_jax.search.study import Study
    from siamese_jax.search.worker import check_base, load_once, work

    @load_once
    def load(spec: specs.DataSpec) -> dict[str, "Alphabets"]:
        return splits.split_untested(data.load_untested(spec, FLAGS.data_dir, FLAGS.archives), spec.drawer_split)

    def say(text: str) -> None:
        print(text, flush=True)

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # either way the trials under way are given back
    check_base(plan, load)
    with Study(plan, folder, FLAGS.storage) as study:
        try:
            work(plan, study, load, say)
        finally:
            findings.write_findings(study.study, folder)
        for seed in plan.winner_seeds:
            _train_winner(study, folder, seed)
    if plan.winner_seeds:
        report_study(plan.name, folder)
    else:
        _say_where(folder)


def _train_winner(study: "Study", folder: Path, seed: int) -> None:
    """Trains the winner of a study with a seed and measures it on test, unless that is done, or another worker does."""
    from siamese_jax.search import findings
    from siamese_jax.storage.checkpoint import InUseError

    best, winner = findings.best_trial(study.study), findings.winner_of(study.study)
    if best is None:
        return
    workdir = findings.winner_folder(folder, best.number, seed)
    if (workdir / "report.html").exists():  # what comes last
        return
    elsewhere = f"the winner with seed {seed} is trained by another worker"
    if not workdir.exists() and not study.claims_winner(best.number, seed):
        print(elsewhere)
        return
    try:
        run_experiment(dataclasses.replace(winner, seed=seed), workdir, "the same command goes on")
    except InUseError:
        print(elsewhere)


def report_study(name: str, folder: Path) -> None:
    """Writes the report of a study again, from its record and from what its winner's runs have left."""
    from siamese_jax.search import findings
    from siamese_jax.search.study import find_study

    findings.write_findings(find_study(name, folder, FLAGS.storage), folder)
    _say_where(folder)


def run_experiment(experiment: Experiment, workdir: Path, advice: str = "") -> None:
    """Trains (unless --mode=evaluate, or there is nothing to train), evaluates and reports into `workdir`.

    `advice` says how to go on if it is stopped, where that is not by --workdir.
    """
    keep_freed_memory()
    keep_compiled()
    advice = advice or f"the same command with --workdir={workdir} goes on"
    baselines = experiment.method == "baselines"
    results = _baselines(experiment, workdir) if baselines else _network(experiment, workdir, advice)
    _say(results, workdir)


def keep_compiled() -> None:
    """Lets JAX keep compiled programs in the user's cache folder, for a quick start of the next run.

    A folder that the user has named (JAX_COMPILATION_CACHE_DIR) stays; where none can be made, nothing is kept.
    """
    import jax

    if jax.config.jax_compilation_cache_dir is not None:
        return
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "siamese_jax" / "xla"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        return
    if os.access(folder, os.W_OK):
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def _network(experiment: Experiment, workdir: Path, advice: str) -> dict[str, Any]:
    """Trains a network, or reads what was trained, and measures it."""
    from siamese_jax import data
    from siamese_jax.evaluation import embedder, measure, one_shot, verification
    from siamese_jax.learning.batches import steps_per_epoch
    from siamese_jax.network.siamese import build
    from siamese_jax.network.towers import feature_sides
    from siamese_jax.sampling import splits
    from siamese_jax.storage.checkpoint import Checkpoints
    from siamese_jax.training import loop

    # Whatever can be found wrong is found wrong before anything is downloaded, prepared or written.
    feature_sides(experiment.network, experiment.data.image_side)
    steps_per_epoch(experiment)
    with contextlib.ExitStack() as stack:
        if FLAGS.mode == "train":
            checkpoints = stack.enter_context(Checkpoints(workdir))
            command.check_workdir(experiment, workdir)
        dataset = data.load(experiment.data, FLAGS.data_dir, FLAGS.archives)
        sets = splits.split(dataset, experiment.data.drawer_split)
        loop.check_training(experiment, sets["train"])
        verification.check_evaluation(experiment, sets["validation"], sets["test"])
        if FLAGS.mode == "train":  # else they are those of the run that is measured
            one_shot.check_validation(experiment, sets["validation"])
        net, spec = build(experiment.network), experiment.evaluation
        evaluator = embedder.Evaluator(net, spec.embed_batch, spec.combine)
        _announce(experiment, workdir)
        if FLAGS.mode == "train":
            trials = one_shot.validation_runs(experiment, sets["validation"])
            files.write_json(workdir / "experiment.json", dataclasses.asdict(experiment))
            validate = functools.partial(
                one_shot.validation_accuracy, evaluator, alphabets=sets["validation"], runs=trials
            )
            if_slow = f"Quicker on a CPU: --experiment={' or --experiment='.join(QUICK)}."
            try:
                fitted = loop.fit(experiment, sets["train"], validate, checkpoints, if_slow)
            except loop.Stopped as stopped:
                print(f"siamese_jax: {stopped}; {advice}", file=sys.stderr)
                sys.exit(128 + stopped.signal_number)
            trained = experiment
        else:
            trained, fitted = _trained(experiment, dataset.alphabets.images.shape[1], workdir)
        again = command.replay(trained)
        return measure.measure_network(
            trained, workdir, dataset, sets, net, evaluator, fitted, _load_digits, again, spec
        )


def _trained(experiment: Experiment, side: int, workdir: Path) -> tuple[Experiment, "Fitted"]:
    """Reads what --mode=evaluate is to measure, and the experiment as it was trained."""
    from siamese_jax import pretrained
    from siamese_jax.training import loop

    if FLAGS.checkpoint is not None:
        if (workdir / "metrics.jsonl").exists():
            raise UserError(f"{workdir} holds a run of its own: choose another --workdir for --checkpoint")
        trained, params, card = pretrained.read(FLAGS.checkpoint)
        command.check_workdir(trained, workdir)
        with files.explained(workdir):
            workdir.mkdir(parents=True, exist_ok=True)
        files.write_json(workdir / "experiment.json", dataclasses.asdict(trained))
        return trained, loop.Fitted(params, card["step"], loop.History(**card["history"]))
    fitted = loop.read_fitted(experiment, side, workdir)
    if fitted is None:
        raise UserError(f"{workdir} holds no checkpoint yet: train it first, without --mode=evaluate")
    return read_experiment(workdir, experiment.name), fitted


def _baselines(experiment: Experiment, workdir: Path) -> dict[str, Any]:
    """Measures the comparisons that learn nothing."""
    from siamese_jax import data
    from siamese_jax.evaluation import measure
    from siamese_jax.sampling import splits

    command.check_workdir(experiment, workdir)
    dataset = data.load(experiment.data, FLAGS.data_dir, FLAGS.archives)
    sets = splits.split(dataset, experiment.data.drawer_split)
    _announce(experiment, workdir)
    files.write_json(workdir / "experiment.json", dataclasses.asdict(experiment))
    return measure.measure_baselines(experiment, workdir, dataset, sets, _load_digits, command.replay(experiment))


def _announce(experiment: Experiment, workdir: Path) -> None:
    """Prints every field, once nothing is known to be wrong with them: a mistake is not to be lost above the list."""
    for name, value in specs.leaves(experiment):
        print(f"{name} = {value}")
    print(f"workdir = {workdir}", flush=True)


def _load_digits(side: int | None) -> "Alphabets":
    from siamese_jax import data

    return data.load_digits(side, FLAGS.data_dir, FLAGS.archives)


def _say(results: dict[str, Any], workdir: Path) -> None:
    """Prints the results, each with its trials and 95 % interval."""
    _say_one_shot({name: part for name, part in results.get("one_shot", {}).items() if name != "random_trials"})
    _say_one_shot(results.get("one_shot_views", {}), "averaged views, ")
    for name, measured in results.get("baselines", {}).items():
        _say_one_shot(measured, f"{name.replace('_', ' ')}, ")
    for name, reason in results["not_measured"].items():
        print(f"not measured, {name.replace('_', ' ')}: {reason}")
    if "verification" in results:
        result = results["verification"]["test"]
        low, high = result["ci95"]
        print(f"verification, test: {result['accuracy']:.1%} ({low:.1%} to {high:.1%}; {result['pairs']} pairs)")
    _say_where(workdir)


def _say_one_shot(one_shot: dict[str, Any], who: str = "") -> None:
    for name, result in one_shot.items():
        low, high = result["ci95"]
        task = f"{result['n_way']}-way {result['k_shot']}-shot"
        of_grid = name == task.replace("-", "_").replace(" ", "_")
        label = "within alphabet, all untrained drawers" if of_grid else name.replace("_", " ")
        print(f"{who}{label}, {task}: {result['accuracy']:.2%} ({low:.1%} to {high:.1%}; {result['trials']} trials)")


def _say_where(folder: Path) -> None:
    print(f"report: {folder / 'report.md'} and {folder / 'report.html'}")


def _new_folder(name: str) -> Path:
    return Path("runs") / f"{name}-{datetime.datetime.now():%Y%m%d-%H%M%S}"


def run() -> None:
    """Entry point of the console script."""
    app.run(main, flags_parser=command.parse)


if __name__ == "__main__":
    run()
