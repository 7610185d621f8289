"""Rewrites what README.md and docs/ take from the records: tables, lists and pictures.

    python tools/write_docs.py

A generated part of a page stands between `<!-- generated: NAME -->` and `<!-- end -->`. Nothing is trained or measured.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docs_records import PAPER_NETWORK, ROOT, accuracies, card, earlier, interval_of, mean, runs
from draw_architecture import architecture, layers
from record_runs import read_runs, runs_table

from siamese_jax import published
from siamese_jax.evaluation.protocols import DIGITS, PROTOCOLS, SHOTS, WAYS
from siamese_jax.experiments import EXPERIMENTS, find
from siamese_jax.report.departures import choices, differences
from siamese_jax.report.tables import bullets, interval, percent, ranges, sentence, table
from siamese_jax.results import Decisions
from siamese_jax.sampling.splits import DRAWERS
from siamese_jax.storage import files

PART = re.compile(r"(<!-- generated: ([\w-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
COMPARED = ("omniglot_20way_best", "omniglot_20way_fast", PAPER_NETWORK)
"""The recorded experiments that are shown beside published results; of each its first seed has a bar."""

BASELINES = {
    "nearest_neighbour": "nearest neighbour on pixels",
    "modified_hausdorff": "modified Hausdorff distance",
}


def pages() -> list[Path]:
    """Returns all pages that may hold generated parts."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "api").glob("*.md"))]


def rendered(text: str) -> str:
    """Returns a page with its generated parts as the records have them now."""
    return PART.sub(lambda part: f"{part[1]}\n{GENERATED[part[2]]()}\n\n{part[4]}", text)


def in_short() -> str:
    """Official runs: four of our networks among what was published."""
    rows = []
    for name, note in (*((name, "") for name in COMPARED[:2]), (PAPER_NETWORK, ": the paper's network")):
        values, recorded = accuracies(name), runs()[name]
        first = recorded[0]["one_shot"]["official_runs"]
        minutes = f"{mean([row['minutes'] for row in recorded]):.0f} min"
        accuracy = f"**{100 * mean(values):.1f}**"
        cells = [f"`{name}`{note}", accuracy, str(len(values)), _with_interval(first), minutes]
        rows.append((mean(values), cells))
    small = earlier()["runs"]["omniglot_20way_small"]
    result = small["one_shot"]["official_runs"]
    cells = ["`omniglot_20way_small`: the paper's recipe at 35×35", f"**{100 * result['accuracy']:.1f}**"]
    rows.append((result["accuracy"], [*cells, "1", _with_interval(result), f"{small['minutes']:.0f} min"]))
    theirs = {
        "attentive recurrent comparators (2017)": published.ELSEWHERE["attentive recurrent comparators"][0],
        "Bayesian program learning (2015)": published.ELSEWHERE["Bayesian program learning"][0],
        "humans": published.TABLE_2["humans"],
        "the paper (2015)": published.TABLE_2[published.PAPER_NETWORK],
    }
    rows += [(value / 100, [who, f"{value:.1f}", "–", "–", "–"]) for who, value in theirs.items()]
    lines = [cells for _, cells in sorted(rows, key=lambda row: -row[0])]
    return table(["system", "accuracy (%)", "seeds", "seed 0 (95 % interval)", "training"], lines)


def _with_interval(result: dict[str, Any]) -> str:
    """Return an accuracy and its interval, in per cent with one decimal."""
    return f"{100 * result['accuracy']:.1f} ({interval_of(result)})"


def all_runs() -> str:
    """Every recorded run."""
    return runs_table([row for row in read_runs() if "official_runs" in row["one_shot"]])


def protocols() -> str:
    """One network of each recipe under every protocol."""
    best, small = runs()["omniglot_20way_best"][0], earlier()["runs"]["omniglot_20way_small"]
    by_alphabet, split = card().one_shot, DRAWERS["paper"]
    drawers = {"official_runs": "1–8", "validation": ranges(split["validation"])}
    lines = []
    for name in ("official_runs", "koch_400", "within_alphabet", "unstructured", *DIGITS, "validation"):
        ours, theirs = best["one_shot"][name], small["one_shot"][name]
        lines.append(
            [
                f"`{name}`",
                f"{ours['trials']:,}",
                "–" if name in DIGITS else drawers.get(name, ranges(split["test"])),
                f"{percent(ours['accuracy'])} ({interval_of(ours)})",
                interval(by_alphabet[name].ci95_by_group),
                f"{percent(theirs['accuracy'])} ({interval_of(theirs)})",
                interval_of(theirs, "ci95_by_alphabet"),
            ]
        )
    head = ["protocol", "trials", "drawers", "`best`", "by alphabet", "`small`", "by alphabet"]
    return table(head, lines)


