"""The findings of a study, for people and programs: best.flags, trials.csv, Optuna's pictures, and a report."""

import csv
import io
import itertools
import statistics
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from siamese_jax import plots
from siamese_jax.experiments import all_fields, as_flags, find
from siamese_jax.printable import printable
from siamese_jax.report import page
from siamese_jax.report.markdown import as_text, markdown
from siamese_jax.report.tables import bullets, duration, interval, percent, table, value
from siamese_jax.results import OneShotResult, RunResults
from siamese_jax.search.study import CANDIDATES, plan_of, reason_of
from siamese_jax.specs import Experiment, with_values
from siamese_jax.storage import files
from siamese_jax.storage.results_file import read_results

PICTURES = {
    "history.png": ("plot_optimization_history", "Accuracy of each candidate, and the best so far"),
    "importances.png": ("plot_param_importances", "How much of the accuracy's variance each field explains"),
    "parallel.png": (
        "plot_parallel_coordinate",
        "All completed candidates, one line each, in the fields that matter most",
    ),
    "slices.png": ("plot_slice", "Accuracy by each of the fields that matter most"),
}
"""Files; for each the function of Optuna that plots it, and what it shows."""

MOST = 6
"""Fields in a picture that cannot show all."""
OBJECTIVE = "validation accuracy"
DPI = 110
SHOWN = 10
"""Candidates in the report's table; all are in trials.csv."""


def best_trial(study: optuna.Study) -> FrozenTrial | None:
    """Return the completed trial with the highest accuracy, the first of equals; None where none was completed."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return max(trials, key=lambda trial: (trial.value, -trial.number), default=None)


def winner_of(study: optuna.Study) -> Experiment | None:
    """Return the best trial's experiment, for as many epochs as the base has; None where no trial was completed."""
    best, plan = best_trial(study), plan_of(study)
    if best is None or not plan:
        return None
    winner = find(plan["experiment"])
    base = {field: value for field, value in plan.items() if field in all_fields()}
    return with_values(with_values(winner, base), best.params)


def write_findings(study: optuna.Study, folder: Path) -> None:
    """Write best.flags, trials.csv, the pictures, report.md and report.html into `folder`.

    The results of the winner are read from its folders (see `winner_folder`), if they are there. Tables are written
    before anything is drawn.
    """
    trials, best, winner = study.get_trials(deepcopy=False), best_trial(study), winner_of(study)
    files.write_text(folder / CANDIDATES, as_csv(trials))
    if best is not None and winner is not None:
        files.write_text(folder / "best.flags", as_flag_file(study.study_name, best, winner))
    drawn, runs = draw(study, folder), [] if best is None else read_winner(folder, best.number)
    text = report(study.study_name, plan_of(study), trials, best, drawn, runs)
    files.write_text(folder / "report.md", text)
    files.write_text(folder / "report.html", page(text, folder, drawn))


def as_flag_file(name: str, best: FrozenTrial, winner: Experiment) -> str:
    """Return the flag file that trains the winner."""
    about = f"# The winner of the study {name}: candidate {best.number}, {percent(_objective(best))} % on validation."
    return "\n".join(map(printable, [about, *as_flags(winner)])) + "\n"


def as_csv(trials: Sequence[FrozenTrial]) -> str:
    """Return all trials as CSV, one per line, with state, accuracy, epochs, seconds, reason and searched fields."""
    fields = sorted({field for trial in trials for field in trial.params})
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    writer.writerow(["trial", "state", "accuracy", "epochs", "seconds", "seconds_to_first_step", "reason", *fields])
    for trial in trials:
        noted = [trial.user_attrs.get(name, "") for name in ("seconds", "seconds_to_first_step")]
        writer.writerow(
            [
                trial.number,
                _state(trial),
                "" if _accuracy(trial) is None else _accuracy(trial),
                max(trial.intermediate_values, default=0),
                *noted,
                printable(reason_of(trial)),
                *(trial.params.get(field, "") for field in fields),
            ]
        )
    return content.getvalue()


