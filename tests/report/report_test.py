"""The report says what was measured, what was published, and where the two differ."""

import dataclasses
import itertools
import re

import pytest
from example_run import BASELINE_PARTS, OFFICIAL, RESULTS, SMALL, WITHIN, changed, line_with, one_shot, with_data
from PIL import Image

from siamese_jax.errors import UserError
from siamese_jax.report import PICTURES, report, write_report
from siamese_jax.report.tables import table
from siamese_jax.results import Words
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
    assert all(part in test for part in ("9,990", "91.1–93.3", "-0.12 (0.470)"))


def test_a_report_begins_with_its_result_beside_what_it_compares_with_and_one_picture():
    first, second, third, fourth, picture, fifth = report(SMALL, RESULTS).split("\n\n")[:6]
    assert (first, second) == ("# omniglot_20way_small", "The paper's task at 35×35.")
    assert third == (
        "The network chooses the right character in **88.25 %** of 400 trials (20-way 1-shot, Lake's 20 official "
        "runs; 95 % interval 84.1–91.3 %). For comparison: humans 95.5 %, the paper's network 92.0 %, 1-nearest "
        "neighbour 21.7 %, chance level 5.0 %."
    )
    assert fourth.startswith("One trial")
    assert "](trial.png)" in picture
    assert "Seed: 7" in fifth


def test_without_official_runs_a_report_begins_with_random_trials_and_chance():
    text = report(SMALL, changed(one_shot={"within_alphabet": WITHIN}))
    said = line_with(text, "The network chooses")
    assert "**86.55 %** of 10,000 trials (20-way 1-shot, random trials within alphabet;" in said
    assert said.endswith("For comparison: chance level 5.0 %.")


def test_thresholds_are_logits_and_p_same_only_for_networks_that_were_trained_on_it():
    text = report(with_value(SMALL, "loss.name", "n_way"), RESULTS)
    assert line_with(text, "| test", "92.22").split("|")[-2].strip() == "-0.12"
    assert "p(same)" not in line_with(text, "threshold: logit")
    text = report(SMALL, RESULTS)
    assert line_with(text, "| test", "92.22").split("|")[-2].strip() == "-0.12 (0.470)"
    assert "threshold: logit (p(same))" in text


def test_images_in_memory_are_called_so_and_need_no_author_and_no_command():
    sets = {name: dataclasses.replace(one, authors=()) for name, one in RESULTS.data.sets.items()}
    text = report(SMALL, dataclasses.replace(with_data(name="in_memory", sets=sets), command=""))
    assert "* Data: images that a program passed in memory." in text
    assert "No alphabet is in two sets. The drawers are not known." in text
    assert "There is no command for it." in text
    assert "Lake" not in text


def test_a_report_says_no_more_of_the_sets_than_is_true():
    sets = {name: dataclasses.replace(one, groups=("a", "b")) for name, one in RESULTS.data.sets.items()}
    assert "No character and no drawer is in two sets." in report(
        SMALL, with_data(name="folder", sets=sets, split="none")
    )
    sets = {name: dataclasses.replace(one, authors=(1, 2)) for name, one in RESULTS.data.sets.items()}
    assert "No alphabet is in two sets.\n" in report(SMALL, with_data(name="folder", sets=sets, split="none"))


def test_a_report_uses_the_words_of_its_data_source():
    text = report(SMALL, with_data(words=Words(group="family", class_="class", author="camera")))
    assert "chooses the right class in" in text
    assert [cell.strip() for cell in line_with(text, "| set", "images").split("|")[2:6]] == [
        "families", "classes", "images", "cameras",
    ]  # fmt: skip
    assert "whether two images show the same class?" in text


def test_glyphs_are_called_what_they_are_and_not_set_beside_the_papers_figures():
    text = report(with_value(SMALL, "data.name", "glyphs"), with_data(name="glyphs"))
    assert "rendered glyphs, not handwriting; not comparable with Omniglot figures" in text
    assert "the data set's own runs" in text
    assert "The data source is `glyphs`; the paper's is Omniglot." in text
    assert not any(word in text for word in ("published figures", "| published", "table 1", "table 2", "Lake"))
    assert "88.25" in text


