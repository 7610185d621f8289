"""The report of one run: its sections, in order. A section is left out if its part of the results is missing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scipy.special import expit

from siamese_jax.data import source_of
from siamese_jax.learning.health import diagnosis, loss_of_guessing
from siamese_jax.learning.losses import TRAIN_P_SAME
from siamese_jax.report import one_shot
from siamese_jax.report.beside import table_1
from siamese_jax.report.decisions import decisions
from siamese_jax.report.departures import choices, differences
from siamese_jax.report.headline import headline
from siamese_jax.report.markdown import as_text, markdown, with_spaces
from siamese_jax.report.pictures import (
    DECISIONS,
    HEADLINE,
    NETWORK,
    ONE_SHOT,
    PICTURES,
    TRAINING,
    VERIFICATION,
    section,
    shown,
)
from siamese_jax.report.tables import bullets, duration, interval, percent, ranges, sentence, table
from siamese_jax.results import (
    DataDescription,
    Environment,
    RunResults,
    TrainingSummary,
    Verification,
    VerificationResult,
    plural,
)
from siamese_jax.specs import Experiment, PaperSGD

ENDINGS = {
    "patience": "stopped because validation accuracy no longer rose",
    "max_epochs": "stopped after the last epoch allowed",
    "not finished": "**training is not finished**: these are the results so far",
}
"""Why training ended, in words."""


def report(
    experiment: Experiment,
    results: RunResults,
    rows: Sequence[Mapping[str, Any]] = (),
    pictures: Sequence[str] = tuple(PICTURES),
) -> str:
    """Return the report of a run as Markdown.

    Args:
      experiment: What was run.
      results: What was measured.
      rows: The lines of metrics.jsonl.
      pictures: The picture files beside the report. Each is shown in its section.
    """
    experiment, results, rows = as_text(experiment), as_text(results), as_text(list(rows))
    words = results.data.words
    sections = (
        _title(experiment, results),
        *shown(HEADLINE, pictures, words),
        _about(experiment, results),
        section(ONE_SHOT, one_shot.network(results), pictures, words),
        section("Untrained baselines", one_shot.baselines(results), pictures, words),
        section(VERIFICATION, _verification(experiment, results), pictures, words),
        section(DECISIONS, decisions(results.decisions, words), pictures, words),
        section(TRAINING, _training(experiment, results.training, rows), pictures, words),
        section(NETWORK, "", pictures, words),
        section("Data", _sets(results.data), pictures, words),
        _departures(experiment) if experiment.method == "siamese" else "",
        f"## How to repeat this run\n\n{_command(results.command)}\n\n{_environment(results.environment)}",
    )
    return markdown("\n\n".join(part.strip("\n") for part in sections if part) + "\n")


def losses(rows: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """Return the training losses in the lines of metrics.jsonl.

    Args:
      rows: The lines.
      name: The name of the loss, as in `LossSpec`.
    """
    return [row[name] for row in rows if row.get(name) is not None]


def threshold(part: VerificationResult, experiment: Experiment) -> str:
    """Format the threshold as text: a logit, and in brackets p(same) if the network was trained on p(same).

    Args:
      part: Verification of a set.
      experiment: What was trained.
    """
    logit = f"{part.threshold:.2f}"
    return f"{logit} ({expit(part.threshold):#.3g})" if experiment.loss.name in TRAIN_P_SAME else logit


def _title(experiment: Experiment, results: RunResults) -> str:
    summary = sentence(experiment.summary)
    parts = [f"# {results.experiment}", f"{summary[:1].upper()}{summary[1:]}", headline(results)]
    return "\n\n".join(filter(None, parts))


def _about(experiment: Experiment, results: RunResults) -> str:
    chosen = (
        "The epoch whose parameters were kept and the verification thresholds were chosen on validation. Nothing was "
        "chosen on test."
        if experiment.method == "siamese"
        else "Nothing was trained, and nothing was chosen."
    )
    side = results.data.image_side
    facts = [
        f"Seed: {results.seed}",
        f"Data: {source_of(results.data.name).description}",
        f"Images: {side}×{side} pixels",
    ]
    return f"{bullets(facts)}\n\n{chosen}"


def _verification(experiment: Experiment, results: RunResults) -> str:
    if results.verification is None:
        return ""
    words, test = results.data.words, results.verification.test
    p_same = " (p(same))" if experiment.loss.name in TRAIN_P_SAME else ""
    text = f"How often is it decided rightly whether two images show the same {words.class_}?\n\n" + table(
        ["set", "pairs", "accuracy (%)", "95 % interval (%)", f"threshold: logit{p_same}"],
        [
            [name, f"{part.pairs:,}", percent(part.accuracy), interval(part.ci95), threshold(part, experiment)]
            for name, part in by_set(results.verification).items()
        ],
    )
    text += (
        f"\n\nIntervals are by bootstrap over whole {plural(words.group)}. The threshold is the best on validation.\n\n"
        "Other thresholds trade false accepts against true ones. They were chosen on validation for the given rates of "
        f"false accepts, and applied to test.\n\n{_errors(test)}"
    )
    if source_of(results.data.name).in_paper:
        text += "\n\n### Beside the paper's table 1\n\nTest accuracy in per cent; this run is in the first row. The "
        text += f"published figures were read in secondary copies of the paper.\n\n{table_1(experiment, test)}"
    return text


def by_set(verification: Verification) -> dict[str, VerificationResult]:
    """Return verification by the name of the set."""
    return {"validation": verification.validation, "test": verification.test}


def _errors(test: VerificationResult) -> str:
    rows = [
        ["area under the ROC curve", percent(test.auc), interval(test.auc_ci95)],
        ["equal error rate", percent(test.equal_error_rate), interval(test.equal_error_rate_ci95)],
    ]
    for point in test.operating_points:
        given = f"{100 * point.false_accept_rate:g} % false accepts"
        false, true = point.measured_false_accept_rate, point.true_accept_rate
        rows.append(
            [f"{given}: measured false accepts", percent(false), interval(point.measured_false_accept_rate_ci95)]
        )
        rows.append([f"{given}: true accepts", percent(true), interval(point.true_accept_rate_ci95)])
    return table(["on test", "measured (%)", "95 % interval (%)"], rows)


def _training(experiment: Experiment, training: TrainingSummary | None, rows: Sequence[Mapping[str, Any]]) -> str:
    if training is None:
        return ""
    epochs, speed, loss = training.epochs, training.pairs_per_second, losses(rows, experiment.loss.name)
    lines = [
        f"{epochs:,} epoch{'s'[: epochs != 1]}, {training.steps:,} steps; {ENDINGS[training.stopped_by]}",
        f"best epoch on validation: {training.best_epoch}; its parameters were kept",
        f"{duration(training.seconds)} of training" + (f", {speed:,.0f} pairs per second" if speed else ""),
    ]
    if loss:
        name, guessing = experiment.loss.name.replace("_", "-"), loss_of_guessing(experiment, rows)
        chance = f" (chance level {guessing:.3f})" if guessing is not None else ""
        lines.append(f"training loss ({name}): first {loss[0]:.3f}, last {loss[-1]:.3f}{chance}")
    return bullets(lines) + _health(experiment, rows)


def _health(experiment: Experiment, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return what the first and the last look at the network found; "" if training never looked."""
    looks = [row for row in rows if "saturated" in row]
    if not looks:
        return ""

    def number(value: float | None, form: str) -> str:
        return "–" if value is None else format(value, form)  # null stands for a value that was not finite

    def of_layers(look: Mapping[str, Any], prefix: str, pick: Callable[..., str], form: str) -> str:
        found = {name.removeprefix(prefix): look[name] for name in look if name.startswith(prefix)}
        found = {layer: value for layer, value in found.items() if value is not None}
        return f"{format(found[layer := pick(found, key=found.get)], form)} ({layer})" if found else "–"

    def column(look: Mapping[str, Any]) -> list[str]:
        return [
            number(look.get("saturated"), ".1%") if experiment.network.tower.ends_in_sigmoid else "–",
            number(look.get("embedding_spread"), ".2g"),
            number(look.get("score_spread"), ".2g"),
            number(look.get("score_gap"), ".2g"),
            of_layers(look, "dead_filters/", max, ".0%"),
            of_layers(look, "update/", min, ".1e"),
            of_layers(look, "update/", max, ".1e"),
        ]

    what = [
        "saturated sigmoids of the embedding (beyond ±4)",
        "standard deviation of a unit between classes",
        "standard deviation of the logits of pairs",
        "mean logit of “same” minus that of “different”",
        "largest share of dead filters",
        "smallest update of a layer, relative to its weights",
        "largest update of a layer, relative to its weights",
    ]
    first, *_, final = looks if len(looks) > 1 else looks * 2
    head = ["health", f"step {first['step']:,}", f"step {final['step']:,}"]
    lines = table(head, list(zip(what, column(first), column(final), strict=True)))
    last = _epoch_loss(rows, experiment.loss.name, final["epoch"])
    of_epoch = [row for row in rows if row["epoch"] == final["epoch"]]
    said = diagnosis(experiment, last, final, of_epoch) if last is not None and final["step"] else ""
    return f"\n\n{lines}" + (f"\n\n**{said}**" if said else "")


