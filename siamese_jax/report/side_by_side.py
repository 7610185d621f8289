"""The report of several runs side by side."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from siamese_jax.data import source_of
from siamese_jax.report.beside import MNIST, on_mnist, small_background, table_2, table_3
from siamese_jax.report.headline import MAIN
from siamese_jax.report.markdown import as_text, markdown
from siamese_jax.report.one_shot import ABOVE, BASELINES, label
from siamese_jax.report.pictures import (
    COMPARISON_PICTURES,
    HEADLINE,
    ONE_SHOT,
    TRAINING,
    VERIFICATION,
    section,
    shown,
)
from siamese_jax.report.sections import ENDINGS, by_set, losses, threshold
from siamese_jax.report.tables import duration, interval, percent, ranges, table, value
from siamese_jax.results import OneShot, OneShotResult, RunResults, TrainingSummary, Words, plural
from siamese_jax.specs import DESCRIPTION, EvalSpec, Experiment, leaves
from siamese_jax.statistics.intervals import PairedDifference

if TYPE_CHECKING:
    import numpy as np


class Run(NamedTuple):
    """What a run has left in its folder.

    Attributes:
      name: Its name in the report.
      experiment: What was run.
      results: What was measured.
      rows: The lines of metrics.jsonl.
      trials: The credit [R, Q] of each trial, as `storage.results_file` writes it.
    """

    name: str
    experiment: Experiment
    results: RunResults
    rows: Sequence[Mapping[str, Any]]
    trials: "Mapping[str, np.ndarray]"


class Contestant(NamedTuple):
    """A network or an untrained baseline, with its results and the credit [R, Q] of its trials by protocol."""

    name: str
    data: str
    one_shot: OneShot
    trials: "Mapping[str, np.ndarray]"

    @property
    def on_lakes_runs(self) -> bool:
        """Whether it was measured on the official runs of table 2."""
        return source_of(self.data).in_paper and "official_runs" in self.one_shot


class Paired(NamedTuple):
    """Two contestants on the same trials, and the credit of the first minus that of the second."""

    protocol: str
    first: Contestant
    second: Contestant
    difference: PairedDifference


def contestants(runs: Sequence[Run]) -> list[Contestant]:
    """Return everyone whose one-shot accuracy was measured; a run of baselines has several."""
    return [contestant for run in runs for contestant in _contestants(run)]


def comparison(
    runs: Sequence[Run], paired: Sequence[Paired] = (), pictures: Sequence[str] = tuple(COMPARISON_PICTURES)
) -> str:
    """Return the report of several runs as Markdown.

    Args:
      runs: The runs.
      paired: Their differences on the same trials.
      pictures: The picture files beside the report.
    """
    runs, paired = as_text(list(runs)), as_text(list(paired))
    everyone, words = contestants(runs), _words(runs)
    sections = (
        f"# {len(runs)} runs side by side\n\n{_headline(everyone)}",
        *shown(HEADLINE, pictures, words, COMPARISON_PICTURES),
        section("Runs", _runs(runs), pictures, words, COMPARISON_PICTURES),
        section(ONE_SHOT, _one_shot(runs, everyone), pictures, words, COMPARISON_PICTURES),
        section("Differences on the same trials", _paired(paired), pictures, words, COMPARISON_PICTURES),
        section(VERIFICATION, _verification(runs), pictures, words, COMPARISON_PICTURES),
        section(TRAINING, _training(runs), pictures, words, COMPARISON_PICTURES),
        section("Fields that differ", _fields(runs), pictures, words, COMPARISON_PICTURES),
    )
    return markdown("\n\n".join(part.strip("\n") for part in sections if part) + "\n")


def _contestants(run: Run) -> Iterator[Contestant]:
    data = run.results.data.name
    if run.results.one_shot:
        yield Contestant(run.name, data, run.results.one_shot, run.trials)
    for who, one_shot in run.results.baselines.items():
        trials = {p: run.trials[f"{who}.{p}"] for p in one_shot if f"{who}.{p}" in run.trials}
        yield Contestant(f"{run.name}: {BASELINES.get(who, who)}", data, one_shot, trials)


def _headline(everyone: Sequence[Contestant]) -> str:
    """Return the accuracies of all contestants on the main trials that they share, in the order of the tables."""
    for protocol in MAIN:
        trials = {_trials_id(one, protocol) for one in everyone}
        if len(trials) != 1 or None in trials:
            continue
        results = [(one.name, one.one_shot[protocol]) for one in everyone]
        accuracies = "; ".join(f"{who} **{percent(of.accuracy)} %** ({interval(of.ci95)})" for who, of in results)
        card = results[0][1].card
        what = label(everyone[0].data, protocol, results[0][1])
        return f"On the same {card.trials:,} trials ({card.task}, {what}; 95 % intervals): {accuracies}."
    return "The runs share no trials: compare their accuracies by their intervals."


def _trials_id(one: Contestant, protocol: str) -> str | None:
    return one.one_shot[protocol].card.trials_id if protocol in one.one_shot else None


def _runs(runs: Sequence[Run]) -> str:
    def row(run: Run) -> list[str]:
        results, data = run.results, run.results.data
        return [
            run.name, results.experiment, str(results.seed), data.name, f"{data.image_side}×{data.image_side}",
            data.split,
        ]  # fmt: skip

    return table(["run", "experiment", "seed", "data", "pixels", "split"], [row(run) for run in runs])


def _one_shot(runs: Sequence[Run], everyone: Sequence[Contestant]) -> str:
    if not everyone:
        return ""
    # One row is one protocol on one data source and the same authors. Whatever differs in these needs a row of its own.
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for one in everyone:
        for protocol, part in one.one_shot.items():
            data = "MNIST" if protocol in MNIST else one.data
            what = (label(one.data, protocol, part), data, _task(part), ranges(part.card.authors))
            cell = f"{percent(part.accuracy)} ({interval(part.ci95)}; {part.card.trials:,})"
            rows.setdefault(what, {})[one.name] = cell
    names = [one.name for one in everyone]
    text = "Accuracy in per cent (95 % interval by bootstrap over whole episodes; number of trials).\n\n"
    text += table(
        ["measured on", "data", "task", plural(_words(runs).author), *names],
        [[*what, *(cells.get(name, "–") for name in names)] for what, cells in rows.items()],
    )
    official = [(f"**{o.name}**", o.one_shot["official_runs"]) for o in everyone if o.on_lakes_runs]
    if official:
        small = any(small_background(run.results.data) for run in runs)
        text += f"\n\n### Beside the paper's table 2\n\n{ABOVE}\n\n" + table_2(official, small)
    digits = [row for one in everyone for row in on_mnist(f"**{one.name}**", one.one_shot)]
    if digits:
        text += f"\n\n### Beside the paper's table 3\n\n{ABOVE}\n\n" + table_3(digits)
    return text


def _words(runs: Sequence[Run]) -> Words:
    """Return the words of the runs' data source, or general ones if they differ."""
    found = {run.results.data.words for run in runs}
    return found.pop() if len(found) == 1 else Words(group="group", class_="class", author="author")


