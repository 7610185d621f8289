"""results.json for programs and report.md for people: what was run, what came out, and how it differs from the paper.

"Paper" is Koch, Zemel and Salakhutdinov (2015). Accuracies are fractions in [0, 1] in `results`, per cent in the text,
and never without their trials and 95 % interval.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from siamese_jax import files, splits
from siamese_jax.specs import Experiment, NetSpec, leaves

# Published by Koch et al. (2015), in per cent, read in secondary copies (one prints 93.15 for 30,000 pairs, too).
TABLE_1 = {30_000: (90.61, 91.90), 90_000: (91.54, 93.15), 150_000: (91.63, 93.42)}
"""Verification on the test set: training pairs -> (no distortions, 8 distorted copies of each pair)."""
TABLE_2 = {
    "humans": 95.5,
    "hierarchical Bayesian program learning": 95.2,
    "convolutional siamese net (the paper's own)": 92.0,
    "affine model": 81.8,
    "hierarchical deep": 65.2,
    "deep Boltzmann machine": 62.0,
    "siamese neural net, not convolutional": 58.3,
    "simple stroke": 35.2,
    "1-nearest neighbour": 21.7,
}
"""Omniglot 20-way within-alphabet one-shot."""

DATA = {
    "omniglot": "Omniglot: characters of 50 alphabets, each drawn by hand once by each of 20 drawers.",
    "glyphs": "glyphs: **rendered glyphs, not handwriting; not comparable with Omniglot figures**. Characters of many "
    "scripts, rendered from fonts in the manner of 20 made-up drawers.",
}
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
ONE_SHOT_HEAD = [
    "task", "trials", "correct", "accuracy (%)", "95 % interval (%)", "by alphabet (%)", "chance (%)", "drawers"
]  # fmt: skip
RUN_INTERVALS = (
    "Intervals are by bootstrap over whole runs: trials that share their supports, and so are alike. Those by alphabet "
    "draw whole alphabets instead: they say what to expect of alphabets that were not measured."
)
PICTURES = {
    "training.png": "Loss and accuracy by epoch",
    "trial.png": "One trial: the query, and each support with the network's p(same)",
}

PAPER = Experiment(
    name="paper", summary="", cost_cpu="", cost_gpu="", expected="", network=NetSpec(initialiser="paper")
)
DIFFERENCES = {
    "data.name": "The images are {ours}, not Omniglot.",
    "data.downsample": "Images are averaged down by {ours} to {side}×{side} pixels; the paper's are 105×105.",
    "data.drawer_split": "Training is by drawers {train}, validation by {validation} and test by {test} (`{ours}` "
    "split); the paper trains on 12 drawers, validates on 4 and tests on the last 4.",
    "data.train_pairs": "The training set has {ours} pairs; the paper's largest has {paper}.",
    "data.validation_pairs": "Verification is validated on {ours} pairs; the paper's is on {paper}.",
    "data.test_pairs": "Verification is tested on {ours} pairs; the paper's is on {paper}.",
    "data.redraw": "Every epoch is of pairs never seen before, distorted as often as in a fixed set; the paper sees "
    "one fixed set again each epoch.",
    "distort.copies": "Each training pair gets {ours} distorted copies; the paper's best networks have {paper}.",
    "distort.probability": "Each component of a distortion is included with probability {ours}; in the paper {paper}.",
    "distort.rotation": "Distortions rotate by up to {ours}°; the paper's by up to {paper}°.",
    "distort.shear": "Distortions shear by up to {ours}; the paper's by up to {paper}.",
    "distort.scale": "Distortions scale by 1 ± {ours}; the paper's by 1 ± {paper}.",
    "distort.translation": "Distortions translate by up to {ours} pixels; the paper's by up to {paper}.",
    "network.units": "An embedding has {ours} units; the paper's has {paper}.",
    "network.initialiser": "Initial weights are `{ours}` (variances by fan-in), since the paper's start saturates most "
    "sigmoids.",
    "optimizer.decay": "Learning rates are multiplied by {ours} an epoch; the paper's by {paper}.",
    "optimizer.initial_momentum": "Momentum starts at {ours}; the paper's at {paper}.",
    "evaluation.n_way": "Random and validation trials are {ours}-way; the paper's are {paper}-way.",
    "evaluation.k_shot": "Random and validation trials show {ours} images of each character; the paper's {paper}.",
    "evaluation.validation_trials": "Each epoch is judged on {ours} validation trials; the paper's on {paper}.",
    "batch_size": "A minibatch has {ours} pairs; the paper's has {paper}.",
    "max_epochs": "Training lasts at most {ours} epochs; the paper's at most {paper}.",
    "patience": "Training stops after {ours} epochs without gain; the paper's after {paper}.",
}
"""What is said of each field in which an experiment can differ from the paper; `_convolutions` says the rest."""


def write_results(workdir: str | os.PathLike, results: Mapping[str, Any]) -> None:
    """Writes `results` to WORKDIR/results.json; UserError if that cannot be done."""
    files.write_json(Path(workdir) / "results.json", results)


def write_report(
    workdir: str | os.PathLike, experiment: Experiment, results: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Writes WORKDIR/report.md, which shows the pictures that stand in `workdir`; UserError if that cannot be done."""
    pictures = [name for name in PICTURES if (Path(workdir) / name).exists()]
    files.write_text(Path(workdir) / "report.md", report(experiment, results, rows, pictures))


