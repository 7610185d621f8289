"""The report says what was measured, what was published, and where the two are not alike."""

import copy
import dataclasses
import itertools
import json
import re

import pytest
from example_run import RESULTS, SMALL, changed, line_with

from siamese_jax.errors import UserError
from siamese_jax.report import PICTURES, report, write_report, write_results
from siamese_jax.report.tables import table
from siamese_jax.specs import with_value


def test_every_measured_accuracy_stands_with_its_trials_and_interval():
    text = report(SMALL, RESULTS)
    official = line_with(text, "Lake's 20 official runs", "| ")
    assert all(
        part in official for part in ("20-way 1-shot", "400", "353", "88.25", "84.1–91.3", "82.2–93.1", "5.0", "1–8")
    )
    random = line_with(text, "random trials within alphabet", "| ")
    assert all(part in random for part in ("10,000", "8,654.5", "86.5", "85.0–88.0", "81.0–92.0", "17–18, 20"))
    test = line_with(text, "| test", "92.22")
    assert all(part in test for part in ("9,990", "91.1–93.3", "0.470"))


def test_glyphs_are_called_what_they_are_and_not_set_beside_the_papers_figures():
    data = {**RESULTS["data"], "name": "glyphs"}
    text = report(with_value(SMALL, "data.name", "glyphs"), changed(data=data))
    assert "rendered glyphs, not handwriting; not comparable with Omniglot figures" in text
    assert "the data set's own 20 runs" in text
    assert "The images are glyphs, not Omniglot." in text
    assert not any(word in text for word in ("published figures", "| published", "table 1", "table 2", "Lake"))
    assert "88.25" in text


def test_drawers_that_were_trained_on_are_admitted_and_only_then():
    text = report(SMALL, RESULTS)
    assert "* Of Lake's 20 official runs: drawers numbered 1, 2 also drew characters, of other alphabets." in text
    assert "`--data.drawer_split=official` holds the drawers of the official runs out of training." in text
    clean = report(SMALL, changed(one_shot={"within_alphabet": RESULTS["one_shot"]["within_alphabet"]}))
    assert "drawers numbered" not in clean
    assert "drawer_split=official`" not in clean


def test_a_warning_is_told_once_with_all_that_it_is_said_of():
    assert "* Of random trials within alphabet: 3 trials have equal highest scores." in report(SMALL, RESULTS)
    both = copy.deepcopy(RESULTS)
    both["one_shot"]["official_runs"]["warnings"] = ["3 trials have equal highest scores"]
    said = line_with(report(SMALL, both), "equal highest")
    assert said == ("* Of Lake's 20 official runs; random trials within alphabet: 3 trials have equal highest scores.")


def test_a_protocol_that_was_refused_is_named_with_the_reason():
    text = report(SMALL, changed(not_measured={"koch_400": "the smallest alphabet has 5 characters"}))
    assert "* Not measured: `koch_400`, since the smallest alphabet has 5 characters." in text


def test_protocols_that_differ_in_ways_and_shots_alone_stand_in_a_table_of_both():
    part = {**RESULTS["one_shot"]["within_alphabet"], "card": {"protocol": "within alphabet, all drawers"}}
    grid = {
        f"{n}_way_{k}_shot": {**part, "n_way": n, "k_shot": k, "accuracy": (n + k) / 100, "trials": 3000}
        for n in (2, 20)
        for k in (1, 5)
    }
    text = report(SMALL, changed(one_shot=RESULTS["one_shot"] | grid)).split("### By the number of ways")[1]
    assert "Within alphabet, all drawers (17–18, 20); 3,000 trials a cell" in text
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.split("\n\n")[2].splitlines()]
    assert rows[0] == ["", "2-way", "20-way"]
    assert rows[2:] == [
        ["1-shot (%)", "3.00 (85.0–88.0)", "21.00 (85.0–88.0)"],
        ["5-shot (%)", "7.00 (85.0–88.0)", "25.00 (85.0–88.0)"],
        ["chance (%)", "50.0", "5.0"],
    ]


@pytest.mark.parametrize(
    ("combine", "words"), [("mean_score", "mean of its images' scores"), ("best_score", "best of")]
)
def test_how_several_supports_are_combined_is_told_where_there_are_several(combine, words):
    assert words not in report(with_value(SMALL, "evaluation.combine", combine), RESULTS)
    card = {"protocol": "within alphabet", "combine": combine}  # a run may be measured otherwise than it was trained
    five = {**RESULTS["one_shot"]["within_alphabet"], "k_shot": 5, "card": card}
    text = report(SMALL, changed(one_shot={"20_way_5_shot": five}))
    assert words in text
    assert "| 5-shot (%)" in text


def test_credit_of_ties_is_told_to_two_places():
    third = {**RESULTS["one_shot"]["official_runs"], "correct": 352 + 1 / 3}
    assert "352.33 " in line_with(
        report(SMALL, changed(one_shot={"official_runs": third})), "Lake's 20 official runs |"
    )


def test_baselines_stand_in_tables_of_their_own_without_the_words_of_training():
    official = RESULTS["one_shot"]["official_runs"]
    about = {name: RESULTS[name] for name in ("experiment", "seed", "command", "data")}
    measured = {"modified_hausdorff": {"official_runs": {**official, "accuracy": 0.6125, "correct": 245}}}
    text = report(dataclasses.replace(SMALL, method="baselines"), {**about, "baselines": measured}, pictures=())
    row = line_with(text, "modified Hausdorff distance, Lake's 20 official runs", "| ")
    assert all(part in row for part in ("400", "245", "61.25", "84.1–91.3"))
    assert "61.25" in line_with(text, "**modified Hausdorff distance**", "measured")
    assert "Nothing was trained, and nothing chosen." in text
    assert "learning rate" not in text