def test_drawers_that_were_trained_on_are_admitted_and_only_then():
    text = report(SMALL, RESULTS)
    assert "* Lake's 20 official runs: drawers numbered 1, 2 also made images of other alphabets." in text
    assert "`--data.drawer_split=official` keeps the drawers of the official runs out of training." in text
    clean = report(SMALL, changed(one_shot={"within_alphabet": WITHIN}))
    assert "drawers numbered" not in clean
    assert "drawer_split=official`" not in clean


def test_a_warning_is_told_once_with_all_that_it_is_said_of():
    assert "* Random trials within alphabet: 3 trials have equal highest scores." in report(SMALL, RESULTS)
    both = {"official_runs": one_shot(warnings=WITHIN.warnings), "within_alphabet": WITHIN}
    said = line_with(report(SMALL, changed(one_shot=both)), "equal highest")
    assert said == ("* Lake's 20 official runs; random trials within alphabet: 3 trials have equal highest scores.")


def test_a_protocol_that_was_refused_is_named_with_the_reason():
    text = report(SMALL, changed(not_measured={"koch_400": "the smallest alphabet has 5 characters"}))
    assert "* `koch_400` was not measured: the smallest alphabet has 5 characters." in text


def test_protocols_that_differ_in_ways_and_shots_alone_stand_in_a_table_of_both():
    part = one_shot(WITHIN, protocol="within alphabet, all drawers", trials=3000)
    grid = {
        f"{n}_way_{k}_shot": one_shot(part, n_way=n, k_shot=k, accuracy=(n + k) / 100) for n in (2, 20) for k in (1, 5)
    }
    text = report(SMALL, changed(one_shot=RESULTS.one_shot | grid)).split("### By the number of ways")[1]
    assert "Within alphabet, all drawers (17–18, 20); 3,000 trials per cell" in text
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.split("\n\n")[2].splitlines()]
    assert rows[0] == ["", "2-way", "20-way"]
    assert rows[2:] == [
        ["1-shot (%)", "3.00 (85.0–88.0)", "21.00 (85.0–88.0)"],
        ["5-shot (%)", "7.00 (85.0–88.0)", "25.00 (85.0–88.0)"],
        ["chance level (%)", "50.0", "5.0"],
    ]


@pytest.mark.parametrize(
    ("combine", "words"), [("mean_score", "scores the mean of"), ("best_score", "scores the best of")]
)
def test_how_several_supports_are_combined_is_told_where_there_are_several(combine, words):
    assert words not in report(with_value(SMALL, "evaluation.combine", combine), RESULTS)
    five = one_shot(WITHIN, k_shot=5, combine=combine)  # the card decides: a run can be measured in another way
    text = report(SMALL, changed(one_shot={"20_way_5_shot": five}))
    assert words in text
    assert "| 5-shot (%)" in text


def test_credit_of_ties_is_told_to_two_places():
    third = one_shot(correct=352 + 1 / 3)
    assert "352.33 " in line_with(
        report(SMALL, changed(one_shot={"official_runs": third})), "Lake's 20 official runs |"
    )


def test_baselines_stand_in_tables_of_their_own_without_the_words_of_training():
    measured = {"modified_hausdorff": {"official_runs": one_shot(accuracy=0.6125, correct=245)}}
    results = changed(**BASELINE_PARTS, baselines=measured)
    text = report(dataclasses.replace(SMALL, method="baselines"), results, pictures=())
    assert "The best untrained baseline, modified Hausdorff distance, is right in **61.25 %** of 400 trials" in text
    row = line_with(text, "modified Hausdorff distance, Lake's 20 official runs", "| ")
    assert all(part in row for part in ("400", "245", "61.25", "84.1–91.3"))
    assert "61.25" in line_with(text, "**modified Hausdorff distance**", "measured")
    assert "Nothing was trained, and nothing was chosen." in text
    assert "learning rate" not in text


