"""Records finished runs for the table in README.md and docs/ladder.md: WORKDIR=MINUTES … -> docs/runs.jsonl.

    python tools/record_runs.py --commit=HASH runs/A=11.0 runs/B=36.4
    python tools/record_runs.py --commit=HASH --flagfile=experiments/F.flags runs/C=3.5

MINUTES are those from the command to its report. A run of the same experiment and seed that stands there is replaced.
Runs of a flag file, whose seeds alone may differ, stand under its name.
"""

import argparse
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from siamese_jax.experiments import EXPERIMENTS, find
from siamese_jax.report.tables import interval, percent, table
from siamese_jax.storage import files
from siamese_jax.storage.results_file import read_results

RUNS = Path(__file__).parent.parent / "docs" / "runs.jsonl"
COLUMNS = (
    ("official runs", "one_shot", "official_runs"),
    ("the same, 8 views", "one_shot_views", "official_runs"),
    ("within alphabet", "one_shot", "within_alphabet"),
    ("the same, 8 views", "one_shot_views", "within_alphabet"),
)
"""Heads, and where in results.json their figures stand."""


def record(workdir: Path, minutes: float, commit: str, flagfile: str | None = None) -> dict[str, Any]:
    """Return what the table needs of a finished run."""
    results = read_results(workdir)
    if results.training is None or results.training.stopped_by == "not finished":
        raise SystemExit(f"{workdir} is not finished")
    of_name = Path(flagfile).read_text().splitlines() if flagfile else [f"--experiment={results.experiment}"]
    made, named = _flags(shlex.split(results.command)), _flags(of_name)
    if made != named:
        there, here = (" ".join(sorted(flags)) or "nothing" for flags in (made - named, named - made))
        raise SystemExit(f"{workdir} is another run than {flagfile or 'its experiment'}: {there} there, {here} here")
    parts = {"one_shot": results.one_shot, "one_shot_views": results.one_shot_views, **results.baselines}
    measured = {
        part: {
            name: {"accuracy": one.accuracy, "ci95": one.ci95, "trials": one.card.trials}
            for name, one in of_part.items()
        }
        for part, of_part in parts.items()
        if of_part
    }
    about = {"experiment": results.experiment, "seed": results.seed, "command": results.command}
    about |= {} if flagfile is None else {"flagfile": flagfile}
    return {**about, "commit": commit, "minutes": minutes, "steps": results.training.steps, **measured}


def read_runs() -> list[dict[str, Any]]:
    """Return all recorded runs, in the order of the registry and of their seeds, those of flag files last."""
    rows = [json.loads(line) for line in RUNS.read_text().splitlines()] if RUNS.exists() else []
    order = list(EXPERIMENTS)
    return sorted(
        rows, key=lambda row: (row.get("flagfile", ""), order.index(find(row["experiment"]).name), row["seed"])
    )


def runs_table(rows: list[dict[str, Any]]) -> str:
    """Return the table: each run with minutes, accuracies in per cent and intervals; means with the range of seeds."""
    lines = []
    for name in dict.fromkeys(_name(row) for row in rows):
        runs = [row for row in rows if _name(row) == name]
        name = f"`{name}`"
        for row in runs:
            cells = [_cell(row.get(part, {}).get(protocol)) for _, part, protocol in COLUMNS]
            lines.append([name, str(row["seed"]), f"{row['minutes']:.1f}", *cells])
        if len(runs) > 1:
            means = [_mean([row.get(part, {}).get(protocol) for row in runs]) for _, part, protocol in COLUMNS]
            minutes = sum(row["minutes"] for row in runs) / len(runs)
            lines.append([name, "mean", f"{minutes:.1f}", *means])
    return table(["experiment", "seed", "minutes", *(head for head, _, _ in COLUMNS)], lines)


def expected(rows: list[dict[str, Any]]) -> str:
    """Return the result of one experiment in words, as its `expected` and the `# result` of a flag file say it.

    It is on the official runs; where none were released, on random trials.

    Args:
      rows: Its recorded runs, one per seed.
    """
    protocol = "official_runs" if "official_runs" in rows[0]["one_shot"] else "within_alphabet"
    what = "official runs" if protocol == "official_runs" else "random trials"
    results = [row["one_shot"][protocol] for row in rows]
    accuracies, trials = _listed([percent(result["accuracy"]) for result in results]), results[0]["trials"]
    if len(rows) > 1:
        seeds = [str(row["seed"]) for row in rows]
        of_seeds = _listed(seeds) if len(seeds) == 2 else f"{seeds[0]} to {seeds[-1]}"
        return f"{what} {accuracies} % (seeds {of_seeds}; {trials:,} trials each)"
    low, high = (f"{100 * bound:.1f}" for bound in results[0]["ci95"])
    return f"{what} {accuracies} % ({low} to {high}; {trials:,} trials)"


def cost(rows: list[dict[str, Any]]) -> str:
    """Return the minutes of one experiment in words, as its `cost_cpu` and the `# cost` of a flag file say it.

    Args:
      rows: Its recorded runs, one per seed.
    """
    minutes = dict.fromkeys(_duration(row["minutes"]) for row in sorted(rows, key=lambda row: row["minutes"]))
    first, *_, last = [*minutes, *minutes]
    return f"{first} min" if first == last else f"{first} to {last} min"


def _duration(minutes: float) -> str:
    if minutes < 5:
        return f"{minutes:.1f}".removesuffix(".0")
    hours, rest = divmod(round(minutes), 60)
    return f"{minutes:.0f}" if minutes < 100 else f"{hours} h {rest:02}"


def _listed(words: list[str]) -> str:
    """Return words as "a", "a and b" or "a, b and c"."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _flags(words: Sequence[str]) -> set[str]:
    """Return the flags among the words of a command or the lines of a flag file, but for the seed.

    They are as written, but `True` is `true`, and 2e-3 is 0.002.
    """
    flags = (word.lower().partition("=") for word in words if word.startswith("--"))
    return {f"{name}={_number(value)}" for name, _, value in flags if name != "--seed"}


def _number(text: str) -> str:
    try:
        return str(float(text)).removesuffix(".0")
    except ValueError:
        return text


def _name(row: dict[str, Any]) -> str:
    """Return the name that a run stands under; an experiment has been renamed."""
    return Path(row["flagfile"]).stem if "flagfile" in row else find(row["experiment"]).name


def _cell(result: dict[str, Any] | None) -> str:
    return f"{percent(result['accuracy'])} ({interval(result['ci95'])})" if result else "–"


def _mean(results: list[dict[str, Any] | None]) -> str:
    if not all(results):
        return "–"
    each = sorted(one["accuracy"] for one in results)
    return f"**{percent(sum(each) / len(each))}** ({percent(each[0])}–{percent(each[-1])})"


def main() -> None:
    """Add the runs, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", metavar="WORKDIR=MINUTES")
    parser.add_argument("--commit", help="of the code that made the runs")
    parser.add_argument("--flagfile", help="that made the runs; without, they are of a registered experiment")
    flags = parser.parse_args()
    if flags.runs and not flags.commit:
        parser.error("--commit is needed: a figure is of the code that made it")
    rows = read_runs()
    for run in flags.runs:
        workdir, _, minutes = run.rpartition("=")
        new = record(Path(workdir), float(minutes), flags.commit, flags.flagfile)
        rows = [row for row in rows if (_name(row), row["seed"]) != (_name(new), new["seed"])] + [new]
        files.write_text(RUNS, "".join(json.dumps(row) + "\n" for row in rows))
    print(runs_table(read_runs()))


if __name__ == "__main__":
    main()