def report(
    experiment: Experiment,
    results: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]] = (),
    pictures: Sequence[str] = tuple(PICTURES),
) -> str:
    """Returns the report as Markdown.

    `results` is what results.json holds, and a part that is missing from it is left out; `rows` are the lines of
    metrics.jsonl; `pictures` are files beside the report.
    """
    sections = (
        _title(experiment, results),
        _one_shot(experiment, results.get("one_shot", {}), results.get("not_measured", {})),
        _baselines(experiment, results.get("baselines", {}), results.get("not_measured", {})),
        _verification(experiment, results.get("verification", {})),
        _pictures(pictures) if pictures else "",
        _training(results.get("training"), rows),
        _sets(results["data"]),
        _departures(experiment) if experiment.method == "siamese" else "",
        f"## To run it again\n\n    {results['command']}\n" + _environment(results.get("environment")),
    )
    return "\n\n".join(section.strip("\n") for section in sections if section) + "\n"


def differences(experiment: Experiment) -> list[str]:
    """Returns a sentence for each way in which an experiment differs from what the paper states."""
    ours, paper = dict(leaves(experiment)), dict(leaves(PAPER))
    drawers = {name: _ranges(numbers) for name, numbers in splits.DRAWERS[experiment.data.drawer_split].items()}
    side = 105 // experiment.data.downsample
    # Without distorted copies, how they would have been distorted makes no difference.
    unused = set() if experiment.distort.copies else {n for n in paper if n.startswith("distort.")} - {"distort.copies"}
    return [
        text.format(ours=_value(ours[name]), paper=_value(paper[name]), side=side, **drawers)
        for name, text in DIFFERENCES.items()
        if ours[name] != paper[name] and name not in unused
    ] + _convolutions(experiment.network)


def choices(experiment: Experiment) -> list[str]:
    """Returns a sentence for each choice where the paper is silent."""
    two, biases = experiment.data.different_drawers, experiment.optimizer.l2_on_biases
    sentences = [
        f'The images of a "different" pair come from {"two drawers, as those of a" if two else "any drawers, unlike a"}'
        ' "same" pair.',
        f"Momentum rises to its final value over {experiment.optimizer.momentum_epochs} epochs.",
        f"The L2 penalty covers {'weights and biases' if biases else 'weights, not biases'}.",
    ]
    if experiment.optimizer.layers:
        sentences.append(
            "Learning rates, momenta and penalties were set by hand: the paper found its own by a search, and did not "
            "publish them."
        )
    return sentences


def _title(experiment: Experiment, results: Mapping[str, Any]) -> str:
    chosen = (
        "Everything was chosen on the validation set: the epoch whose parameters were kept, and the verification "
        "threshold.\nNothing was chosen on test."
        if experiment.method == "siamese"
        else "Nothing was trained, and nothing chosen."
    )
    return f"""# {results["experiment"]}

{_sentence(experiment.summary)}

* Seed: {results["seed"]}
* Data: {DATA[results["data"]["name"]]}
* Images: {results["data"]["image_side"]}×{results["data"]["image_side"]} pixels

{chosen}"""


def _one_shot(experiment: Experiment, one_shot: Mapping[str, Any], refused: Mapping[str, str]) -> str:
    if not one_shot:
        return ""
    name = experiment.data.name
    measured = {key: part for key, part in one_shot.items() if key != "random_trials"}  # stands as within_alphabet
    labels = {key: _label(name, key, part) for key, part in measured.items()}
    text = (
        "## One-shot recognition\n\nWhich of the supports shows the query's character? All are of one alphabet, but "
        "where alphabets are mixed.\n\n"
    )
    text += _table(["measured on", *ONE_SHOT_HEAD], [[labels[key], *_row(part)] for key, part in measured.items()])
    text += f"\n\n{RUN_INTERVALS} "
    if any(part["k_shot"] > 1 for part in measured.values()):
        text += COMBINE[experiment.evaluation.combine] + " "
    text += "The card of each figure, with its alphabets and seed, stands in results.json."
    text += _notes({labels[key]: part for key, part in measured.items()}, refused)
    if measured.get("official_runs", {}).get("drawers_seen_in_training"):
        text += "\n\n`--data.drawer_split=official` holds the drawers of the official runs out of training."
    if name == "omniglot" and "official_runs" in one_shot:
        row = ["**this run**", one_shot["official_runs"]]
        text += "\n\n### Beside the paper's table 2\n\n" + _table_2([row])
    return text