def test_sets_training_and_the_way_to_run_it_again_are_told():
    rows = [{"cross_entropy": 0.7012}, {"validation_one_shot": 0.5}, {"cross_entropy": 0.1234}, {"cross_entropy": None}]
    text = report(SMALL, RESULTS, rows)
    assert "first 0.701, last 0.123 (chance level 0.693)" in text
    assert all(part in text for part in ("43 epochs", "12,345 steps", "25 minutes", "1,234 pairs", "validation: 23"))
    assert "* train: Latin, Greek" in text
    assert "17–18, 20" in line_with(text, "| test", "75")
    assert "\n    python -m siamese_jax.main --experiment=omniglot_20way_small --seed=7\n" in text
    assert "JAX 0.10.2" in text


def test_unfinished_training_is_called_unfinished():
    training = dataclasses.replace(RESULTS.training, stopped_by="not finished")
    text = report(SMALL, changed(training=training))
    assert "training is not finished" in text
    assert "Training is not finished." in line_with(text, "The network chooses")


def test_missing_parts_are_left_out_and_the_rest_remains():
    text = report(SMALL, changed(**BASELINE_PARTS), pictures=())
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == [
        "## Data",
        "## Differences from the paper",
        "## Choices where the paper is silent",
        "## How to repeat this run",
    ]
    assert "table 1" not in report(SMALL, changed(verification=None))
    assert "table 2" not in report(SMALL, changed(one_shot={"within_alphabet": WITHIN}))


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
    assert all(part in line_with(text, "| 0.1 %", "measured false accepts") for part in ("0.23", "0.1–0.4"))
    assert all(part in line_with(text, "| 0.1 %", "true accepts") for part in ("43.21", "40.1–45.6"))
    assert "chosen on validation for the given rates of false accepts, and applied to test" in text


def test_training_that_was_not_timed_has_no_speed():
    training = dataclasses.replace(RESULTS.training, pairs_per_second=None)
    assert "pairs per second" not in report(SMALL, changed(training=training))
    assert "1,234 pairs per second" in report(SMALL, RESULTS)


def test_every_picture_stands_in_the_section_where_it_belongs():
    belongs = {
        "One-shot recognition": ["n_way", "groups", "hardest", "confused", "units"],
        "Verification": ["roc"],
        "Decisions": ["reliability"],
        "Training": ["training", "distortions"],
        "Network": ["filters"],
    }
    sections = dict(part.split("\n", 1) for part in report(SMALL, RESULTS).split("\n## ")[1:])
    shown = {heading: re.findall(r"\]\((\w+)\.png\)", text) for heading, text in sections.items()}
    assert {heading: names for heading, names in shown.items() if names} == belongs
    assert "## Network" not in report(SMALL, RESULTS, pictures=[name for name in PICTURES if name != "filters.png"])


def test_the_files_are_written_and_show_only_pictures_that_are_there(tmp_path):
    Image.new("L", (2, 2)).save(tmp_path / "training.png")
    write_report(tmp_path, SMALL, RESULTS, [])
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "](training.png)" in text
    assert "trial.png" not in text
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count("<img") == 1
    with pytest.raises(UserError, match=r"report.md could not be written"):
        write_report(tmp_path / "training.png", SMALL, RESULTS, [])


def test_numbers_stand_to_the_right_and_words_to_the_left():
    rows = [["a|b", "4.5", "**12**", "seen", "–"], ["c", "–", "+1.0 to 2", "1 of 2", "< 0.001"]]
    lines = table(["what", "x", "y", "z", "p"], rows).splitlines()
    assert lines[1].replace("-", "") == "|  | : | : |  | : |"
    assert lines[2] == "| a\\|b | 4.5 |    **12** | seen   |       – |"


def test_test_time_augmentation_stands_apart_from_the_plain_results():
    viewed = one_shot(OFFICIAL, accuracy=0.91, correct=364, views=8)
    text = report(SMALL, changed(one_shot_views={"official_runs": viewed}))
    plain, apart = text.split("### With test-time augmentation")
    assert "mean over 8 views: the image and 7 affine distortions" in apart
    assert "91.00" in line_with(apart.split("###")[0], "Lake's 20 official runs")
    assert "91.00" not in plain
    assert "91.00" not in apart.split("###")[1]
    assert "test-time" not in report(SMALL, RESULTS)
