"""The report says what was measured, what was published, and where the two are not alike."""

import copy
import dataclasses
import itertools
import json

import pytest

from siamese_jax.report import DIFFERENCES, PAPER, choices, differences, report, write_report, write_results
from siamese_jax.specs import DESCRIPTION, LayerSpec, OptimizerSpec, UserError, leaves, with_value

SMALL = dataclasses.replace(
    with_value(with_value(PAPER, "data.downsample", 3), "network.conv1.size", 5),
    name="omniglot_20way_small",
    summary="The paper's task at 35×35",
    optimizer=OptimizerSpec(layers={"conv1": LayerSpec(0.02, 0.9, 2e-4), "out": LayerSpec(0.03, 0.9, 0.0)}),
)
ONE_SHOT = {
    "n_way": 20,
    "k_shot": 1,
    "ties": 0,
    "drawers": [1, 2, 3, 4, 5, 6, 7, 8],
    "warnings": [],
    "card": {"protocol": "the runs released with the data"},
}
RESULTS = {
    "experiment": "omniglot_20way_small",
    "seed": 7,
    "command": "python -m siamese_jax.main --experiment=omniglot_20way_small --seed=7",
    "data": {
        "name": "omniglot",
        "image_side": 35,
        "drawer_split": "paper",
        "sets": {
            "train": {"alphabets": ["Latin", "Greek"], "characters": 50, "drawers": [*range(1, 13)], "images": 600},
            "validation": {"alphabets": ["Keble"], "characters": 26, "drawers": [13, 14, 15, 16], "images": 104},
            "test": {"alphabets": ["Tengwar"], "characters": 25, "drawers": [17, 18, 20], "images": 75},
        },
    },
    "training": {
        "epochs": 43,
        "steps": 12345,
        "seconds": 1500.0,
        "best_epoch": 23,
        "best_validation_accuracy": 0.8,
        "pairs_per_second": 1234.5,
        "stopped_by": "patience",
    },
    "environment": {
        "siamese_jax": "0.1.0",
        "jax": "0.10.2",
        "python": "3.11.2",
        "backend": "cpu",
        "device": "cpu",
        "devices": 1,
        "cores": 2,
    },
    "verification": {
        "validation": {"pairs": 10000, "threshold": 0.47, "accuracy": 0.9311, "ci95": (0.92, 0.94)},
        "test": {
            "pairs": 9990,
            "threshold": 0.47,
            "accuracy": 0.9222,
            "ci95": (0.911, 0.933),
            "auc": 0.9734,
            "auc_ci95": (0.961, 0.982),
            "equal_error_rate": 0.0789,
            "equal_error_rate_ci95": (0.061, 0.095),
            "operating_points": [
                {
                    "false_accept_rate": 0.001,
                    "measured_false_accept_rate": 0.0023,
                    "measured_false_accept_rate_ci95": (0.001, 0.004),
                    "true_accept_rate": 0.4321,
                    "true_accept_rate_ci95": (0.401, 0.456),
                    "false_reject_rate": 0.5679,
                    "threshold": 0.93,
                }
            ],
        },
    },
    "one_shot": {
        "official_runs": {
            **ONE_SHOT,
            "trials": 400,
            "correct": 353,
            "accuracy": 0.8825,
            "ci95": (0.841, 0.913),
            "ci95_by_alphabet": (0.822, 0.931),
            "drawers_seen_in_training": [1, 2, 3, 4, 5, 6, 7, 8],
            "warnings": ["drawers numbered 1, 2 also drew characters, of other alphabets"],
        },
        "within_alphabet": {
            **ONE_SHOT,
            "trials": 10000,
            "correct": 8654.5,
            "accuracy": 0.86545,
            "ci95": (0.85, 0.88),
            "ci95_by_alphabet": (0.81, 0.92),
            "drawers": [17, 18, 20],
            "drawers_seen_in_training": [],
            "ties": 3,
            "warnings": ["3 trials have equal highest scores"],
            "card": {"protocol": "random trials within alphabet"},
        },
    },
}


def changed(**parts):
    return {**copy.deepcopy(RESULTS), **parts}


def line_with(text, *words):
    (line,) = [line for line in text.splitlines() if all(word in line for word in words)]
    return line


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


def test_verification_tells_both_kinds_of_error_on_test_with_intervals():
    text = report(SMALL, RESULTS)
    assert all(part in line_with(text, "| area under the ROC curve") for part in ("97.34", "96.1–98.2"))
    assert all(part in line_with(text, "| equal error rate") for part in ("7.89", "6.1–9.5"))
    assert all(part in line_with(text, "| 0.1 %", "false accepts |") for part in ("0.23", "0.1–0.4"))
    assert all(part in line_with(text, "| 0.1 %", "true accepts") for part in ("43.21", "40.1–45.6"))
    assert "chosen on validation, and applied to test" in text