def _baselines(experiment: Experiment, baselines: Mapping[str, Mapping[str, Any]], refused: Mapping[str, str]) -> str:
    if not baselines:
        return ""
    name = experiment.data.name
    rows = {
        f"{BASELINES[who]}, {_label(name, key, part)}": part
        for who, measured in baselines.items()
        for key, part in measured.items()
    }
    text = "## Comparisons that learn nothing\n\n"
    text += _table(["measured on", *ONE_SHOT_HEAD], [[label, *_row(part)] for label, part in rows.items()])
    text += f"\n\n{RUN_INTERVALS}" + _notes(rows, refused)
    official = [
        [f"**{BASELINES[who]}**", part["official_runs"]] for who, part in baselines.items() if "official_runs" in part
    ]
    if name == "omniglot" and official:
        text += "\n\n### Beside the paper's table 2\n\n" + _table_2(official)
        text += (
            "\n\nThe published error of the modified Hausdorff distance on the same runs is 38.8 % (Lake et al. 2015)."
        )
    return text


def _label(data: str, protocol: str, part: Mapping[str, Any]) -> str:
    return OFFICIAL_RUNS[data] if protocol == "official_runs" else part["card"]["protocol"]


def _row(part: Mapping[str, Any]) -> list[str]:
    return [
        f"{part['n_way']}-way {part['k_shot']}-shot",
        f"{part['trials']:,}",
        f"{part['correct']:,}",
        _percent(part["accuracy"]),
        _interval(part),
        _interval(part, "ci95_by_alphabet"),
        f"{100 / part['n_way']:.1f}",
        _ranges(part["drawers"]),
    ]


def _notes(measured: Mapping[str, Mapping[str, Any]], refused: Mapping[str, str]) -> str:
    """Returns the doctor's warnings, each once with all it is said of, and why protocols were not measured."""
    said: dict[str, list[str]] = {}
    for label, part in measured.items():
        for warning in part["warnings"]:
            said.setdefault(warning, []).append(label)
    notes = [f"Of {'; '.join(dict.fromkeys(labels))}: {warning}." for warning, labels in said.items()]
    notes += [f"Not measured: `{name}`, since {reason}." for name, reason in refused.items()]
    return "\n\n" + _bullets(notes) if notes else ""


