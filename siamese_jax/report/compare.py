"""Reports from what runs have left in their folders: the report of one run again, or several runs side by side.

Nothing is measured again: no data set and no checkpoint is read.
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from siamese_jax.errors import UserError
from siamese_jax.printable import printable
from siamese_jax.report import (
    Contestant,
    Paired,
    Run,
    contestants,
    published_on_official_runs,
    small_background,
    write_comparison,
    write_report,
)
from siamese_jax.results import OneShotResult, RunResults
from siamese_jax.statistics import intervals
from siamese_jax.storage.experiment_file import read_experiment
from siamese_jax.storage.log import read_metrics
from siamese_jax.storage.results_file import read_results, read_trials
from siamese_jax.storage.workdir import opened


def report(workdirs: Sequence[Path], output: Path) -> None:
    """Write the report of one run again, or that of several side by side into `output`."""
    if len(workdirs) == 1:
        report_again(workdirs[0])
    else:
        compare_runs(workdirs, output)


def report_again(workdir: Path) -> None:
    """Write report.md and report.html of a run again; UserError if its folder holds no results."""
    run = read_run(workdir)
    with opened(workdir):
        write_report(workdir, run.experiment, run.results, run.rows)


def compare_runs(workdirs: Sequence[str | Path], output: str | Path) -> None:
    """Compare runs from what they left in their folders: write report.md, report.html and pictures.

    Args:
      workdirs: The folders of the runs, in the order of the report.
      output: The folder that the report is written to.

    Raises:
      UserError: `output` is the folder of a run, or in use, a run is named twice, or a run has no results.
    """
    workdirs, folder = [Path(workdir) for workdir in workdirs], Path(output)
    if folder.resolve() in (workdir.resolve() for workdir in workdirs):
        raise UserError(f"--output={folder} is the folder of a run and would replace its report: choose another folder")
    for one, other in itertools.combinations(workdirs, 2):
        if one.resolve() == other.resolve():
            raise UserError(f"--workdir names {other} twice: give each run once")
    names = [workdir.resolve().name for workdir in workdirs]  # resolved, since "." has no name
    if len(set(names)) < len(names):
        names = [str(workdir) for workdir in workdirs]
    runs = [read_run(workdir, printable(name)) for workdir, name in zip(workdirs, names, strict=True)]
    with opened(folder):
        write_comparison(folder, runs, paired_differences(contestants(runs)), plot(runs, folder))


def read_run(workdir: Path, name: str = "") -> Run:
    """Return what a run has left in its folder.

    Args:
      workdir: The folder.
      name: The name of the run in the report.

    Raises:
      UserError: Its results are missing, damaged or of another version.
    """
    results = read_results(workdir)
    trials = read_trials(workdir)
    for protocol, part in _protocols(results):
        if protocol in trials and trials[protocol].size != part.card.trials:
            raise UserError(
                f"{workdir / 'trials.npz'} is damaged, {protocol!r} has {trials[protocol].size:,} trials, not "
                f"{part.card.trials:,} as results.json says: measure the run again with --mode=evaluate"
            )
    return Run(name, read_experiment(workdir), results, read_metrics(workdir), trials)


def _protocols(results: RunResults) -> Iterator[tuple[str, OneShotResult]]:
    """Yield each one-shot result with its name in trials.npz."""
    yield from results.one_shot.items()
    for who, one_shot in results.baselines.items():
        yield from ((f"{who}.{protocol}", part) for protocol, part in one_shot.items())


def paired_differences(everyone: Sequence[Contestant]) -> list[Paired]:
    """Return the difference of every two contestants under each protocol where both answered the same trials."""
    return [
        Paired(protocol, first, second, intervals.paired_difference(first.trials[protocol], second.trials[protocol]))
        for first, second in itertools.combinations(everyone, 2)
        for protocol in first.one_shot
        if _same_trials(protocol, first, second)
    ]


def plot(runs: Sequence[Run], folder: Path) -> list[str]:
    """Plot the pictures that the runs have results for into `folder`; return the names of the files."""
    from siamese_jax import plots

    figures = {}
    everyone = contestants(runs)
    official = {one.name: one.one_shot["official_runs"] for one in everyone if one.on_lakes_runs}
    if official:
        five_alphabets = any(small_background(run.results.data) for run in runs)
        published = {who: percent for who, (percent, _) in published_on_official_runs(five_alphabets).items()}
        accuracies, bounds = zip(*((part.accuracy, part.ci95) for part in official.values()), strict=True)
        figures["comparison.png"] = plots.comparison_figure(list(official), accuracies, bounds, published)
    by_ways = {one.name: one.one_shot for one in everyone if any("_way_" in name for name in one.one_shot)}
    if by_ways:
        figures["n_way.png"] = plots.n_way_figure(by_ways)
    tests = {run.name: run.results.verification.test for run in runs if run.results.verification}
    if tests:
        figures["roc.png"] = plots.roc_figure(tests)
    for name, figure in figures.items():
        plots.save(figure, folder / name)
    return list(figures)


def _same_trials(protocol: str, first: Contestant, second: Contestant) -> bool:
    both = (first, second)
    measured = all(protocol in one.one_shot and protocol in one.trials for one in both)
    if not measured or len({one.one_shot[protocol].card.trials_id for one in both}) > 1:
        return False
    return len({one.trials[protocol].shape for one in both}) == 1
