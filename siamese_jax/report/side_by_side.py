"""The report of several runs side by side."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from siamese_jax.report.beside import MNIST, on_mnist, small_background, table_2, table_3
from siamese_jax.report.one_shot import BASELINES, OneShot, label, task, without_duplicates
from siamese_jax.report.pictures import COMPARISON_PICTURES, ONE_SHOT, TRAINING, VERIFICATION, section
from siamese_jax.report.sections import ending, losses, rate
from siamese_jax.report.tables import duration, interval, percent, ranges, table, value
from siamese_jax.specs import DESCRIPTION, EvalSpec, Experiment, leaves
from siamese_jax.statistics.intervals import PairedDifference


class Run(NamedTuple):
    """What a run's folder tells of it."""

    name: str
    experiment: Experiment
    results: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]] = ()
    """The lines of metrics.jsonl."""
    trials: Mapping[str, Any] = {}
    """The credit [R, Q] of each trial by protocol, as trials.npz has it; empty for runs from before it was kept."""


class Contestant(NamedTuple):
    """A network, or a comparison that learns nothing: its results, and the credit [R, Q] of its trials, by protocol."""

    name: str
    data: str
    one_shot: OneShot
    trials: Mapping[str, Any]

    @property
    def on_lakes_runs(self) -> bool:
        """Whether it was measured on the official runs of table 2."""
        return self.data == "omniglot" and "official_runs" in self.one_shot


class Paired(NamedTuple):
    """Two contestants on the same trials, and the credit of the first minus that of the second."""

    protocol: str
    first: Contestant
    second: Contestant
    difference: PairedDifference


def contestants(runs: Sequence[Run]) -> list[Contestant]:
    """Returns all whose one-shot accuracy was measured; a run of baselines has several."""
    return [contestant for run in runs for contestant in _contestants(run)]


def comparison(
    runs: Sequence[Run], paired: Sequence[Paired] = (), pictures: Sequence[str] = tuple(COMPARISON_PICTURES)
) -> str:
    """Returns the report of several runs as Markdown; `pictures` are files beside it."""
    everyone = contestants(runs)
    sections = (
        f"# {len(runs)} runs side by side\n\n{_runs(runs)}",
        section(ONE_SHOT, _one_shot(runs, everyone), pictures, COMPARISON_PICTURES),
        section("The same trials, two by two", _paired(paired), pictures, COMPARISON_PICTURES),
        section(VERIFICATION, _verification(runs), pictures, COMPARISON_PICTURES),
        section(TRAINING, _training(runs), pictures, COMPARISON_PICTURES),
        section("What differs between them", _fields(runs), pictures, COMPARISON_PICTURES),
    )
    return "\n\n".join(part.strip("\n") for part in sections if part) + "\n"


def _contestants(run: Run) -> Iterator[Contestant]:
    data = run.results["data"]["name"]
    if one_shot := run.results.get("one_shot"):
        yield Contestant(run.name, data, without_duplicates(one_shot), run.trials)
    for who, one_shot in run.results.get("baselines", {}).items():
        trials = {p: run.trials[f"{who}.{p}"] for p in one_shot if f"{who}.{p}" in run.trials}
        yield Contestant(f"{run.name}: {BASELINES[who]}", data, one_shot, trials)


def _runs(runs: Sequence[Run]) -> str:
    def row(run):
        results = run.results
        return [
            run.name, results["experiment"], str(results["seed"]), results["data"]["name"],
            f"{results['data']['image_side']}×{results['data']['image_side']}", results["data"]["drawer_split"],
        ]  # fmt: skip

    return table(["run", "experiment", "seed", "data", "pixels", "drawer split"], [row(run) for run in runs])


def _one_shot(runs: Sequence[Run], everyone: Sequence[Contestant]) -> str:
    if not everyone:
        return ""
    # A row is one protocol on one data set by the same drawers: what differs in these cannot share a row.
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for one in everyone:
        for protocol, part in one.one_shot.items():
            data = "MNIST" if protocol in MNIST else one.data
            what = (label(one.data, protocol, part), data, _task(part), ranges(part["drawers"]))
            cell = f"{percent(part['accuracy'])} ({interval(part)}; {part['trials']:,})"
            rows.setdefault(what, {})[one.name] = cell
    names = [one.name for one in everyone]
    text = "Accuracy in per cent (its 95 % interval, by bootstrap over whole runs; trials).\n\n"
    text += table(
        ["measured on", "data", "task", "drawers", *names],
        [[*what, *(cells.get(name, "–") for name in names)] for what, cells in rows.items()],
    )
    official = [(f"**{o.name}**", o.one_shot["official_runs"]) for o in everyone if o.on_lakes_runs]
    if official:
        small = any(small_background(run.results["data"]) for run in runs)
        text += "\n\n### Beside the paper's table 2\n\n" + table_2(official, small)
    digits = [row for one in everyone for row in on_mnist(f"**{one.name}**", one.one_shot)]
    if digits:
        text += "\n\n### Beside the paper's table 3\n\n" + table_3(digits)
    return text