def _task(part: OneShotResult) -> str:
    """Return a task in words, with the way to combine several supports unless it is the default."""
    combine = part.card.combine
    return part.card.task if combine in (None, EvalSpec.combine) else f"{part.card.task}, {combine.replace('_', ' ')}"


def _paired(paired: Sequence[Paired]) -> str:
    if not paired:
        return ""
    text = (
        "Both answered the same trials, so small differences can be seen. The difference is the accuracy of the first "
        "minus that of the second. p is the probability of a difference at least as large if both were equally good. "
        "Interval and p cover the choice of trials, not the training seed or other groups. Of twenty rows without a "
        "real difference, about one has p below 0.05.\n\n"
    )
    head = [
        "measured on", "task", "first", "second", "the first is", "95 % interval (points)", "p", "only first right",
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
        _points(difference.difference),
        f"{100 * low:+.1f} to {100 * high:+.1f}".replace("-", "−"),
        f"{p:.3f}" if p >= 0.001 else "< 0.001",
        f"{difference.only_first:,}",
        f"{difference.only_second:,}",
    ]


def _points(difference: float) -> str:
    """Return a difference of accuracies in words."""
    text = f"{100 * abs(difference):.2f}"
    return "equal" if float(text) == 0 else f"{text} points {'higher' if difference > 0 else 'lower'}"


def _verification(runs: Sequence[Run]) -> str:
    rows = [
        [
            run.name, name, ranges(run.results.data.sets[name].authors), f"{part.pairs:,}", percent(part.accuracy),
            interval(part.ci95), threshold(part, run.experiment),
        ]
        for run in runs
        if run.results.verification
        for name, part in by_set(run.results.verification).items()
    ]  # fmt: skip
    if not rows:
        return ""
    words = _words(runs)
    head = [
        "run", "set", plural(words.author), "pairs", "accuracy (%)", "95 % interval (%)", "threshold: logit (p(same))",
    ]  # fmt: skip
    note = f"Intervals are by bootstrap over whole {plural(words.group)}. Thresholds were chosen on validation."
    return f"{table(head, rows)}\n\n{note}"


def _training(runs: Sequence[Run]) -> str:
    rows = [_training_row(run, training) for run in runs if (training := run.results.training)]
    head = [
        "run", "epochs", "steps", "best epoch", "time", "seconds", "pairs per second", "last loss", "backend",
        "why it ended",
    ]  # fmt: skip
    return table(head, rows) if rows else ""


def _training_row(run: Run, training: TrainingSummary) -> list[str]:
    machine, speed = run.results.environment, training.pairs_per_second
    loss = losses(run.rows, run.experiment.loss.name)
    return [
        run.name,
        f"{training.epochs:,}",
        f"{training.steps:,}",
        f"{training.best_epoch}",
        duration(training.seconds),
        f"{training.seconds:,.0f}",
        f"{speed:,.0f}" if speed else "–",
        f"{loss[-1]:.3f}" if loss else "–",
        f"{machine.backend} ({machine.cores} CPU cores)",
        ENDINGS[training.stopped_by],
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
        return "All fields of their experiments are equal."
    return "All other fields are equal.\n\n" + table(["field", *(run.name for run in runs)], rows)
