"""The sections on one-shot recognition: by the network, and by comparisons that learn nothing."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from siamese_jax.report.beside import on_mnist, small_background, table_2, table_3
from siamese_jax.report.tables import bullets, interval, percent, ranges, table

OneShot = Mapping[str, Mapping[str, Any]]
"""Results by protocol."""

Rows = Sequence[tuple[str, Mapping[str, Any]]]
"""What was measured on, in words, and the result."""

OFFICIAL_RUNS = {"omniglot": "Lake's 20 official runs", "glyphs": "the data set's own 20 runs"}
BASELINES = {
    "nearest_neighbour": "nearest neighbour on pixels",
    "modified_hausdorff": "modified Hausdorff distance",
}
COMBINE = {
    "mean_score": "A character shown several times scores the mean of its images' scores.",
    "best_score": "A character shown several times scores the best of its images' scores.",
    "mean_embedding": "A character shown several times scores by the mean of its images' embeddings.",
}
"""What `EvalSpec.combine` does, in words."""
GRID = re.compile(r"\d+_way_\d+_shot")
"""The protocols that differ in nothing but ways and shots."""
RUN_INTERVALS = "Intervals are by bootstrap over whole runs: trials that share their supports, and so are alike."
ALPHABET_INTERVALS = (
    "Those by alphabet draw whole alphabets instead: they say what to expect of alphabets that were not measured."
)


def network(results: Mapping[str, Any]) -> str:
    """Returns what the network reached under each protocol, beside the paper's tables 2 and 3."""
    one_shot = results.get("one_shot", {})
    if not one_shot:
        return ""
    data, measured = results["data"], without_duplicates(one_shot)
    rows = [(label(data["name"], key, part), part) for key, part in measured.items()]
    text = "Which of the supports shows the query's character? "
    text += "All are of one alphabet, but where alphabets are mixed.\n\n"
    in_grid = {key: part for key, part in measured.items() if GRID.fullmatch(key)}
    text += _accuracies([row for row, key in zip(rows, measured, strict=True) if key not in in_grid]) + " "
    combined = {part["card"].get("combine") for part in measured.values()}
    text += "".join(f"{words} " for combine, words in COMBINE.items() if combine in combined)
    text += "The card of each figure, with its alphabets and seed, stands in results.json."
    text += _notes(rows, results.get("not_measured", {}))
    text += _views(data["name"], results.get("one_shot_views", {}))
    if in_grid:
        text += "\n\n### By the number of ways\n\n" + _grid(list(in_grid.values()))
    if measured.get("official_runs", {}).get("drawers_seen_in_training"):
        text += "\n\n`--data.drawer_split=official` holds the drawers of the official runs out of training."
    return text + _beside_the_paper({"this run": measured}, data)


def baselines(results: Mapping[str, Any]) -> str:
    """Returns what the comparisons that learn nothing reached, beside the paper's tables 2 and 3."""
    measured = {BASELINES[who]: one_shot for who, one_shot in results.get("baselines", {}).items()}
    if not measured:
        return ""
    data = results["data"]
    rows = [
        (f"{who}, {label(data['name'], key, part)}", part)
        for who, one_shot in measured.items()
        for key, part in one_shot.items()
    ]
    text = _accuracies(rows) + _notes(rows, results.get("not_measured", {}))
    return text + _beside_the_paper(measured, data)


def label(data: str, protocol: str, part: Mapping[str, Any]) -> str:
    """Returns what a figure was measured on, in words."""
    return OFFICIAL_RUNS[data] if protocol == "official_runs" else part["card"]["protocol"]


def task(part: Mapping[str, Any]) -> str:
    """Returns a task in words: "20-way 1-shot"."""
    return f"{part['n_way']}-way {part['k_shot']}-shot"


def without_duplicates(one_shot: OneShot) -> OneShot:
    """Returns the results without `random_trials`, an older name that `within_alphabet` stands under, too."""
    return {name: part for name, part in one_shot.items() if name != "random_trials"}