def _task(part: Mapping[str, Any]) -> str:
    """Returns a task in words, with how several supports were combined unless it is the usual way."""
    combine = part["card"].get("combine")
    return task(part) if combine in (None, EvalSpec.combine) else f"{task(part)}, {combine.replace('_', ' ')}"


def _paired(paired: Sequence[Paired]) -> str:
    if not paired:
        return ""
    text = (
        "Both answered the very same trials, so that their luck with them is the same, and small differences show. "
        "The difference is the first's accuracy minus the second's; p is how often chance alone would make one as "
        "large if the two were equally good. Neither says what training again with another seed, or other alphabets, "
        "would bring; and of twenty rows with no difference behind them, about one has p below 0.05.\n\n"
    )
    head = [
        "measured on", "task", "first", "second", "difference (points)", "95 % interval", "p", "only first right",
        "only second right",
    ]  # fmt: skip
    return text + table(head, [_paired_row(pair) for pair in paired])


def _paired_row(pair: Paired) -> list[str]:
    part, difference = pair.first.one_shot[pair.protocol], pair.difference
    low, high = difference.ci95
    p = difference.p_value
    return [
        label(pair.first.data, pair.protocol, part),
        _task(part),
        pair.first.name,
        pair.second.name,
        f"{100 * difference.difference:+.2f}",
        f"{100 * low:+.1f} to {100 * high:+.1f}",
        f"{p:.3f}" if p >= 0.001 else "< 0.001",
        f"{difference.only_first:,}",
        f"{difference.only_second:,}",
    ]


def _verification(runs: Sequence[Run]) -> str:
    rows = [
        [
            run.name, name, ranges(run.results["data"]["sets"][name]["drawers"]), f"{part['pairs']:,}",
            percent(part["accuracy"]), interval(part), f"{part['threshold']:#.3g}",
        ]
        for run in runs
        for name, part in run.results.get("verification", {}).items()
    ]  # fmt: skip
    if not rows:
        return ""
    head = ["run", "set", "drawers", "pairs", "accuracy (%)", "95 % interval (%)", "threshold on p(same)"]
    note = "Intervals are by bootstrap over whole alphabets; thresholds were chosen on validation."
    return f"{table(head, rows)}\n\n{note}"


def _training(runs: Sequence[Run]) -> str:
    rows = [_training_row(run) for run in runs if run.results.get("training")]
    head = [
        "run", "epochs", "steps", "best epoch", "time", "seconds", "pairs a second", "last loss", "backend",
        "how it ended",
    ]  # fmt: skip
    return table(head, rows) if rows else ""


def _training_row(run: Run) -> list[str]:
    training, machine = run.results["training"], run.results.get("environment")
    a_second, loss = rate(training), losses(run.rows, run.experiment.loss.name)
    return [
        run.name,
        f"{training['epochs']:,}",
        f"{training['steps']:,}",
        f"{training['best_epoch']}",
        duration(training["seconds"]),
        f"{training['seconds']:,.0f}",
        f"{a_second:,.0f}" if a_second else "–",
        f"{loss[-1]:.3f}" if loss else "–",
        f"{machine['backend']} ({machine['cores']} CPU cores)" if machine else "–",
        ending(training),
    ]


def _fields(runs: Sequence[Run]) -> str:
    fields = [dict(leaves(run.experiment)) for run in runs]
    names = dict.fromkeys(itertools.chain.from_iterable(fields))
    rows = [
        [f"`{name}`", *(value(of[name]) if name in of else "–" for of in fields)]
        for name in names
        if name not in DESCRIPTION and len({repr(of.get(name)) for of in fields}) > 1
    ]
    if not rows:
        return "Nothing: every field of their experiments is the same."
    return "Every other field is the same.\n\n" + table(["field", *(run.name for run in runs)], rows)