def _epoch_loss(rows: Sequence[Mapping[str, Any]], name: str, epoch: int) -> float | None:
    """Return the mean loss over the steps of an epoch; a line holds the mean over the steps since the line before."""
    total, steps, before = 0.0, 0, 0
    for row in rows:
        if row.get(name) is None:
            continue
        if row["epoch"] == epoch:
            total, steps = total + (row["step"] - before) * row[name], steps + row["step"] - before
        before = row["step"]
    return total / steps if steps else None


def _sets(data: DataDescription) -> str:
    words = data.words
    groups, classes, authors = (plural(word) for word in (words.group, words.class_, words.author))
    sizes = table(
        ["set", groups, classes, "images", authors],
        [
            [name, str(len(one.groups)), f"{one.classes:,}", f"{one.images:,}", ranges(one.authors)]
            for name, one in data.sets.items()
        ],
    )
    names = bullets(f"{name}: {with_spaces(', '.join(one.groups))}" for name, one in data.sets.items())
    apart = [words.class_]
    if _disjoint([one.groups for one in data.sets.values()]):
        apart = [words.group]
    known = any(one.authors for one in data.sets.values())
    if known and _disjoint([one.authors for one in data.sets.values()]):
        apart.append(words.author)
    about = f"No {' and no '.join(apart)} is in two sets"
    if not known:
        about += f". The {authors} are not known."
    elif data.split == "none":
        about += "."
    else:
        about += f" (`{data.split}` split). The {authors} of the official runs are listed with their result."
    return f"{about}\n\n{sizes}\n\n{names}"


