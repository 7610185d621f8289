"""The command: absl flags -> experiment -> data -> fit -> evaluate -> report.

Nothing heavy is imported before the flags are known to be good: --help, --list and mistakes answer at once.
"""

import contextlib
import dataclasses
import datetime
import functools
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import app, logging

from siamese_jax import __version__, command, specs
from siamese_jax.command import FLAGS
from siamese_jax.experiments import QUICK
from siamese_jax.specs import Experiment, UserError

if TYPE_CHECKING:
    from siamese_jax.evaluation import Evaluator
    from siamese_jax.loop import Fitted
    from siamese_jax.records import Alphabets, Dataset

command.define_flags()


def main(_: list[str]) -> None:
    """Does what the flags say; a user's mistake is one sentence and exit code 2."""
    logging.set_verbosity(logging.WARNING)  # the libraries tell of every file they close
    if FLAGS.list:
        print(command.listing())
        return
    workdir = None
    try:
        if FLAGS.mode == "report":
            report_runs(*command.reported())
            return
        workdir = command.workdir()
        experiment = command.resolve()
        workdir = workdir or _new_folder(experiment.name)
        run_experiment(experiment, workdir)
    except UserError as error:
        command.fail(error)
    except KeyboardInterrupt:
        print(f"siamese_jax: interrupted; the same command with --workdir={workdir} goes on", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if "RESOURCE_EXHAUSTED" not in str(error):  # XLA's word for it; the class is not in its interface
            raise
        command.fail(UserError("out of memory: lower --batch_size, --network.units or --evaluation.embed_batch"))


def report_runs(workdirs: list[Path], output: Path | None) -> None:
    """Writes the report of one run again, or that of several side by side, from what they have left."""
    from siamese_jax import comparison

    if len(workdirs) == 1:
        folder = workdirs[0]
        comparison.report_again(folder)
    else:
        folder = output or _new_folder("report")
        comparison.compare(workdirs, folder)
    _say_where(folder)


def run_experiment(experiment: Experiment, workdir: Path) -> None:
    """Trains (unless --mode=evaluate, or there is nothing to train), evaluates and reports into `workdir`."""
    for name, value in specs.leaves(experiment):
        print(f"{name} = {value}")
    print(f"workdir = {workdir}", flush=True)
    if experiment.method == "baselines":
        compare(experiment, workdir)
        return
    from siamese_jax import data, evaluation, loop, splits
    from siamese_jax.batches import steps_per_epoch
    from siamese_jax.checkpoint import Checkpoints
    from siamese_jax.files import write_json
    from siamese_jax.model import build
    from siamese_jax.twins import feature_sides

    # Whatever can be found wrong is found wrong before anything is downloaded, prepared or written.
    side = specs.SIDE // experiment.data.downsample
    feature_sides(experiment.network, side)
    steps_per_epoch(experiment)
    with contextlib.ExitStack() as stack:
        if FLAGS.mode == "train":
            checkpoints = stack.enter_context(Checkpoints(workdir))
            command.check_workdir(experiment, workdir)
        dataset = data.load(experiment.data, FLAGS.data_dir, FLAGS.archives)
        sets = splits.split(dataset, experiment.data.drawer_split)
        loop.check_training(experiment, sets["train"])
        evaluation.check_evaluation(experiment, sets["validation"], sets["test"])
        spec = experiment.evaluation
        evaluator = evaluation.Evaluator(build(experiment.network), spec.embed_batch, spec.combine)
        trials = evaluation.validation_runs(experiment, sets["validation"])
        if FLAGS.mode == "train":
            write_json(workdir / "experiment.json", dataclasses.asdict(experiment))
            validate = functools.partial(
                evaluation.validation_accuracy, evaluator, alphabets=sets["validation"], runs=trials
            )
            if_slow = f"Quicker on a CPU: --experiment={' or --experiment='.join(QUICK)}."
            try:
                fitted = loop.fit(experiment, sets["train"], validate, checkpoints, if_slow)
            except loop.Stopped as stopped:
                print(f"siamese_jax: {stopped}; the same command with --workdir={workdir} goes on", file=sys.stderr)
                sys.exit(128 + stopped.signal_number)
        else:
            fitted = loop.read_fitted(experiment, dataset.alphabets.images.shape[1], workdir)
            if fitted is None:
                raise UserError(f"{workdir} holds no checkpoint yet: train it first, without --mode=evaluate")
        measure(experiment, workdir, dataset, sets, evaluator, fitted)


def measure(
    experiment: Experiment,
    workdir: Path,
    dataset: "Dataset",
    sets: dict[str, "Alphabets"],
    evaluator: "Evaluator",
    fitted: "Fitted",
) -> None:
    """Measures the best parameters, and writes results.json, the pictures and the report."""
    from scipy.special import expit

    from siamese_jax import evaluation, plots
    from siamese_jax.metrics import read_metrics
    from siamese_jax.protocols import protocols
    from siamese_jax.report import write_report, write_results

    params, step, history = fitted
    images, runs = dataset.alphabets.images, dataset.runs
    score = functools.partial(evaluator.run_logits, params)
    seen = {"trained": sets["train"], "chosen": sets["validation"]}
    wanted = protocols(experiment.evaluation, runs)
    one_shot, refused = evaluation.one_shot_by_protocol(score, dataset, sets, seen, wanted)
    one_shot["validation"] = evaluation.validation_one_shot(score, experiment, sets)
    if "within_alphabet" in one_shot:
        one_shot["random_trials"] = one_shot["within_alphabet"]  # its name in results.json before there were protocols
    results = {
        **_about(experiment, dataset, sets),
        "training": {
            "epochs": history.epochs,
            "steps": step,
            "seconds": history.seconds,
            "best_epoch": history.best_epoch,
            "best_validation_accuracy": history.best_accuracy,
            "pairs_per_second": history.pairs_per_second,
            "stopped_by": history.stopped_by(experiment),
        },
        "verification": evaluation.verification(evaluator, params, experiment, sets["validation"], sets["test"]),
        "one_shot": one_shot,
        "not_measured": refused,
    }
    write_results(workdir, results)  # before the pictures: what is measured is not to be lost to a full disk
    rows = read_metrics(workdir)
    plots.training_curves(rows, workdir / "training.png", experiment.evaluation.n_way)
    logits = evaluator.run_logits(params, images, type(runs)(*(part[:1] for part in runs)))[0, 0]
    plots.one_trial(
        workdir / "trial.png",
        images[runs.query[0, 0]],
        images[runs.support[0, :, 0]],
        expit(logits.astype(float)),
        int(runs.answer[0, 0]),
        title=f"{experiment.name}: the first trial of the first run",
    )
    write_report(workdir, experiment, results, rows)
    _say(results, workdir)


def compare(experiment: Experiment, workdir: Path) -> None:
    """Measures the comparisons that learn nothing, and writes results.json and the report."""
    from siamese_jax import data, evaluation, splits
    from siamese_jax.baselines import BASELINES, run_scores
    from siamese_jax.files import write_json
    from siamese_jax.protocols import protocols
    from siamese_jax.report import write_report, write_results

    command.check_workdir(experiment, workdir)
    dataset = data.load(experiment.data, FLAGS.data_dir, FLAGS.archives)
    sets = splits.split(dataset, experiment.data.drawer_split)
    write_json(workdir / "experiment.json", dataclasses.asdict(experiment))
    # Of 400 trials each; 10,000 would take the Hausdorff distance minutes.
    short = {name: protocols(experiment.evaluation, dataset.runs)[name] for name in ("official_runs", "koch_400")}
    baselines, refused = {}, {}
    for name, comparison in BASELINES.items():
        score = functools.partial(run_scores, comparison)
        baselines[name], refused = evaluation.one_shot_by_protocol(score, dataset, sets, {}, short)
    results = {**_about(experiment, dataset, sets), "baselines": baselines, "not_measured": refused}
    write_results(workdir, results)
    write_report(workdir, experiment, results, [])
    for name, measured in baselines.items():
        _say_one_shot(measured, f"{name.replace('_', ' ')}, ")
    _say_where(workdir)


def _about(experiment: Experiment, dataset: "Dataset", sets: dict[str, "Alphabets"]) -> dict[str, Any]:
    return {
        "experiment": experiment.name,
        "seed": experiment.seed,
        "command": command.replay(experiment),
        "data": {
            "name": experiment.data.name,
            "image_side": dataset.alphabets.images.shape[1],
            "drawer_split": experiment.data.drawer_split,
            "sets": {name: _described(part) for name, part in sets.items()},
        },
        "environment": _environment(),
    }


def _described(part: "Alphabets") -> dict[str, Any]:
    return {
        "alphabets": part.names,
        "characters": int(part.character[-1]) + 1,
        "drawers": sorted(set(part.drawer.tolist())),
        "images": len(part.images),
    }


def _environment() -> dict[str, Any]:
    import jax

    return {
        "siamese_jax": __version__,
        "jax": jax.__version__,
        "python": platform.python_version(),
        "backend": jax.default_backend(),
        "device": jax.devices()[0].device_kind,
        "devices": jax.device_count(),
        "cores": os.cpu_count(),
    }


def _say(results: dict[str, Any], workdir: Path) -> None:
    """Prints the results, each with its trials and 95 % interval."""
    _say_one_shot({name: result for name, result in results["one_shot"].items() if name != "random_trials"})
    for name, reason in results["not_measured"].items():
        print(f"not measured, {name.replace('_', ' ')}: {reason}")
    result = results["verification"]["test"]
    low, high = result["ci95"]
    print(f"verification, test: {result['accuracy']:.1%} ({low:.1%} to {high:.1%}; {result['pairs']} pairs)")
    _say_where(workdir)


def _say_one_shot(one_shot: dict[str, Any], who: str = "") -> None:
    for name, result in one_shot.items():
        low, high = result["ci95"]
        shots = "one-shot" if result["k_shot"] == 1 else f"{result['k_shot']}-shot"
        print(
            f"{who}{result['n_way']}-way {shots}, {name.replace('_', ' ')}: {result['accuracy']:.2%} "
            f"({low:.1%} to {high:.1%}; {result['trials']} trials)"
        )


def _say_where(folder: Path) -> None:
    print(f"report: {folder / 'report.md'} and {folder / 'report.html'}")


def _new_folder(name: str) -> Path:
    return Path("runs") / f"{name}-{datetime.datetime.now():%Y%m%d-%H%M%S}"


def run() -> None:
    """Entry point of the console script."""
    app.run(main, flags_parser=command.parse)


if __name__ == "__main__":
    run()
