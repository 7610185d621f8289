"""The sections on one-shot recognition: of the network, and of untrained baselines."""

import re
from collections.abc import Mapping, Sequence

from siamese_jax.data import source_of
from siamese_jax.report.beside import on_mnist, small_background, table_2, table_3
from siamese_jax.report.tables import bullets, interval, percent, ranges, table
from siamese_jax.results import DataDescription, OneShot, OneShotResult, RunResults, plural

Rows = Sequence[tuple[str, OneShotResult]]
"""What was measured on, in words, and the result."""

BASELINES = {
    "nearest_neighbour": "nearest neighbour on pixels",
    "modified_hausdorff": "modified Hausdorff distance",
}
COMBINE = {
    "mean_score": "A class with several supports scores the mean of their scores.",
    "best_score": "A class with several supports scores the best of their scores.",
    "mean_embedding": "A class with several supports scores by the mean of their embeddings.",
}
"""The ways to combine several supports, in words."""
ABOVE = "What was measured here stands above the published figures."
"""Said above a table of both."""
GRID = re.compile(r"\d+_way_\d+_shot")
"""The protocols that differ only in ways and shots."""


def network(results: RunResults) -> str:
    """Return what the network reached under each protocol, beside the paper's tables 2 and 3."""
    if not results.one_shot:
        return ""
    data, words = results.data, results.data.words
    rows = {key: (label(data.name, key, part), part) for key, part in results.one_shot.items()}
    in_grid = {key: part for key, part in results.one_shot.items() if GRID.fullmatch(key)}
    text = (
        f"A trial asks which of its supports shows the query's {words.class_}. All images of a trial are of one "
        f"{words.group}, unless the protocol mixes them.\n\n"
    )
    text += _accuracies([row for key, row in rows.items() if key not in in_grid], data) + " "
    combined = {part.card.combine for part in results.one_shot.values()}
    text += "".join(f"{said} " for combine, said in COMBINE.items() if combine in combined)
    text += f"results.json holds the card of each result: its {plural(words.group)}, its seed and its trials."
    text += _notes(list(rows.values()), results.not_measured)
    text += _views(data, results.one_shot_views)
    if in_grid:
        text += "\n\n### By the number of ways\n\n" + _grid(list(in_grid.values()))
    if "official_runs" in results.one_shot and results.one_shot["official_runs"].authors_seen_in_training:
        text += (
            f"\n\n`--data.drawer_split=official` keeps the {plural(words.author)} of the official runs out of training."
        )
    return text + _beside_the_paper({"this run": results.one_shot}, data)


def baselines(results: RunResults) -> str:
    """Return what the untrained baselines reached, beside the paper's tables 2 and 3."""
    measured = {BASELINES.get(who, who): one_shot for who, one_shot in results.baselines.items()}
    if not measured:
        return ""
    data = results.data
    rows = [
        (f"{who}, {label(data.name, key, part)}", part)
        for who, one_shot in measured.items()
        for key, part in one_shot.items()
    ]
    # Beside a network, the section on the network says what was not measured.
    not_measured = {} if results.one_shot else results.not_measured
    return _accuracies(rows, data) + _notes(rows, not_measured) + _beside_the_paper(measured, data)


def label(data: str, protocol: str, part: OneShotResult) -> str:
    """Return what a result was measured on, in words.

    Args:
      data: The name of the data source.
      protocol: The name of the protocol.
      part: The result.
    """
    return source_of(data).released if protocol == "official_runs" else part.card.protocol


def _views(data: DataDescription, viewed: OneShot) -> str:
    """Return the results with test-time augmentation. They are never in one table with those without it."""
    if not viewed:
        return ""
    rows = [(label(data.name, key, part), part) for key, part in viewed.items()]
    views = rows[0][1].card.views
    text = (
        f"\n\n### With test-time augmentation\n\nThe embedding of an image is the mean over {views} views: the image "
        f"and {views - 1} affine distortions, the same for all images. Compare these accuracies only with each "
        "other.\n\n"
    )
    return text + _table(rows, data)


def _beside_the_paper(measured: Mapping[str, OneShot], data: DataDescription) -> str:
    text = ""
    official = [(f"**{who}**", part["official_runs"]) for who, part in measured.items() if "official_runs" in part]
    if source_of(data.name).in_paper and official:
        text += f"\n\n### Beside the paper's table 2\n\n{ABOVE}\n\n" + table_2(official, small_background(data))
    digits = [row for who, part in measured.items() for row in on_mnist(f"**{who}**", part)]
    if digits:
        text += f"\n\n### Beside the paper's table 3\n\n{ABOVE}\n\n" + table_3(digits)
    return text


def _accuracies(rows: Rows, data: DataDescription) -> str:
    """Return a table with one row per result, and what its intervals mean."""
    group = data.words.group
    return (
        f"{_table(rows, data)}\n\nIntervals are by bootstrap over whole episodes, because trials that share their "
        f"supports resemble each other. Those by {group} resample whole {plural(group)}: they say what to expect of "
        f"other {plural(group)}."
    )


def _table(rows: Rows, data: DataDescription) -> str:
    group, author = data.words.group, data.words.author
    columns = {
        "task": lambda part: part.card.task,
        "trials": lambda part: f"{part.card.trials:,}",
        "correct": lambda part: f"{part.correct:,.2f}".removesuffix("0").removesuffix(".0"),  # ties earn fractions
        "accuracy (%)": lambda part: percent(part.accuracy),
        "95 % interval (%)": lambda part: interval(part.ci95),
        f"by {group} (%)": lambda part: interval(part.ci95_by_group),
        "chance level (%)": lambda part: f"{100 / part.card.n_way:.1f}",
        plural(author): lambda part: ranges(part.card.authors),
    }
    cells = [[name, *(cell(part) for cell in columns.values())] for name, part in rows]
    return table(["measured on", *columns], cells)


def _grid(parts: Sequence[OneShotResult]) -> str:
    """Return a table of shots × ways, each cell an accuracy with its interval."""
    ways, shots = (sorted({getattr(part.card, key) for part in parts}) for key in ("n_way", "k_shot"))
    cells = {(p.card.k_shot, p.card.n_way): f"{percent(p.accuracy)} ({interval(p.ci95)})" for p in parts}
    rows = [[f"{k}-shot (%)", *(cells.get((k, n), "–") for n in ways)] for k in shots]
    rows.append(["chance level (%)", *(f"{100 / n:.1f}" for n in ways)])
    trials = " to ".join(f"{count:,}" for count in sorted({part.card.trials for part in parts}))
    authors = {author for part in parts for author in part.card.authors}
    what = parts[0].card.protocol + (f" ({ranges(authors)})" if authors else "")
    text = f"{what[:1].upper()}{what[1:]}; {trials} trials per cell, intervals over episodes.\n\n"
    return text + table(["", *(f"{n}-way" for n in ways)], rows)


def _notes(rows: Rows, refused: Mapping[str, str]) -> str:
    """Return the doctor's warnings, each once with all results that it applies to, and why protocols are missing."""
    said: dict[str, list[str]] = {}
    for name, part in rows:
        for warning in part.warnings:
            said.setdefault(warning, []).append(name)
    notes = [f"{'; '.join(dict.fromkeys(names))}: {warning}." for warning, names in said.items()]
    notes = [f"{note[0].upper()}{note[1:]}" for note in notes]
    notes += [f"`{name}` was not measured: {reason}." for name, reason in refused.items()]
    return "\n\n" + bullets(notes) if notes else ""