def _table_2(measured: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    ours = [
        [who, f"**{_percent(p['accuracy'])}**", _interval(p), str(p["trials"]), "**measured**"] for who, p in measured
    ]
    published = [[who, f"{percent:.1f}", "–", "–", "published"] for who, percent in TABLE_2.items()]
    return _table(["20-way, within alphabet", "accuracy (%)", "95 % interval (%)", "trials", ""], [*ours, *published])


def _verification(experiment: Experiment, verification: Mapping[str, Any]) -> str:
    if not verification:
        return ""
    text = "## Verification\n\nDo two images show the same character?\n\n" + _table(
        ["set", "pairs", "accuracy (%)", "95 % interval (%)", "threshold on p(same)"],
        [
            [name, f"{part['pairs']:,}", _percent(part["accuracy"]), _interval(part), f"{part['threshold']:.3f}"]
            for name, part in verification.items()
        ],
    )
    text += "\n\nIntervals are by bootstrap over whole alphabets. The threshold is the best one on validation."
    if "test" in verification:
        text += "\n\n" + _errors(verification["test"])
        text += "\n\nThe thresholds of the false-accept rates asked for were chosen on validation, and applied to test."
    if experiment.data.name == "omniglot" and "test" in verification:
        text += "\n\n### Beside the paper's table 1\n\n" + _table_1(experiment, verification["test"])
        text += "\n\nTest accuracy in per cent; the published figures were read in secondary copies of the paper."
    return text


def _errors(test: Mapping[str, Any]) -> str:
    rows = [
        ["area under the ROC curve", _percent(test["auc"]), _interval(test, "auc_ci95")],
        ["equal error rate", _percent(test["equal_error_rate"]), _interval(test, "equal_error_rate_ci95")],
    ]
    for point in test["operating_points"]:
        asked = f"{100 * point['false_accept_rate']:g} % false accepts asked for"
        for what, key in (("false", "measured_false_accept_rate"), ("true", "true_accept_rate")):
            rows.append([f"{asked}: {what} accepts", _percent(point[key]), _interval(point, f"{key}_ci95")])
    return _table(["on test", "measured (%)", "95 % interval (%)"], rows)


def _table_1(experiment: Experiment, test: Mapping[str, Any]) -> str:
    copies = experiment.distort.copies
    cell = f"**{_percent(test['accuracy'])}** ({_interval(test)}, {test['pairs']:,} test pairs)"
    cells = [cell, "–"] if copies == 0 else ["–", cell if copies == 8 else f"{cell} with {copies} copies"]
    published = [[f"{n:,}", f"{none:.2f}", f"{eight:.2f}", "published"] for n, (none, eight) in TABLE_1.items()]
    pairs = f"{experiment.data.train_pairs:,}{' new ones an epoch' if experiment.data.redraw else ''}"
    this = [f"**this run**: {pairs}", *cells, "**measured**"]
    return _table(["training pairs", "no distortions", "8 distorted copies", ""], [this, *published])


def _pictures(names: Iterable[str]) -> str:
    return "\n\n".join(["## Pictures", *(f"{PICTURES[name]}:\n\n![{PICTURES[name]}]({name})" for name in names)])


def _training(training: Mapping[str, Any] | None, rows: Sequence[Mapping[str, Any]]) -> str:
    if not training:
        return ""
    end = {
        "patience": "stopped since validation no longer gained",
        "max_epochs": "stopped since the last epoch allowed was done",
        "not finished": "**training is not finished**: these are the results so far",
    }[training["stopped_by"]]
    rate = training["pairs_per_second"]  # NaN where a run was stopped before it could be timed
    lines = [
        f"{training['epochs']:,} epoch{'s'[: training['epochs'] != 1]}, {training['steps']:,} steps; {end}",
        f"best epoch on validation: {training['best_epoch']}, whose parameters were kept",
        f"{_duration(training['seconds'])} of training" + (f", {rate:,.0f} pairs a second" if rate == rate else ""),
    ]
    losses = [row["cross_entropy"] for row in rows if row.get("cross_entropy") is not None]
    if losses:
        lines.append(
            f"cross-entropy of a training pair: {losses[0]:.3f} at first, {losses[-1]:.3f} at last (chance 0.693)"
        )
    return "## Training\n\n" + _bullets(lines)


def _environment(environment: Mapping[str, Any] | None) -> str:
    if not environment:
        return ""
    e = environment
    return (
        f"\nThis run: siamese_jax {e['siamese_jax']}, JAX {e['jax']}, Python {e['python']}, backend "
        f"{e['backend']} ({e['devices']} × {e['device']}; {e['cores']} CPU cores).\n"
    )


def _sets(data: Mapping[str, Any]) -> str:
    table = _table(
        ["set", "alphabets", "characters", "images", "drawers"],
        [
            [name, str(len(s["alphabets"])), f"{s['characters']:,}", f"{s['images']:,}", _ranges(s["drawers"])]
            for name, s in data["sets"].items()
        ],
    )
    names = _bullets(f"{name}: {', '.join(s['alphabets'])}" for name, s in data["sets"].items())
    return (
        f"## Alphabets and drawers\n\nNo alphabet and no drawer is in two sets (`{data['drawer_split']}` split); "
        "the drawers of the 20 runs that come with the data stand with their result.\n\n"
        f"{table}\n\n{names}"
    )


def _departures(experiment: Experiment) -> str:
    sentences = differences(experiment)
    said = _bullets(sentences) if sentences else "Nothing differs from what the paper states."
    text = (
        f"## What differs from the paper\n\n{said}\n\n## What the paper leaves open\n\n{_bullets(choices(experiment))}"
    )
    if experiment.optimizer.layers:
        head = ["layer", "learning rate", "momentum", "L2 penalty"]
        layers = experiment.optimizer.layers.items()
        text += "\n\n" + _table(
            head, [[name, f"{s.learning_rate:g}", f"{s.momentum:g}", f"{s.l2:g}"] for name, s in layers]
        )
    return text


def _convolutions(network: NetSpec) -> list[str]:
    def words(conv):
        return f"{conv.filters} filters of {conv.size}×{conv.size} {'with' if conv.pool else 'without'} a pool"

    return [
        f"{name} has {words(ours)}; the paper's has {words(PAPER.network.convs[name])}."
        for name, ours in network.convs.items()
        if ours != PAPER.network.convs[name]
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table padded so that it reads as a table in raw text, too; the first column is words."""
    widths = [max(3, *(len(row[i]) for row in (head, *rows))) for i in range(len(head))]

    def line(cells):
        padded = [cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(line(cells) for cells in (head, rule, *rows))


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"* {line}" for line in lines)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}"


def _interval(part: Mapping[str, Any], key: str = "ci95") -> str:
    return "–".join(f"{100 * bound:.1f}" for bound in part[key])


def _value(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)


def _ranges(numbers: Iterable[int]) -> str:
    """Returns numbers in words: [1, 2, 3, 7] is "1–3, 7"."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


def _sentence(text: str) -> str:
    return text if text.endswith(".") or not text else text + "."