def ways() -> str:
    """Accuracy by ways and shots."""
    of = {"best": runs()["omniglot_20way_best"][0], "small": earlier()["runs"]["omniglot_20way_small"]}
    lines = []
    for name, run in of.items():
        for shots in SHOTS:
            each = [run["one_shot"][f"{n}_way_{shots}_shot"] for n in WAYS]
            lines.append([f"`{name}`, {shots}-shot", *(f"{percent(r['accuracy'])} ({interval_of(r)})" for r in each)])
    return table(["", *(f"{n}-way" for n in WAYS)], lines)


def verification() -> str:
    """Same or different: the shipped network and the small one."""
    best = vars(card().verification.test)
    small = earlier()["runs"]["omniglot_20way_small"]["verification"]
    rows = (
        ("accuracy at the validation threshold", "accuracy", "ci95"),
        ("area under the ROC curve", "auc", "auc_ci95"),
        ("equal error rate", "equal_error_rate", "equal_error_rate_ci95"),
    )
    lines = [
        [label, *(f"{percent(part[key])} ({interval_of(part, bounds)})" for part in (best, small))]
        for label, key, bounds in rows
    ]
    return table(["10,000 test pairs, in %", "`best`", "`small`"], lines)


def protocol_names() -> str:
    """The protocols, and how their trials are made."""
    lines = [
        [f"`{name}`", f"{p.n_way}-way {p.k_shot}-shot", f"{p.trials:,}", TRIALS[name]]
        for name, p in {**PROTOCOLS, **DIGITS}.items()
        if name in TRIALS
    ]
    grid = PROTOCOLS["5_way_1_shot"]
    ways, shots = ", ".join(map(str, WAYS)), " and ".join(map(str, SHOTS))
    lines.append(["`5_way_1_shot` …", f"{ways} ways; {shots} shots", f"{grid.trials:,}", "one alphabet; drawers 13–20"])
    return table(["protocol", "task", "trials", "characters and drawers"], lines)


TRIALS = {
    "official_runs": "the 20 runs released by Lake; one alphabet; drawers 1–8",
    "koch_400": "one alphabet; two of the last four drawers; two runs per alphabet, as the paper's text says",
    "within_alphabet": "one alphabet; drawers 17–20; random trials",
    "unstructured": "all test alphabets mixed, an easier task; drawers 17–20",
    "mnist_10way": "MNIST's test digits, as in the paper; no fine-tuning",
    "mnist_10way_10000": "the same with more trials",
}


def splits() -> str:
    """Who is trained and tested on."""
    which = {
        "train": "the 30 background alphabets",
        "validation": "the 10 evaluation alphabets that are not in the official runs",
        "test": "the 10 alphabets of the official runs",
    }
    lines = [[name, text, *(ranges(DRAWERS[split][name]) for split in DRAWERS)] for name, text in which.items()]
    return table(["set", "alphabets", *(f"drawers (`{split}`)" for split in DRAWERS)], lines)


def registry() -> str:
    """Every registered experiment: what it is, what it costs, what to expect."""
    return "\n\n".join(
        f"## `{e.name}`\n\n{sentence(e.summary[:1].upper() + e.summary[1:])}\n\n"
        + bullets([f"CPU: {sentence(e.cost_cpu)}", f"GPU: {sentence(e.cost_gpu)}", f"Result: {sentence(e.expected)}"])
        for e in EXPERIMENTS.values()
    )


