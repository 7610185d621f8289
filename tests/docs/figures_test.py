"""Figures in README.md and docs/ are those of the records: tables are generated, sentences are compared."""

import json
import re
import statistics

import pages
import pytest
import record_runs
from docs_records import PAPER_NETWORK, accuracies, card, earlier, interval_of, mean, runs
from PIL import Image
from write_docs import GENERATED, PART, architecture, compared, decided, layers, rendered

from siamese_jax import published
from siamese_jax.experiments import find
from siamese_jax.report.tables import interval, percent

BEST = "omniglot_20way_best"
OWN = published.PAPER_NETWORK


def tenth(fraction: float) -> str:
    """Return a fraction in per cent with one decimal."""
    return f"{100 * fraction:.1f}"


def both(name: str, protocol: str = "official_runs") -> str:
    """Return the accuracies of two seeds in words."""
    return " and ".join(map(percent, accuracies(name, protocol)))


def minutes(name: str) -> float:
    """Return the mean minutes of a recorded experiment."""
    return mean([row["minutes"] for row in runs()[name]])


def sentences() -> dict[str, list[str]]:
    """Return sentences by page, with their figures taken from the records. Each must stand on its page."""
    shipped, measured, copied = card(), earlier()["runs"], earlier()
    verified, official = shipped.verification.test, published.TABLE_2
    paper, humans = official[OWN], official["humans"]
    small = measured["omniglot_20way_small"]["one_shot"]
    best = runs()[BEST][0]["one_shot"]
    tasks = ("official_runs", "koch_400", "within_alphabet", "unstructured")
    of_tasks = [sorted(result[task]["accuracy"] for task in tasks) for result in (best, small)]
    koch = [row["one_shot"]["koch_400"] for row in runs()[BEST]]
    four = runs()["fast_in_4_minutes"][0]
    tested = sorted(found["official_runs"] for found in copied["fast_in_4_minutes"]["tested"].values())
    start, search = measured["paper_initialiser"], copied["paper_learning"]
    neighbour, hausdorff = measured["baselines_20way"]["baselines"].values()
    ahead, dense = copied["differences"]["best - fast"], copied["differences"]["small - dense"]
    step = statistics.median(
        json.loads((pages.ROOT / "benchmarks" / "results" / "train_loop_105.json").read_text())["ours_s"]
    )
    digits = shipped.one_shot["mnist_10way_10000"]
    short = measured["omniglot_20way"]
    (of_20,) = [one for one in decided().galleries if one.classes == 20]
    (strict, _, lax), (_, sets), warning = of_20.open_set, of_20.prediction_sets, decided().familiarity
    on_lakes = [name for name, rows in runs().items() if "official_runs" in rows[0]["one_shot"]]
    widest = max(max(accuracies(name)) - min(accuracies(name)) for name in on_lakes)
    return {
        "README.md": [
            f"Humans answer {humans} % of the 400 official trials",
            f"`{BEST}` answers {tenth(mean(accuracies(BEST)))} %, after {minutes(BEST):.0f} minutes",
            f"whether its {paper} % is on these trials",
            f"why one network scores {100 * of_tasks[0][0]:.0f} to {100 * of_tasks[0][-1]:.0f} %",
            f"Why not {paper:.0f} %?",
        ],
        "docs/pretrained.md": [
            f"{percent(verified.accuracy)} % of {verified.pairs:,} test pairs are right ({interval(verified.ci95)})",
            f"{tenth(digits.accuracy)} % on {digits.card.trials:,} ten-way trials of MNIST digits "
            f"({interval(digits.ci95)}), where the paper's network has "
            f"{published.TABLE_3[OWN]} % on 400",
            f"({percent(accuracies(BEST, 'validation')[1])} %, against "
            f"{percent(accuracies(BEST, 'validation')[0])} % for seed 0), and it reaches "
            f"{percent(accuracies(BEST)[1])} %",
            f"With 20 enrolled characters, {percent(strict.dir)} % of known queries are identified at an FPIR of 1 %, "
            f"and {percent(lax.dir)} % at 10 %",
            f"sets of {sets.mean_size:.2f} characters on average hold the right one for "
            f"{percent(sets.measured_coverage)} % of the queries",
            f"By mistake {percent(warning.measured_false_alarm_rate)} % of the test drawings get it "
            f"({interval(warning.measured_false_alarm_rate_ci95)})",
        ],
        "docs/accuracy.md": [
            f"humans score {humans} %",
            f"`{BEST}` scores {tenth(mean(accuracies(BEST)))} % after {minutes(BEST):.0f} minutes",
            f"scores {tenth(mean(accuracies(PAPER_NETWORK)))} % here when it is trained on whole alphabets; the paper "
            f"reports {paper} %",
            f"differ by up to {100 * widest:.1f} points on the official runs",
            f"Its two seeds score {both(PAPER_NETWORK)} % on the official runs",
            f"It scores {percent(four['one_shot']['official_runs']['accuracy'])} % "
            f"({interval_of(four['one_shot']['official_runs'])}) after {four['minutes']} minutes",
            f"and the other three reach {tenth(tested[0])}–{tenth(tested[-1])} %",
            f"Expect about {100 * tested[-1]:.0f} %.",
            f"extrapolated from {128 / step:.0f} pairs/s. An update of 128 pairs takes {step:.1f} s on two cores",
        ],
        "docs/evaluation.md": [
            f"the same network scores {100 * of_tasks[0][0]:.0f} to {100 * of_tasks[0][-1]:.0f} % (`best`) or "
            f"{100 * of_tasks[1][0]:.0f} to {100 * of_tasks[1][-1]:.0f} % (`small`)",
            f"scores {percent(koch[0]['accuracy'])} % ({interval_of(koch[0])}) with seed 0 and "
            f"{percent(koch[1]['accuracy'])} % ({interval_of(koch[1])}) with seed 1",
            "Both are 95 % bootstrap intervals",
            f"its published accuracy is {published.ELSEWHERE['modified Hausdorff distance'][0]:.1f} %; "
            f"measured here, it is {percent(hausdorff['official_runs']['accuracy'])} %",
            f"scores {tenth(neighbour['official_runs']['accuracy'])} % on the official runs, where the paper prints "
            f"{official['1-nearest neighbour']} %",
            f"On 10,000 MNIST trials it scores {tenth(neighbour['mnist_10way_10000']['accuracy'])} % "
            f"({interval_of(neighbour['mnist_10way_10000'])}), where the paper prints "
            f"{published.TABLE_3['1-nearest neighbour']} %",
            f"by {ahead['points']} points. That could be chance (−{-ahead['ci95'][0]} to {ahead['ci95'][1]}, "
            f"p = {ahead['p']})",
            f"by {dense['points']} points ({dense['ci95'][0]} to {dense['ci95'][1]})",
        ],
        "docs/paper.md": [
            f"In its first {short['steps']} steps the loss fell from {short['loss_at_start']:.2f} to "
            f"{short['loss_at_end']}",
            f"{100 * start['saturated_sigmoids']:.0f} % of its 4096 sigmoids start beyond ±4",
            f"Over {start['images']} validation images the standard deviation of a unit is "
            f"{start['unit_deviation']}. With the scaled initialisation it is {start['unit_deviation_scaled']}.",
            f"({start['loss_after_epoch_1']}) through the first epoch",
            f"it answers {tenth(start['one_shot']['validation']['accuracy'])} % of 320 validation trials "
            f"({interval_of(start['one_shot']['validation'])}); with the scaled initialisation it answers "
            f"{tenth(start['validation_with_scaled_weights'])} %",
            f"one of them prints {published.TABLE_1[90_000][1]} for 30,000 pairs",
        ],
        "docs/searching.md": [
            f"tried {search['trials']} candidates in {search['minutes']} minutes on one core; {search['pruned']} of "
            "them were pruned",
            f"reach {percent(search['by_hand'])} %",
            f"The winner, candidate {search['winner_trial']}, reaches {percent(search['winner'])} %: the best of "
            f"{search['trials']}",
        ],
    }


