"""Reports from what runs have left: one run's report anew, or several runs side by side.

Only their files are read: no data set, no checkpoint, and nothing is measured again.
"""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from siamese_jax.errors import UserError
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
from siamese_jax.statistics import intervals
from siamese_jax.storage import files
from siamese_jax.storage.experiment_file import read_experiment, read_json
from siamese_jax.storage.log import read_metrics

EVERY_RUN = ("experiment", "seed", "command", "data")
OF_DATA = ("name", "image_side", "drawer_split", "sets")
"""What no results.json is without."""


def report(workdirs: Sequence[Path], output: Path) -> None:
    """Write the report of one run again, or that of several side by side into `output`."""
    if len(workdirs) == 1:
        report_again(workdirs[0])
    else:
        compare(workdirs, output)


def report_again(workdir: Path) -> None:
    """Writes a run's report.md and report.html again; UserError where the folder holds no results."""
    run = read_run(workdir)
    write_report(workdir, run.experiment, run.results, run.rows)


def compare(workdirs: Sequence[Path], folder: Path) -> None:
    """Writes report.md, report.html and the pictures of several runs into `folder`; UserError for bad folders."""
    if folder.resolve() in (workdir.resolve() for workdir in workdirs):
        raise UserError(f"--output={folder} is the folder of a run, whose own report stands there: choose another")
    for one, other in itertools.combinations(workdirs, 2):
        if one.resolve() == other.resolve():
            raise UserError(f"--workdir names {other} twice: give each run once")
    names = [workdir.resolve().name for workdir in workdirs]  # "." has no name of its own
    if len(set(names)) < len(names):
        names = [str(workdir) for workdir in workdirs]
    runs = [read_run(workdir, name) for workdir, name in zip(workdirs, names, strict=True)]
    write_comparison(folder, runs, paired_differences(contestants(runs)), draw(runs, folder))


def read_run(workdir: Path, name: str = "") -> Run:
    """Returns what a run's folder tells of it, under a name; UserError where its results are missing or damaged."""
    path = workdir / "results.json"
    results = read_json(path)
    if results is None:
        raise UserError(f"{workdir} holds no results (no results.json): give the --workdir of a run that was measured")
    if not _as_written_today(results):
        raise UserError(f"{path} is not as this version writes it: measure the run again with --mode=evaluate")
    trials = workdir / "trials.npz"
    return Run(
        name,
        read_experiment(workdir),
        results,
        read_metrics(workdir),
        files.read_arrays(trials) if trials.exists() else {},
    )


def _as_written_today(results: Mapping[str, Any]) -> bool:
    """Whether results have the parts that every report tells of, and a card with each figure."""
    data, baselines = results.get("data"), results.get("baselines", {})
    if not (isinstance(data, Mapping) and isinstance(baselines, Mapping) and {*EVERY_RUN} <= results.keys()):
        return False
    tables = [results.get("one_shot", {}), *baselines.values()]
    return {*OF_DATA} <= data.keys() and all(
        isinstance(table, Mapping) and all(isinstance(part, Mapping) and "card" in part for part in table.values())
        for table in tables
    )


def paired_differences(everyone: Sequence[Contestant]) -> list[Paired]:
    """Returns the difference of every two on each protocol of which both answered the very same trials."""
    return [
        Paired(protocol, first, second, intervals.paired_difference(first.trials[protocol], second.trials[protocol]))
        for first, second in itertools.combinations(everyone, 2)
        for protocol in first.one_shot
        if _same_trials(protocol, first, second)
    ]


def draw(runs: Sequence[Run], folder: Path) -> list[str]:
    """Draws the pictures for which the runs have figures; returns their names."""
    from siamese_jax import plots

    figures = {}
    everyone = contestants(runs)
    official = {one.name: one.one_shot["official_runs"] for one in everyone if one.on_lakes_runs}
    if official:
        five_alphabets = any(small_background(run.results["data"]) for run in runs)
        published = {who: percent for who, (percent, _) in published_on_official_runs(five_alphabets).items()}
        accuracies, intervals = zip(*((part["accuracy"], part["ci95"]) for part in official.values()), strict=True)
        figures["comparison.png"] = plots.comparison_figure(list(official), accuracies, intervals, published)
    by_ways = {one.name: one.one_shot for one in everyone if any("_way_" in name for name in one.one_shot)}
    if by_ways:
        figures["n_way.png"] = plots.n_way_figure(by_ways)
    tests = {run.name: run.results.get("verification", {}).get("test", {}) for run in runs}
    curves = {name: test for name, test in tests.items() if "roc" in test}  # older runs kept no curve
    if curves:
        figures["roc.png"] = plots.roc_figure(curves)
    for name, figure in figures.items():
        plots.save(figure, folder / name)
    return list(figures)


def _same_trials(protocol: str, first: Contestant, second: Contestant) -> bool:
    def known(one: Contestant) -> str | None:
        card = one.one_shot.get(protocol, {"card": {}})["card"]
        return card.get("trials_id") if protocol in one.trials else None

    return known(first) is not None and known(first) == known(second)
