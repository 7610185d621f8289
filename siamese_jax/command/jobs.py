"""Requests that compute: each calls the function of the same name, prints as it goes, and returns the last words."""

from pathlib import Path

from siamese_jax import extras, interrupts, runs
from siamese_jax.command import words
from siamese_jax.command.request import Evaluate, Search, Train
from siamese_jax.devices import check_backend, keep_freed_memory, unused_gpu
from siamese_jax.experiments import QUICK
from siamese_jax.learning.health import learned_nothing
from siamese_jax.results import RunResults
from siamese_jax.specs import Experiment
from siamese_jax.terminal import say, warn

IF_SLOW = f"Quicker on a CPU: --experiment={' or --experiment='.join(QUICK)}."


def _begin() -> None:
    """Prepare the process for hours of work."""
    keep_freed_memory()  # before there is a second thread
    interrupts.begin_work()
    check_backend()
    if hint := unused_gpu():
        warn(hint)


def train(request: Train) -> str:
    """Train and evaluate; or measure the untrained baselines, where the experiment trains nothing."""
    extras.require("report")  # before hours of training
    _begin()
    experiment, workdir = request.experiment, request.workdir
    if experiment.method == "baselines":
        results = runs.measure_baselines(experiment, workdir, **request.sources, say=say)
    else:
        run = runs.train(experiment, workdir, **request.sources, if_slow=IF_SLOW, say=say)
        results, experiment = run.evaluate(), run.experiment
    return _last(experiment, results, workdir)


def evaluate(request: Evaluate) -> str:
    """Evaluate what was trained before."""
    extras.require("report")
    _begin()
    experiment, workdir = request.experiment, request.workdir
    if request.checkpoint is not None:
        run = runs.open_checkpoint(request.checkpoint, workdir, **request.sources)
    elif experiment.method == "baselines":
        results = runs.measure_baselines(experiment, workdir, **request.sources, say=say)
        return _last(experiment, results, workdir)
    else:
        run = runs.open_run(workdir, name=experiment.name, **request.sources)
    results = run.evaluate(experiment.evaluation, say)
    return _last(run.experiment, results, workdir)


def search(request: Search) -> str:
    """Work on a study, and report."""
    extras.require("search")
    from siamese_jax.search import conduct  # Optuna is an extra

    _begin()
    conduct.run_search(request.plan, request.folder, storage=request.storage, **request.sources, say=say)
    return words.where(request.folder)


def _last(experiment: Experiment, results: RunResults, folder: Path) -> str:
    """Return what a command prints at its end: the results, where the report is, and whether nothing was learned."""
    return "\n".join(filter(None, (words.summary(results), words.where(folder), learned_nothing(experiment, results))))