MEASUREMENT = re.compile(r"(?<![\w.\-=/])\d[\d,]*(?:\.\d+)? ?%|(?<![\w.\-=/])\d+\.\d+(?![\w.]|-)")
"""A percentage, or a number with decimals."""
NOT_MEASURED = {
    "README.md": ["Python 3.11", "CC BY-SA 3.0", "takes 1.3 GB"],
    "docs/start.md": ["Python 3.11"],
    "docs/accuracy.md": ["95 % interval"],
    "docs/pretrained.md": ["95 % interval", "(2.3 MB)"],
    "docs/searching.md": ["95 % interval"],
    "docs/data.md": ["CC BY-SA 3.0", "Apache 2.0", "CC BY 4.0", "CC BY-SA 4.0"],
    "docs/paper.md": ["Section 3.2"],
    "docs/evaluation.md": ["rate of 1, 5 and 10 %", "90 or 95 %"],
}
"""Numbers of that form that nobody measured."""
OF_OTHERS = {"docs/ladder.md", "docs/results.md", "docs/benchmarks.md"}
"""Pages that a tool writes as a whole, with a test of its own, and the benchmarks."""
WRITTEN = [page for page in pages.PAGES if pages.name(page) not in OF_OTHERS]


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name)
def test_generated_parts_are_those_of_the_records(page):
    text = page.read_text()
    assert text == rendered(text), "run python tools/write_docs.py"


def test_every_generated_part_is_shown_somewhere():
    shown = {part[2] for page in pages.PAGES for part in PART.finditer(page.read_text())}
    assert shown == set(GENERATED)


@pytest.mark.parametrize(("page", "sentence"), [(page, one) for page, all_ in sentences().items() for one in all_])
def test_a_sentence_has_the_figures_of_the_records(page, sentence):
    assert sentence in pages.prose(pages.ROOT / page)