def flag_files() -> str:
    """The flag files in experiments/, as their own comments describe them."""
    lines = []
    for path in sorted((ROOT / "experiments").rglob("*.flags")):
        comments = [line[1:].strip() for line in path.read_text().splitlines() if line.startswith("#")]
        about = " ".join(comments).split(" command: ")[0]
        cost = next(line.removeprefix("cost: ") for line in comments if line.startswith("cost: "))
        link = f"[`{path.name}`](../{path.relative_to(ROOT)})"
        lines.append(f"{link}: {sentence(about)} Cost: {sentence(cost)}")
    return bullets(lines)


def searched() -> str:
    """The winner of a search beside the values set by hand, trained to the end."""
    lines = []
    for label, name in (("set by hand", "paper_learning_by_hand"), ("found by the search", "paper_learning_winner")):
        for row in runs()[name]:
            results = [row["one_shot"][protocol] for protocol in ("validation", "official_runs", "within_alphabet")]
            cells = [f"{percent(result['accuracy'])} ({interval_of(result)})" for result in results]
            lines.append([label, str(row["seed"]), *cells])
    return table(["values", "seed", "validation (2,000)", "official runs (400)", "within alphabet (10,000)"], lines)


def shipped() -> str:
    """What the card of the shipped network says of one-shot trials."""
    one_shot, views = card().one_shot, card().one_shot_views
    lines = []
    for name in ("official_runs", "koch_400", "within_alphabet", "unstructured", *DIGITS):
        with_views = views.get(name)
        averaged = f"{percent(with_views.accuracy)} ({interval(with_views.ci95)})" if with_views else "–"
        plain = one_shot[name]
        cells = [f"{percent(plain.accuracy)} ({interval(plain.ci95)})", averaged, f"{plain.card.trials:,}"]
        lines.append([f"`{name}`", ranges(plain.card.authors), *cells])
    return table(["protocol", "drawers", "accuracy (%)", "with 8 views (%)", "trials"], lines)


def unknown() -> str:
    """What the card of the shipped network says of identification with "unknown"."""
    lines = []
    for gallery in decided().galleries:
        for one in gallery.open_set:
            cells = [f"{percent(one.measured_fpir)} ({interval(one.measured_fpir_ci95)})"]
            cells += [interval(one.chosen_again_ci95), f"{percent(one.dir)} ({interval(one.dir_ci95)})"]
            lines.append([str(gallery.classes), f"{100 * one.fpir:g}", *cells])
    return table(["enrolled", "FPIR asked (%)", "FPIR (%)", "threshold chosen again (%)", "DIR (%)"], lines)


def calibrated() -> str:
    """What the card of the shipped network says of probabilities."""
    parts = {"pairs: same or different": decided().pairs}
    parts |= {f"choices among {one.classes} characters": one for one in decided().galleries}
    lines = [
        [name, percent(part.before.expected_calibration_error), f"{percent(error)} ({interval(part.after.ci95)})"]
        for name, part in parts.items()
        for error in [part.after.expected_calibration_error]
    ]
    return table(["probability", "ECE before (%)", "ECE after (%)"], lines)


def sets_of_classes() -> str:
    """What the card of the shipped network says of prediction sets."""
    lines = [
        [
            str(gallery.classes),
            f"{100 * one.coverage:g}",
            f"{percent(one.measured_coverage)} ({interval(one.measured_coverage_ci95)})",
            f"{one.mean_size:.2f}",
        ]
        for gallery in decided().galleries
        for one in gallery.prediction_sets
    ]
    return table(["enrolled", "coverage asked (%)", "coverage (%)", "mean size"], lines)


def decided() -> Decisions:
    """Return the decisions of the shipped network."""
    decisions = card().decisions
    assert decisions is not None, "the card of the shipped network has no decisions: evaluate it, and add them"
    return decisions


def galleries() -> str:
    """How fast galleries are, in a file and in a database."""
    points = json.loads((ROOT / "benchmarks" / "results" / "gallery.json").read_text())["points"]
    measured = {(point["size"], point["kind"]): point for point in points}
    lines = []
    for size in sorted({size for size, _ in measured}):
        file, database = measured[size, "file"], measured[size, "database"]
        times = [
            f"{1000 * point[name]:.2g} ms" if point[name] < 0.1 else f"{1000 * point[name]:.0f} ms"
            for name in ("identify_each_of_many_s", "enrol_s")
            for point in (file, database)
        ]
        lines.append([f"{size:,}", *times, f"{database['recall_at_1']:.2f}"])
    of_both = [f"{kind}: {what} one" for what in ("identify", "enrol") for kind in ("file", "database")]
    return table(["pictures", *of_both, "database: recall@1"], lines)