def test_sets_training_and_the_way_to_run_it_again_are_told():
    rows = [{"cross_entropy": 0.7012}, {"validation_one_shot": 0.5}, {"cross_entropy": 0.1234}, {"cross_entropy": None}]
    text = report(SMALL, RESULTS, rows)
    assert "0.701 at first, 0.123 at last" in text
    assert all(part in text for part in ("43 epochs", "12,345 steps", "25 minutes", "1,234 pairs", "validation: 23"))
    assert "* train: Latin, Greek" in text
    assert "17–18, 20" in line_with(text, "| test", "75")
    assert "\n    python -m siamese_jax.main --experiment=omniglot_20way_small --seed=7\n" in text
    assert "JAX 0.10.2" in text


def test_unfinished_training_is_called_unfinished():
    training = {**RESULTS["training"], "stopped_by": "not finished"}
    assert "training is not finished" in report(SMALL, changed(training=training))


def test_missing_parts_are_left_out_and_the_rest_remains():
    bare = {name: RESULTS[name] for name in ("experiment", "seed", "command", "data")}
    text = report(SMALL, bare, pictures=())
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == [
        "## Alphabets and drawers",
        "## What differs from the paper",
        "## What the paper leaves open",
        "## To run it again",
    ]
    assert "table 1" not in report(SMALL, changed(verification={}))
    assert "table 2" not in report(SMALL, changed(one_shot={"within_alphabet": RESULTS["one_shot"]["within_alphabet"]}))


def test_tables_are_aligned_in_raw_text_and_whole_in_markdown():
    lines = report(SMALL, RESULTS).splitlines()
    for before, line in itertools.pairwise(lines):
        if before.startswith("|") and line.startswith("|"):
            assert [i for i, c in enumerate(before) if c == "|"] == [i for i, c in enumerate(line) if c == "|"]
        elif line.startswith("|"):
            assert before == ""


def test_verification_tells_both_kinds_of_error_on_test_with_intervals():
    text = report(SMALL, RESULTS)
    assert all(part in line_with(text, "| area under the ROC curve") for part in ("97.34", "96.1–98.2"))
    assert all(part in line_with(text, "| equal error rate") for part in ("7.89", "6.1–9.5"))
    assert all(part in line_with(text, "| 0.1 %", "false accepts |") for part in ("0.23", "0.1–0.4"))
    assert all(part in line_with(text, "| 0.1 %", "true accepts") for part in ("43.21", "40.1–45.6"))
    assert "chosen on validation, and applied to test" in text


def test_a_run_from_before_errors_and_alphabets_were_measured_is_reported_without_them():
    old = copy.deepcopy(RESULTS)
    for part in old["one_shot"].values():
        del part["ci95_by_alphabet"]
    old["verification"]["test"] = {
        name: old["verification"]["test"][name] for name in ("pairs", "threshold", "accuracy", "ci95")
    }
    old["training"]["pairs_per_second"] = None  # as results.json has it where it was not a number
    text = report(SMALL, old)
    assert "by alphabet" not in text
    assert "equal error" not in text
    assert "pairs a second" not in text
    assert "92.22" in text


def test_every_picture_stands_in_the_section_where_it_belongs():
    belongs = {
        "One-shot recognition": ["trial", "n_way", "alphabets", "hardest", "confused", "units"],
        "Verification": ["roc"],
        "Training": ["training", "distortions"],
        "Network": ["filters"],
    }
    sections = dict(part.split("\n", 1) for part in report(SMALL, RESULTS).split("\n## ")[1:])
    shown = {heading: re.findall(r"\]\((\w+)\.png\)", text) for heading, text in sections.items()}
    assert {heading: names for heading, names in shown.items() if names} == belongs
    assert "## Network" not in report(SMALL, RESULTS, pictures=[name for name in PICTURES if name != "filters.png"])


def test_the_files_are_written_and_show_only_pictures_that_are_there(tmp_path):
    (tmp_path / "training.png").write_bytes(b"")
    write_results(tmp_path, RESULTS)
    write_report(tmp_path, SMALL, RESULTS, [])
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "](training.png)" in text
    assert "trial.png" not in text
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count("<img") == 1
    assert json.loads((tmp_path / "results.json").read_text())["verification"]["test"]["ci95"] == [0.911, 0.933]
    with pytest.raises(UserError, match=r"report.md could not be written"):
        write_report(tmp_path / "training.png", SMALL, RESULTS, [])


def test_numbers_stand_to_the_right_and_words_to_the_left():
    rows = [["a|b", "4.5", "**12**", "seen", "–"], ["c", "–", "+1.0 to 2", "1 of 2", "< 0.001"]]
    lines = table(["what", "x", "y", "z", "p"], rows).splitlines()
    assert lines[1].replace("-", "") == "|  | : | : |  | : |"
    assert lines[2] == "| a\\|b | 4.5 |    **12** | seen   |       – |"


def test_averaged_views_stand_apart_from_the_plain_figures():
    official = RESULTS["one_shot"]["official_runs"]
    viewed = {**official, "accuracy": 0.91, "correct": 364, "card": {**official["card"], "views": 8}}
    text = report(SMALL, changed(one_shot_views={"official_runs": viewed}))
    plain, apart = text.split("### With averaged views")
    assert "mean over 8 views: itself and 7 affine distortions" in apart
    assert "91.00" in line_with(apart.split("###")[0], "Lake's 20 official runs")
    assert "91.00" not in plain
    assert "91.00" not in apart.split("###")[1]
    assert "averaged views" not in report(SMALL, RESULTS)