def _views(data: str, viewed: OneShot) -> str:
    """Returns what averaged views reached, which is never in the tables of what the network reached by one look."""
    if not viewed:
        return ""
    rows = [(label(data, key, part), part) for key, part in viewed.items()]
    views = rows[0][1]["card"]["views"]
    text = (
        f"\n\n### With averaged views\n\nEach image is embedded as the mean over {views} views: itself and {views - 1} "
    )
    text += "affine distortions of it, the same for all images. The figures above are of each image as it is.\n\n"
    return text + _accuracies(rows)


def _beside_the_paper(measured: Mapping[str, OneShot], data: Mapping[str, Any]) -> str:
    text = ""
    official = [(f"**{who}**", part["official_runs"]) for who, part in measured.items() if "official_runs" in part]
    if data["name"] == "omniglot" and official:
        text += "\n\n### Beside the paper's table 2\n\n" + table_2(official, small_background(data))
    digits = [row for who, part in measured.items() for row in on_mnist(f"**{who}**", part)]
    if digits:
        text += "\n\n### Beside the paper's table 3\n\n" + table_3(digits)
    return text


def _accuracies(rows: Rows) -> str:
    """Returns a table with a row for each figure, and what its intervals are."""
    columns = {
        "task": task,
        "trials": lambda part: f"{part['trials']:,}",
        "correct": lambda part: f"{round(part['correct'], 2):,}",  # ties earn fractions
        "accuracy (%)": lambda part: percent(part["accuracy"]),
        "95 % interval (%)": interval,
        "by alphabet (%)": lambda part: interval(part, "ci95_by_alphabet"),
        "chance (%)": lambda part: f"{100 / part['n_way']:.1f}",
        "drawers": lambda part: ranges(part["drawers"]),
    }
    by_alphabet = any("ci95_by_alphabet" in part for _, part in rows)
    if not by_alphabet:  # older runs have none
        del columns["by alphabet (%)"]
    cells = [[name, *(cell(part) for cell in columns.values())] for name, part in rows]
    notes = [RUN_INTERVALS, *([ALPHABET_INTERVALS] if by_alphabet else [])]
    return f"{table(['measured on', *columns], cells)}\n\n{' '.join(notes)}"


def _grid(parts: Sequence[Mapping[str, Any]]) -> str:
    """Returns a table of shots × ways, each cell an accuracy with its interval."""
    ways, shots = (sorted({part[key] for part in parts}) for key in ("n_way", "k_shot"))
    cells = {(p["k_shot"], p["n_way"]): f"{percent(p['accuracy'])} ({interval(p)})" for p in parts}
    rows = [[f"{k}-shot (%)", *(cells.get((k, n), "–") for n in ways)] for k in shots]
    rows.append(["chance (%)", *(f"{100 / n:.1f}" for n in ways)])
    trials = " to ".join(f"{count:,}" for count in sorted({part["trials"] for part in parts}))
    drawers = ranges({drawer for part in parts for drawer in part["drawers"]})
    what = parts[0]["card"]["protocol"]
    text = f"{what[0].upper()}{what[1:]} ({drawers}); {trials} trials a cell, intervals by run.\n\n"
    return text + table(["", *(f"{n}-way" for n in ways)], rows)


def _notes(rows: Rows, refused: Mapping[str, str]) -> str:
    """Returns the doctor's warnings, each once with all it is said of, and why protocols were not measured."""
    said: dict[str, list[str]] = {}
    for name, part in rows:
        for warning in part["warnings"]:
            said.setdefault(warning, []).append(name)
    notes = [f"Of {'; '.join(dict.fromkeys(names))}: {warning}." for warning, names in said.items()]
    notes += [f"Not measured: `{name}`, since {reason}." for name, reason in refused.items()]
    return "\n\n" + bullets(notes) if notes else ""