def page() -> str:
    """The page that needs no server: size, speed, and differences from JAX."""
    measured = json.loads((ROOT / "benchmarks" / "results" / "page.json").read_text())
    node, chromium, trials = measured["node"], measured["chromium"], measured["node"]["trials"]
    lines = [
        ["size of the file", f"{measured['bytes'] / 1e6:.2f} MB"],
        ["until the page can be used, opened from disk in Chromium", f"{chromium['open_s']:.1f} s"],
        ["time for one picture in Chromium", f"{chromium['embed_ms']:.0f} ms"],
        ["time for one picture in Node", f"{node['embed_ms']:.0f} ms"],
        ["largest difference of embeddings from JAX, Chromium", f"{chromium['embedding_difference']:.1e}"],
        ["largest difference of embeddings from JAX, Node", f"{node['embedding_difference']:.1e}"],
        ["largest difference of scores from JAX, Node", f"{node['score_difference']:.1e}"],
        [f"same choices as JAX, of {trials} official trials", f"{node['same_choices']}"],
        ["right choices of the page in these trials", percent(node["accuracy"]) + " %"],
    ]
    return table(["", "measured"], lines)


def serving() -> str:
    """How many requests a service answers in a second, and how long they take."""
    names = {"batched": "as it is", "one_at_a_time": "each picture embedded alone"}
    figures = ("per_second", "p50_ms", "p99_ms")
    lines = [
        [names[one["mode"]], str(one["clients"]), *(f"{one[figure]:.0f}" for figure in figures)]
        for one in _of_serving()["load"]
    ]
    return table(["service", "clients", "requests/s", "p50 (ms)", "p99 (ms)"], lines)


