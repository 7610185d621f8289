"""Decisions in words: every figure stands with what was asked and with its interval."""

import dataclasses

from example_results import DECISIONS, RESULTS
from example_run import BASELINE_PARTS, SMALL, changed, line_with

from siamese_jax.report import report
from siamese_jax.report.decisions import decisions
from siamese_jax.results import Words

TEXT = decisions(DECISIONS, Words(group="alphabet", class_="character", author="drawer"))


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("| ").split("|")]


def test_calibration_errors_stand_before_and_after_with_an_interval():
    assert cells(line_with(TEXT, "pairs: p(same) = sigmoid(0.500 · score +4.00)"))[1:] == [
        "40.00", "2.00", "1.0–4.0", "0.133", "0.007",
    ]  # fmt: skip
    assert cells(line_with(TEXT, "choices among 20 characters: softmax(scores / 2.000)"))[1:3] == ["20.00", "1.00"]
    assert "a score of -8.00, the false match rate is 6.00 % and the false non-match rate 7.00 %" in TEXT


def test_thresholds_stand_with_the_rates_asked_and_measured():
    (line,) = [line for line in TEXT.splitlines() if cells(line)[:3] == ["20", "5", "-9.00"]]
    assert cells(line)[3:] == ["5.50", "2.5–10.0", "1.0–15.0", "50.00", "40.0–60.0"]
    (line,) = [line for line in TEXT.splitlines() if cells(line)[:3] == ["5", "95", "1.50"]]
    assert cells(line)[3:] == ["95.30", "93.0–97.0", "1.38"]


def test_false_alarms_of_the_warning_are_said():
    assert "1.20 % of the test images get it by mistake (0.3–2.1; chosen for 1 %)" in TEXT
    assert "100.00 % of noise, 99.00 % of gradient, 98.00 % of clouds get it" in TEXT


def test_a_threshold_that_was_not_found_is_a_dash():
    gallery = DECISIONS.galleries[0]
    none = tuple(dataclasses.replace(one, threshold=None) for one in gallery.open_set)
    without = dataclasses.replace(DECISIONS, galleries=(dataclasses.replace(gallery, open_set=none),))
    lines = map(cells, decisions(without, RESULTS.data.words).splitlines())
    assert [line[:3] for line in lines if len(line) == 8 and line[0] == "5"] == [
        ["5", "1", "–"], ["5", "5", "–"], ["5", "10", "–"],
    ]  # fmt: skip


def test_a_report_has_decisions_where_they_were_measured():
    assert TEXT in report(SMALL, RESULTS)
    assert "![Are probabilities what happens?" in report(SMALL, RESULTS)
    assert "## Decisions" not in report(SMALL, changed(**BASELINE_PARTS), pictures=())