def _disjoint(parts: Sequence[Sequence[str | int]]) -> bool:
    """Return whether nothing is in two of the parts."""
    return len(set().union(*parts)) == sum(len(set(part)) for part in parts)


def _departures(experiment: Experiment) -> str:
    sentences = differences(experiment)
    said = bullets(sentences) if sentences else "Nothing differs from what the paper states."
    text = f"## Differences from the paper\n\n{said}\n\n"
    text += f"## Choices where the paper is silent\n\n{bullets(choices(experiment))}"
    if isinstance(experiment.optimizer, PaperSGD):
        head = ["layer", "learning rate", "momentum", "L2 penalty"]
        layers = experiment.optimizer.layers.items()
        text += "\n\n" + table(
            head, [[name, f"{s.learning_rate:g}", f"{s.momentum:g}", f"{s.l2:g}"] for name, s in layers]
        )
    return text


def _command(command: str) -> str:
    """Return a command as a code block; an experiment that is not registered has none."""
    return (
        f"    {command}"
        if command
        else "There is no command for it. The fields of its experiment are in experiment.json."
    )


def _environment(e: Environment) -> str:
    return (
        f"This run: siamese_jax {e.siamese_jax}, JAX {e.jax}{', 64-bit' if e.x64 else ''}, Python {e.python}, backend "
        f"{e.backend} ({e.devices} × {e.device}; {e.cores} CPU cores).\n"
    )