def serving_memory() -> str:
    """What memory a service takes after an hour's worth of requests."""
    measured = _of_serving()["memory"]
    marks = {"at the start": 0, "after a quarter": len(measured["rss_mb"]) // 4, "at the end": -1}
    lines = [[when, f"{measured['rss_mb'][place]:.0f}"] for when, place in marks.items()]
    what = f"{measured['requests']:,.0f} requests in {measured['seconds'] / 60:.1f} minutes"
    return table([what, "memory (MB)"], lines)


def hostile() -> str:
    """What a service answers to hostile requests."""
    return table(
        ["requests", "number", "answers"],
        [
            [HOSTILE[kind], f"{sum(counts.values()):,}", ", ".join(f"{status}: {n}" for status, n in counts.items())]
            for kind, counts in _of_serving()["hostile"]["kinds"].items()
        ],
    )


HOSTILE = {
    "truncated": "pictures that end anywhere",
    "damaged": "pictures with wrong bytes",
    "bombs": "small files of many pixels or much text",
    "json_bombs": "deep or long JSON, or none",
    "too_long": "bodies that are too long",
    "many_parts": "forms with thousands of parts or headers",
    "slow": "a byte at a time, and never a whole request",
    "half_closed": "connections that the client half closes",
    "malformed": "what is not HTTP",
    "odd_values": "fields at and beyond their bounds",
    "schemathesis": "made by schemathesis from the description",
}


def faults() -> str:
    """The fault campaign, as it ran last."""
    rows = json.loads((ROOT / "benchmarks" / "results" / "faults.json").read_text())["rows"]
    counts = ("tried", "survived", "nothing_lost")
    lines = [[row["part"], row["fault"], *(str(row[name]) for name in counts)] for row in rows]
    lines.append(["", "**in all**", *(f"**{sum(row[name] for row in rows)}**" for name in counts)])
    return table(["part", "fault", "tried", "survived", "nothing lost"], lines)


def _of_serving() -> dict[str, Any]:
    return json.loads((ROOT / "benchmarks" / "results" / "serving.json").read_text())


def export_parity() -> str:
    """How far exported networks are from JAX, in two runtimes."""
    lines = []
    for point in exports():
        names = [point["network"].replace("best, as shipped", "`best`"), f"`{point['energy']}`"]
        side, channels = point["image"][0], point["image"][2]
        assert channels == 1
        assert point["source"] == "Lake's 20 official runs"
        cells = [
            f"{found[what]['largest']:.1e} ({found[what]['range']:.2g})"
            for found in (point["onnxruntime"], point["onnxruntime_web"])
            for what in ("embeddings", "scores")
        ]
        same = [point[runtime]["choices"] for runtime in ("onnxruntime", "onnxruntime_web")]
        lines.append([f"{names[0]}, {side}×{side}", names[1], *cells, " and ".join(map(str, same))])
    of_each = [f"{runtime}: {what}" for runtime in ("native", "wasm") for what in ("embeddings", "scores")]
    return table(["tower", "energy", *of_each, "same choices of 400"], lines)


def export_formats() -> str:
    """How far the other formats of the shipped network are from JAX."""
    (best,) = [point for point in exports() if "stablehlo" in point]
    lines = [
        [
            name,
            best[name]["runtime"],
            *(
                f"{best[name][what]['largest']:.1e} ({best[name][what]['range']:.2g})"
                for what in ("embeddings", "scores")
            ),
            str(best[name]["choices"]),
        ]
        for name in ("stablehlo", "safetensors")
    ]
    return table(["format", "read by", "embeddings", "scores", "same choices of 400"], lines)


def exports() -> list[dict[str, Any]]:
    """Return what the benchmark of exports found for each network."""
    return json.loads((ROOT / "benchmarks" / "results" / "export_parity.json").read_text())["points"]


def table_1() -> str:
    """The paper's table 1."""
    lines = [[f"{pairs:,}", f"{plain:.2f}", f"{copies:.2f}"] for pairs, (plain, copies) in published.TABLE_1.items()]
    return table(["training pairs", "no distortions (%)", "8 distorted copies (%)"], lines)


def table_2() -> str:
    """The paper's table 2 and what others published of the same task."""
    theirs = {who: (f"{value:.1f}", "the paper, table 2") for who, value in published.TABLE_2.items()}
    theirs |= {
        who: (f"{value:.1f}", source) for who, (value, source) in (published.ELSEWHERE | published.OF_FIVE).items()
    }
    lines = [[who, *cells] for who, cells in sorted(theirs.items(), key=lambda row: -float(row[1][0]))]
    return table(["who", "accuracy (%)", "source"], lines)


def table_3() -> str:
    """The paper's table 3 beside what was measured here."""
    theirs = [[who, f"{value:.1f}", "400", "published"] for who, value in published.TABLE_3.items()]
    measured = earlier()["runs"]
    neighbour = measured["baselines_20way"]["baselines"]["nearest_neighbour"]["mnist_10way_10000"]
    ours = [
        ("`omniglot_20way_best`, seed 0", runs()["omniglot_20way_best"][0]["one_shot"]["mnist_10way"]),
        ("`omniglot_20way_best`, seed 0", runs()["omniglot_20way_best"][0]["one_shot"]["mnist_10way_10000"]),
        ("`mnist_10way`", measured["mnist_10way"]["one_shot"]["mnist_10way"]),
        ("`mnist_10way`", measured["mnist_10way"]["one_shot"]["mnist_10way_10000"]),
        ("`baselines_20way`: nearest neighbour on pixels", neighbour),
    ]
    lines = [[who, f"{percent(r['accuracy'])} ({interval_of(r)})", f"{r['trials']:,}", "measured"] for who, r in ours]
    return table(["who", "accuracy (%)", "trials", ""], [*theirs, *lines])


def departures_of(name: str) -> Callable[[], str]:
    """Returns the renderer of the differences between an experiment and the paper."""

    def lines() -> str:
        return bullets([*differences(find(name)), *choices(find(name))])

    return lines


def earlier_runs() -> str:
    """Runs whose reports were not kept."""
    lines = []
    for name, run in earlier()["runs"].items():
        parts = [
            ("", run.get("one_shot", {})),
            *((f"{BASELINES[who]}, ", part) for who, part in run.get("baselines", {}).items()),
        ]
        shown = [
            f"{who}`{protocol}` {percent(result['accuracy'])} ({interval_of(result)})"
            for who, part in parts
            for protocol, result in part.items()
            if protocol in ("official_runs", "mnist_10way_10000") or name == "mnist_10way"
        ]
        lines.append([f"`{name}`", f"`{run['command'].split('siamese_jax.main ')[1]}`", run["known"], *_or_dash(shown)])
    return table(["run", "flags", "what is known", "accuracy (%)"], lines)


def own_pictures() -> str:
    """One-shot recognition of emoji by networks that were trained on a folder, and by what they are compared with."""
    colour, grey = runs()["emoji"][0], runs()["emoji_grey"][0]
    tutorial = json.loads((ROOT / "benchmarks" / "results" / "emoji_tutorial.json").read_text())
    rows = [
        ("`own_images`", colour["one_shot"]["within_alphabet"], f"{colour['minutes']:.0f}"),
        ("the same in grey", grey["one_shot"]["within_alphabet"], f"{grey['minutes']:.0f}"),
        ("contrastive network of PyTorch tutorials", tutorial, f"{tutorial['minutes']:.0f}"),
        ("nearest neighbour on pixels", colour["nearest_neighbour"]["within_alphabet"], "–"),
        ("nearest neighbour on pixels in grey", grey["nearest_neighbour"]["within_alphabet"], "–"),
    ]
    lines = [
        [who, f"{percent(result['accuracy'])} ({interval_of(result)})", f"{result['trials']:,}", minutes]
        for who, result, minutes in rows
    ]
    return table(["who", "accuracy (%)", "trials", "minutes"], lines)


def _or_dash(shown: list[str]) -> list[str]:
    return ["; ".join(shown) or "–"]


GENERATED: dict[str, Callable[[], str]] = {
    "in-short": in_short,
    "all-runs": all_runs,
    "earlier-runs": earlier_runs,
    "protocols": protocols,
    "protocol-names": protocol_names,
    "ways": ways,
    "verification": verification,
    "splits": splits,
    "registry": registry,
    "flag-files": flag_files,
    "searched": searched,
    "shipped": shipped,
    "calibrated": calibrated,
    "unknown": unknown,
    "prediction-sets": sets_of_classes,
    "galleries": galleries,
    "faults": faults,
    "serving": serving,
    "serving-memory": serving_memory,
    "serving-hostile": hostile,
    "export-parity": export_parity,
    "export-formats": export_formats,
    "own-pictures": own_pictures,
    "page": page,
    "table-1": table_1,
    "table-2": table_2,
    "table-3": table_3,
    "departures-paper": departures_of("omniglot_20way"),
    "departures-paper-network": departures_of(PAPER_NETWORK),
    "departures-best": departures_of("omniglot_20way_best"),
}
"""What each generated part of a page holds, by its name."""


def compared() -> dict[str, dict[str, Any]]:
    """Returns the bars of docs/comparison.png that were measured here: label -> accuracy and interval."""
    bars = {f"{name}, seed 0": runs()[name][0]["one_shot"]["official_runs"] for name in COMPARED}
    measured = earlier()["runs"]
    bars["omniglot_20way_small, seed 0"] = measured["omniglot_20way_small"]["one_shot"]["official_runs"]
    for who, part in measured["baselines_20way"]["baselines"].items():
        bars[f"baselines_20way: {BASELINES[who]}"] = part["official_runs"]
    return bars


def draw_comparison(path: Path) -> None:
    """Draws docs/comparison.png; its figures stand in the file, too, so that a test can read them."""
    from siamese_jax import plots

    bars = compared()
    theirs = published.TABLE_2 | {who: value for who, (value, _) in published.ELSEWHERE.items()}
    figure = plots.comparison_figure(
        list(bars), [bar["accuracy"] for bar in bars.values()], [tuple(bar["ci95"]) for bar in bars.values()], theirs
    )
    figure.savefig(path, format="png", metadata={"Description": json.dumps({"measured": bars, "published": theirs})})


def main() -> None:
    """Rewrites every page and draws both pictures."""
    for page in pages():
        text = page.read_text()
        if rendered(text) != text:
            files.write_text(page, rendered(text))
            print(f"written: {page.relative_to(ROOT)}")
    files.write_text(ROOT / "docs" / "architecture.svg", architecture(layers()))
    draw_comparison(ROOT / "docs" / "comparison.png")


if __name__ == "__main__":
    main()
