"""Measured and published figures share a table, and each says which it is."""

import pytest
from example_run import RESULTS, SMALL, changed, line_with, one_shot, with_data

from siamese_jax.report import report
from siamese_jax.specs import with_value


def test_published_and_measured_rows_of_table_2_are_marked_so():
    text = report(SMALL, RESULTS)
    rows = text.split("table 2")[1].split("\n\n")[2].splitlines()[2:]
    assert all(part in rows[0] for part in ("this run", "88.25", "84.1–91.3", "400", "measured"))
    assert len(rows) == 1 + 9 + 4
    assert all("published" in row and "measured" not in row for row in rows[1:])
    assert "92.0" in line_with("\n".join(rows), "convolutional siamese net (")
    assert "95.5" in line_with("\n".join(rows), "humans")
    elsewhere = [row for row in rows if "elsewhere" in row]
    assert [[cell.strip() for cell in row.split("|")[1:3]] for row in elsewhere] == [
        ["attentive recurrent comparators", "98.5"],
        ["Bayesian program learning", "96.7"],
        ["deep convnet", "86.5"],
        ["modified Hausdorff distance", "61.2"],
    ]
    assert ["Shyam et al. 2017" in row for row in elsewhere] == [True, False, False, False]
    assert ["Lake et al. 2015" in row for row in elsewhere] == [False, True, True, True]
    figures = [float(row.split("|")[2]) for row in rows[1:]]
    assert figures == sorted(figures, reverse=True)


@pytest.mark.parametrize(("background", "count"), [("small1", 4), ("small2", 4), ("all", 0)])
def test_what_was_published_of_five_alphabets_stands_only_beside_those_who_trained_on_five(background, count):
    rows = [
        line
        for line in report(SMALL, with_data(background=background)).splitlines()
        if "5 background alphabets" in line
    ]
    assert len(rows) == count
    # Errors as Lake et al. print them.
    errors = [round(100 - float(row.split("|")[2]), 1) for row in rows]
    assert sorted(errors) == sorted([4.3, 4.0, 24.0, 22.3])[:count]


def test_digits_stand_in_table_3_whoever_recognised_them():
    assert "table 3" not in report(SMALL, RESULTS)
    part = one_shot(n_way=10, protocol="MNIST digits")
    digits = {
        "mnist_10way": one_shot(part, accuracy=0.655),
        "mnist_10way_10000": one_shot(part, accuracy=0.6612, trials=10_000),
    }
    text = report(SMALL, changed(one_shot=digits)).split("table 3")[1]
    rows = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in text.split("\n\n")[2].splitlines()[2:]]
    assert rows == [
        ["this run", "65.50", "84.1–91.3", "400", "measured"],
        ["this run", "66.12", "84.1–91.3", "10,000", "measured"],
        ["convolutional siamese net (the paper's own)", "70.3", "–", "–", "published"],
        ["1-nearest neighbour", "26.5", "–", "–", "published"],
    ]
    others = {"nearest_neighbour": {"mnist_10way": one_shot(part, accuracy=0.27)}}
    text = report(SMALL, changed(one_shot={}, baselines=others)).split("table 3")[1]
    assert "27.00" in line_with(text, "**nearest neighbour on pixels**")


@pytest.mark.parametrize(("copies", "column", "words"), [(0, 2, "92.22"), (8, 3, "92.22"), (4, 3, "with 4 copies")])
def test_this_run_stands_in_its_own_column_of_table_1(copies, column, words):
    text = report(with_value(SMALL, "distort.copies", copies), RESULTS).split("table 1")[1]
    cells = line_with(text, "**this run**").split("|")
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