def draw(study: optuna.Study, folder: Path) -> list[str]:
    """Plot PICTURES into `folder`; return the names of those that could be plotted."""
    import matplotlib.pyplot as plt

    plt.switch_backend("Agg")
    drawn: list[str] = []
    study = _with_short_names(study)
    enough = len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) > 1
    for name, (function, _) in PICTURES.items() if enough else ():
        with warnings.catch_warnings(), plt.style.context("default"):
            warnings.simplefilter(
                "ignore"
            )  # Optuna warns that plots are experimental, and matplotlib that axes have many labels
            some = {} if name in ("history.png", "importances.png") else {"params": _most_important(study)}
            try:
                make = getattr(optuna.visualization.matplotlib, function)
                axes = make(study, **some, **({} if name == "importances.png" else {"target_name": OBJECTIVE}))
            except (ValueError, RuntimeError, ZeroDivisionError):  # all trials are alike, or a field has only one value
                continue
            figure = getattr(axes, "figure", None) or axes.flat[0].figure
            figure.set_size_inches(3.0 * len(figure.axes) if name == "slices.png" else 9.0, 5.0)
            figure.set_dpi(DPI)
            plots.save(figure, folder / name, fit=True)
            plt.close(figure)
            drawn.append(name)
    for name in PICTURES.keys() - drawn:  # left by an earlier state of the study
        files.remove(folder / name)
    return drawn


def _with_short_names(study: optuna.Study) -> optuna.Study:
    """Return a copy in memory whose fields are named without their common prefix: labels have little room."""
    trials = study.get_trials()
    parents = {tuple(field.split(".")[:-1]) for trial in trials for field in trial.params}
    common = len(list(itertools.takewhile(lambda words: len(set(words)) == 1, zip(*parents, strict=False))))
    for trial in trials:
        short = {field: ".".join(field.split(".")[common:]) for field in trial.params}
        trial.params = {short[field]: found for field, found in trial.params.items()}
        trial.distributions = {short[field]: of_field for field, of_field in trial.distributions.items()}
    copy = optuna.create_study(direction="maximize")
    copy.add_trials(trials)
    return copy


def _most_important(study: optuna.Study) -> list[str]:
    """Return the searched fields that explain most, at most MOST; the first ones where that cannot be computed."""
    try:
        return list(optuna.importance.get_param_importances(study))[:MOST]
    except (ValueError, RuntimeError, ZeroDivisionError):
        best = best_trial(study)
        return sorted(best.params)[:MOST] if best else []


def winner_folder(folder: Path, trial: int, seed: int) -> Path:
    """Return where the winner (the number of a trial) is trained with a seed. Each winner has its own folders."""
    return folder / "winner" / f"trial{trial}-seed{seed}"


def read_winner(folder: Path, trial: int) -> list[RunResults]:
    """Return the results of those runs of the winner that have any, by seed."""
    found = [read_results(path.parent) for path in (folder / "winner").glob(f"trial{trial}-seed*/results.json")]
    return sorted(found, key=lambda results: results.seed)


def report(
    name: str,
    plan: Mapping[str, Any],
    trials: Sequence[FrozenTrial],
    best: FrozenTrial | None,
    pictures: Sequence[str],
    winner: Sequence[RunResults],
) -> str:
    """Return the report of a study as Markdown.

    Args:
      name: of the study.
      plan: as `plan.described` returns it.
      trials: all of the study's trials.
      best: the best of them, if any was completed.
      pictures: the files of PICTURES that are in the folder.
      winner: results of the winner's runs.
    """
    name, plan = as_text(name), as_text(plan)
    failed = [trial for trial in trials if reason_of(trial)]
    others = [trial for trial in trials if not reason_of(trial)]
    counts = {state: sum(trial.state is state for trial in others) for state in TrialState}
    again = counts[TrialState.FAIL]
    seconds = sum(trial.user_attrs.get("seconds", 0.0) / trial.user_attrs.get("together", 1) for trial in trials)
    facts = [
        f"base: `{plan.get('experiment')}`, seed {plan.get('seed')}",
        f"sampler `{plan.get('sampler')}`, pruner `{plan.get('pruner')}`",
        f"{counts[TrialState.COMPLETE]} candidates completed, {counts[TrialState.PRUNED]} pruned, {len(failed)} failed"
        + (f", {again} started again because their worker died or was stopped" if again else "")
        + (f", {counts[TrialState.RUNNING]} under way" if counts[TrialState.RUNNING] else ""),
        f"{duration(seconds)} of training, summed over candidates",
        *_spread(trials),
    ]
    parts = [
        f"# {name}\n\n{bullets(facts)}\n\nThe objective is the highest one-shot accuracy on validation trials at any "
        "epoch (paper, section 3.2). No test alphabet was loaded for it. An accuracy that is the best of many "
        "flatters: what the winner is worth is said by its runs on test alone.",
        "## What was searched\n\n" + table(["field", "values"], [_searched(text) for text in plan.get("search", [])]),
        "## The winner\n\n" + _winner(best, winner),
        "## Candidates\n\n" + _trials(trials),
    ]
    shown = [f"{caption}:\n\n![{caption}]({file})" for file, (_, caption) in PICTURES.items() if file in pictures]
    parts += ["\n\n".join(["## Pictures", *shown])] if shown else []
    if failed:
        rows = [[str(trial.number), as_text(reason_of(trial))] for trial in failed]
        parts.append("## Candidates that failed\n\n" + table(["candidate", "reason"], rows))
    return markdown("\n\n".join(parts) + "\n")


