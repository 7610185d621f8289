"""The command: absl flags -> experiment -> data -> fit -> evaluate -> report.

Nothing heavy is imported before the flags are known to be good: --help, --list and mistakes answer at once.
"""

import datetime
import functools
import os
import platform
import sys
from pathlib import Path
from typing import Any

from absl import app, logging

from siamese_jax import __version__, command, specs
from siamese_jax.command import FLAGS
from siamese_jax.experiments import QUICK
from siamese_jax.specs import Experiment, UserError

command.define_flags()


def main(_: list[str]) -> None:
    """Does what the flags say; a user's mistake is one sentence and exit code 2."""
    logging.set_verbosity(logging.WARNING)  # the libraries tell of every file they close
    if FLAGS.list:
        print(command.listing())
        return
    try:
        experiment = command.resolve()
        default = Path("runs") / f"{experiment.name}-{datetime.datetime.now():%Y%m%d-%H%M%S}"
        run_experiment(experiment, Path(FLAGS.workdir or default))
    except UserError as error:
        command.fail(error)
    except KeyboardInterrupt:
        print("siamese_jax: interrupted; the same command with the same --workdir goes on", file=sys.stderr)
        sys.exit(130)


def run_experiment(experiment: Experiment, workdir: Path) -> None:
    """Trains (unless --mode=evaluate), evaluates and reports into `workdir`."""
    command.check_workdir(experiment, workdir)
    from siamese_jax import data, evaluation, loop, splits
    from siamese_jax.files import write_json
    from siamese_jax.model import build

    for name, value in specs.leaves(experiment):
        print(f"{name} = {value}")
    print(f"workdir = {workdir}", flush=True)
    dataset = data.load(experiment.data, FLAGS.data_dir, FLAGS.archives)
    sets = splits.split(dataset, experiment.data.drawer_split)
    loop.check_training(experiment, sets["train"])
    evaluation.check_evaluation(experiment, sets["validation"], sets["test"])
    evaluator = evaluation.Evaluator(build(experiment.network), experiment.evaluation.embed_batch)
    if FLAGS.mode == "train":
        write_json(workdir / "experiment.json", command.to_json(experiment))
        validate = functools.partial(
            evaluation.validation_accuracy,
            evaluator,
            alphabets=sets["validation"],
            runs=evaluation.validation_runs(experiment, sets["validation"]),
        )
        if_slow = f"Quicker on a CPU: --experiment={' or --experiment='.join(QUICK)}."
        try:
            fitted = loop.fit(experiment, sets["train"], validate, workdir, if_slow)
        except loop.Stopped as stopped:
            print(f"siamese_jax: {stopped}; the same command with --workdir={workdir} goes on", file=sys.stderr)
            sys.exit(128 + stopped.signal_number)
    else:
        fitted = loop.fitted(experiment, dataset.alphabets.images.shape[1], workdir)
        if fitted is None:
            raise UserError(f"{workdir} holds no checkpoint yet: train it first, without --mode=evaluate")
    report(experiment, workdir, dataset, sets, evaluator, fitted)


def report(experiment: Experiment, workdir: Path, dataset, sets, evaluator, fitted) -> None:
    """Measures the best parameters on test, and writes results.json, report.md and the pictures."""
    import numpy as np

    from siamese_jax import evaluation, plots
    from siamese_jax.metrics import read_metrics
    from siamese_jax.records import Runs
    from siamese_jax.report import write_report, write_results

    params, step, history = fitted
    trained = frozenset(sets["train"].drawer.tolist())
    official = evaluation.one_shot(evaluator, params, dataset.alphabets, dataset.runs, trained)
    results = {
        "experiment": experiment.name,
        "seed": experiment.seed,
        "command": command.replay(experiment),
        "data": {
            "name": experiment.data.name,
            "image_side": dataset.alphabets.images.shape[1],
            "drawer_split": experiment.data.drawer_split,
            "sets": {name: _described(part) for name, part in sets.items()},
        },
        "training": {
            "epochs": history.epochs,
            "steps": step,
            "seconds": history.seconds,
            "best_epoch": history.best_epoch,
            "best_validation_accuracy": history.best_accuracy,
            "pairs_per_second": history.pairs_per_second,
            "stopped_by": history.stopped_by(experiment),
        },
        "environment": _environment(),
        "verification": evaluation.verification(evaluator, params, experiment, sets["validation"], sets["test"]),
        "one_shot": {
            "official_runs": official,
            "random_trials": evaluation.random_trials(evaluator, params, experiment, sets["test"], trained),
            "validation": evaluation.one_shot(
                evaluator,
                params,
                sets["validation"],
                evaluation.validation_runs(experiment, sets["validation"]),
                trained,
            ),
        },
    }
    first = Runs(*(np.asarray(rows)[:1] for rows in dataset.runs))
    logits = evaluator.run_logits(params, dataset.alphabets.images, first)[0, 0].astype(np.float64)
    images = dataset.alphabets.images
    plots.one_trial(
        workdir / "trial.png",
        images[first.query[0, 0]],
        images[first.support[0, :, 0]],
        1 / (1 + np.exp(-logits)),
        int(first.answer[0, 0]),
        title=f"{experiment.name}: the first trial of the first run",
    )
    rows = read_metrics(workdir)
    plots.training_curves(rows, workdir / "training.png", experiment.evaluation.n_way)
    write_results(workdir, results)
    write_report(workdir, experiment, results, rows)
    _say(results, workdir)


def _described(part) -> dict[str, Any]:
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
    for name, result in results["one_shot"].items():
        low, high = result["ci95"]
        print(
            f"{result['n_way']}-way one-shot, {name.replace('_', ' ')}: {result['accuracy']:.1%} "
            f"({low:.1%} to {high:.1%}; {result['trials']} trials)"
        )
    result = results["verification"]["test"]
    low, high = result["ci95"]
    print(f"verification, test: {result['accuracy']:.1%} ({low:.1%} to {high:.1%}; {result['pairs']} pairs)")
    print(f"report: {workdir / 'report.md'}")


def run() -> None:
    """Entry point of the console script."""
    app.run(main, flags_parser=command.parse)


if __name__ == "__main__":
    run()