def test_published_and_measured_rows_of_table_2_are_marked_so():
    text = report(SMALL, RESULTS)
    rows = text.split("table 2")[1].split("\n\n")[1].splitlines()[2:]
    assert all(part in rows[0] for part in ("this run", "88.25", "84.1–91.3", "400", "measured"))
    assert len(rows) == 10
    assert all("published" in row and "measured" not in row for row in rows[1:])
    assert "92.0" in line_with("\n".join(rows), "convolutional siamese net (")
    assert "95.5" in line_with("\n".join(rows), "humans")


@pytest.mark.parametrize(("copies", "column", "words"), [(0, 2, "92.22"), (8, 3, "92.22"), (4, 3, "with 4 copies")])
def test_this_run_stands_in_its_own_column_of_table_1(copies, column, words):
    text = report(with_value(SMALL, "distort.copies", copies), RESULTS).split("table 1")[1]
    cells = line_with(text, "this run").split("|")
    assert words in cells[column]
    assert "9,990" in cells[column]
    assert "–" in cells[5 - column]
    assert "measured" in cells[4]
    assert [cell.strip() for cell in line_with(text, "| 90,000").split("|")[1:5]] == [
        "90,000",
        "91.54",
        "93.15",
        "published",
    ]


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


@pytest.mark.parametrize(
    ("combine", "words"), [("mean_score", "mean of its images' scores"), ("best_score", "best of")]
)
def test_how_several_supports_are_combined_is_told_where_there_are_several(combine, words):
    experiment = with_value(SMALL, "evaluation.combine", combine)
    assert words not in report(experiment, RESULTS)
    five = {**RESULTS["one_shot"]["within_alphabet"], "k_shot": 5}
    text = report(experiment, changed(one_shot={"20_way_5_shot": five}))
    assert words in text
    assert "20-way 5-shot" in text


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


def test_the_papers_own_experiment_differs_in_nothing():
    assert differences(PAPER) == []
    assert "Nothing differs from what the paper states." in report(PAPER, RESULTS)
    assert not any("by hand" in sentence for sentence in choices(PAPER))


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("data.downsample", 3, "Images are averaged down by 3 to 35×35 pixels; the paper's are 105×105."),
        ("data.train_pairs", 30_000, "The training set has 30,000 pairs; the paper's largest has 150,000."),
        ("distort.translation", 0.7, "Distortions translate by up to 0.7 pixels; the paper's by up to 2."),
        (
            "network.conv2.filters",
            64,
            "conv2 has 64 filters of 7×7 with a pool; the paper's has 128 filters of 7×7 with a pool.",
        ),
        ("batch_size", 32, "A minibatch has 32 pairs; the paper's has 128."),
        ("max_epochs", 20, "Training lasts at most 20 epochs; the paper's at most 200."),
    ],
)
def test_a_difference_is_one_sentence_with_both_values(field, value, sentence):
    experiment = with_value(PAPER, field, value)
    assert differences(experiment) == [sentence]
    assert f"* {sentence}\n" in report(experiment, RESULTS)


def test_the_other_drawer_split_names_its_drawers():
    (sentence,) = differences(with_value(PAPER, "data.drawer_split", "official"))
    assert "drawers 9–20, validation by 5–8 and test by 1–4 (`official` split)" in sentence


def test_every_field_of_an_experiment_is_a_difference_a_choice_or_none_of_the_papers_business():
    our_own = {"method", "seed", "log_steps", "checkpoint_minutes"}
    our_own |= {"evaluation.combine", "evaluation.random_trials", "evaluation.embed_batch"}
    for name, value in leaves(PAPER):
        other = {bool: lambda v: not v, str: lambda v: v + "!", int: lambda v: v + 1, float: lambda v: v + 1}
        if name == "data.drawer_split":
            other = {str: lambda _: "official"}
        experiment = with_value(PAPER, name, other[type(value)](value))
        said = len(differences(experiment)) == 1 or choices(experiment) != choices(PAPER)
        assert said != (name in our_own.union(DESCRIPTION)), name
    assert set(DIFFERENCES) <= dict(leaves(PAPER)).keys()


def test_distortions_that_are_off_differ_only_in_being_off():
    experiment = with_value(with_value(PAPER, "distort.copies", 0), "distort.rotation", 45.0)
    assert differences(experiment) == ["Each training pair gets 0 distorted copies; the paper's best networks have 8."]


def test_hand_set_rates_are_listed_and_called_hand_set():
    text = report(SMALL, RESULTS)
    assert "were set by hand" in text
    assert [cell.strip() for cell in line_with(text, "| conv1").split("|")[1:5]] == ["conv1", "0.02", "0.9", "0.0002"]


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


def test_the_files_are_written_and_show_only_pictures_that_are_there(tmp_path):
    (tmp_path / "training.png").write_bytes(b"")
    write_results(tmp_path, RESULTS)
    write_report(tmp_path, SMALL, RESULTS, [])
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "](training.png)" in text
    assert "trial.png" not in text
    assert json.loads((tmp_path / "results.json").read_text())["verification"]["test"]["ci95"] == [0.911, 0.933]
    with pytest.raises(UserError, match=r"report.md could not be written"):
        write_report(tmp_path / "training.png", SMALL, RESULTS, [])