def _spread(trials: Sequence[FrozenTrial]) -> list[str]:
    accuracies = [_objective(trial) for trial in trials if trial.state is TrialState.COMPLETE]
    if len(accuracies) < 2:
        return []
    return [
        f"completed candidates: mean {percent(statistics.mean(accuracies))} %, standard deviation "
        f"{percent(statistics.stdev(accuracies))}, from {percent(min(accuracies))} to {percent(max(accuracies))} %"
    ]


def _searched(text: str) -> list[str]:
    field, _, space = text.partition("=")
    return [f"`{field}`", f"`{space}`"]


def _winner(best: FrozenTrial | None, runs: Sequence[RunResults]) -> str:
    if best is None:
        return "No trial has been completed."
    fields = table(["field", "value"], [[f"`{field}`", value(found)] for field, found in as_text(best.params).items()])
    reached = percent(_objective(best))
    text = f"Candidate {best.number}, {reached} % on validation; `best.flags` trains it.\n\n{fields}\n\n"
    if not runs:
        return text + "In this folder it has not been trained again, nor measured on test."
    rows = [
        [
            str(run.seed),
            *(_cell(run.one_shot.get(protocol)) for protocol in ("official_runs", "within_alphabet", "validation")),
        ]
        for run in runs
    ]
    head = ["seed", "official runs", "within alphabet", "validation"]
    return (
        text
        + "It was trained again from the start, for as long as the experiment says, and measured on test once a seed "
        + f"(per cent; 95 % interval; trials):\n\n{table(head, rows)}"
    )


def _cell(result: OneShotResult | None) -> str:
    return f"{percent(result.accuracy)} ({interval(result.ci95)}; {result.card.trials:,})" if result else "–"


def _trials(trials: Sequence[FrozenTrial]) -> str:
    measured = [(trial, accuracy) for trial in trials if (accuracy := _accuracy(trial)) is not None]
    ranked = sorted(measured, key=lambda pair: pair[1], reverse=True)[:SHOWN]
    params = {trial.number: as_text(trial.params) for trial, _ in ranked}
    fields = sorted({field for found in params.values() for field in found})
    rows = [
        [
            str(trial.number),
            _state(trial),
            percent(accuracy),
            str(max(trial.intermediate_values, default=0)),
            *(value(params[trial.number][field]) if field in params[trial.number] else "–" for field in fields),
        ]
        for trial, accuracy in ranked
    ]
    shown = f"The best {len(rows)}; all are in `trials.csv`." if len(ranked) < len(trials) else "All of them."
    head = ["candidate", "state", "accuracy (%)", "epochs", *(f"`{_short(field)}`" for field in fields)]
    return f"{shown}\n\n{table(head, rows)}" if rows else "None has been validated yet."


def _short(field: str) -> str:
    return field.removeprefix("optimizer.").removeprefix("layers.").removeprefix("network.")


def _state(trial: FrozenTrial) -> str:
    if trial.state is TrialState.FAIL and not reason_of(trial):
        return "started again"
    return "failed" if reason_of(trial) else trial.state.name.lower()


def _objective(trial: FrozenTrial) -> float:
    """Return the accuracy that a completed trial reported at its end."""
    if trial.value is None:
        raise ValueError(f"candidate {trial.number} is not completed")
    return trial.value


def _accuracy(trial: FrozenTrial) -> float | None:
    """Return the highest accuracy at any epoch, of a pruned trial, too."""
    return max(trial.intermediate_values.values(), default=None)