@pytest.mark.parametrize("page", WRITTEN, ids=pages.name)
def test_no_figure_stands_in_a_sentence_without_a_record(page):
    prose, covered = pages.prose(page), set()
    for one in [*sentences().get(pages.name(page), []), *NOT_MEASURED.get(pages.name(page), [])]:
        for found in re.finditer(re.escape(one), prose):
            covered |= set(range(*found.span()))
    prose_without_code = re.sub(r"`[^`]*`|\]\([^)]*\)", lambda code: " " * len(code[0]), prose)
    figures = [found for found in MEASUREMENT.finditer(prose_without_code) if found.start() not in covered]
    assert [prose[max(0, found.start() - 40) : found.end() + 10] for found in figures] == []


def expected(name: str) -> str:
    """Return what the registry, or the first lines of a flag file, say of a result."""
    file = pages.ROOT / "experiments" / f"{name}.flags"
    return file.read_text().partition("# result: ")[2].partition("\n--")[0] if file.exists() else find(name).expected


def cost(name: str) -> str:
    """Return what the registry, or the first lines of a flag file, say of the cost on a CPU."""
    file = pages.ROOT / "experiments" / f"{name}.flags"
    return file.read_text().partition("# cost: ")[2].partition("\n")[0] if file.exists() else find(name).cost_cpu


@pytest.mark.parametrize("name", runs())
def test_the_registry_and_flag_files_say_what_is_recorded(name):
    assert expected(name).startswith(record_runs.expected(runs()[name]))
    assert cost(name).startswith(record_runs.cost(runs()[name]))


def test_the_readme_shows_what_the_first_experiment_prints():
    found = earlier()["runs"]["glyphs_20way"]["one_shot"]["official_runs"]
    low, high = found["ci95"]
    line = f"official runs, 20-way 1-shot: {found['accuracy']:.2%} ({low:.1%} to {high:.1%}; {found['trials']} trials)"
    assert line in pages.README.read_text()


def test_records_in_words():
    def row(seed, accuracy, minutes):
        result = {"accuracy": accuracy, "ci95": [accuracy - 0.01, accuracy + 0.02], "trials": 400}
        return {"seed": seed, "minutes": minutes, "one_shot": {"official_runs": result}}

    one, two, three = row(0, 0.915, 3.5), row(1, 0.97, 3.04), row(2, 0.9, 102.4)
    assert record_runs.expected([one]) == "official runs 91.50 % (90.5 to 93.5; 400 trials)"
    assert record_runs.expected([one, two]) == "official runs 91.50 and 97.00 % (seeds 0 and 1; 400 trials each)"
    assert record_runs.expected([one, two, three]).startswith("official runs 91.50, 97.00 and 90.00 % (seeds 0 to 2;")
    assert [record_runs.cost(rows) for rows in ([one], [one, two], [three], [row(0, 0.9, 10.6), row(1, 0.9, 9.2)])] == [
        "3.5 min", "3 to 3.5 min", "1 h 42 min", "9 to 11 min",
    ]  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(earlier()["runs"]) - {"omniglot_20way"}))
def test_the_registry_and_flag_files_expect_what_was_copied(name):
    run = earlier()["runs"][name]
    for part in (run.get("one_shot", {}), *run.get("baselines", {}).values()):
        for protocol in {"official_runs", "mnist_10way"} & set(part):
            if name != "omniglot_20way_small" or protocol == "official_runs":
                result = part[protocol]
                low, high = (tenth(bound) for bound in result["ci95"])
                assert f"{low} to {high}" in expected(name)
                assert re.search(rf"\b{percent(result['accuracy']).rstrip('0').rstrip('.')}", expected(name))


def test_the_picture_of_comparisons_shows_the_records():
    with Image.open(pages.DOCS / "comparison.png") as picture:
        drawn = json.loads(picture.text["Description"])
    theirs = published.TABLE_2 | {who: value for who, (value, _) in published.ELSEWHERE.items()}
    assert drawn == json.loads(json.dumps({"measured": compared(), "published": theirs}))


def test_the_picture_of_the_architecture_shows_the_layers_of_the_house_test():
    assert (pages.DOCS / "architecture.svg").read_text() == architecture(layers()), "run python tools/write_docs.py"


def test_earlier_figures_are_of_experiments_and_flag_files_that_exist():
    for name, run in earlier()["runs"].items():
        flag = run["command"].split("siamese_jax.main ")[1]
        if flag.startswith("--experiment="):
            assert flag == f"--experiment={find(name).name}"
        else:
            assert (pages.ROOT / flag.removeprefix("--flagfile=")).exists()


def test_a_figure_without_a_record_is_found():
    found = MEASUREMENT.findall(
        "It has 97.5 % (3 seeds), 12 %, 1,200 steps, a rate of 0.05, and Winograd 3×3, at 1e-3."
    )
    assert found == ["97.5 %", "12 %", "0.05"]
