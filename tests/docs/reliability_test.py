"""docs/reliability.md promises only what a test holds, and its table is of the campaign as it is."""

import json
import re
from pathlib import Path

import pages
import pytest

PAGE = (pages.ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(\S+_test)::(\w+)`", PAGE)
ROWS = json.loads((pages.ROOT / "benchmarks" / "results" / "faults.json").read_text())["rows"]


def functions_of(path: Path) -> set[str]:
    return set(re.findall(r"^def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize(("path", "test"), NAMED, ids=[test for _, test in NAMED])
def test_the_test_that_holds_a_promise_exists(path, test):
    assert test in functions_of(pages.ROOT / f"{path}.py")


def test_every_promise_names_its_test():
    promises = re.findall(r"^\* [A-Z](?:.|\n(?!\n|\*))*", PAGE, re.MULTILINE)
    assert len(promises) > 20
    assert [promise for promise in promises if "_test::test_" not in promise] == []


def test_the_recorded_campaign_is_of_the_tests_that_there_are_and_lost_nothing():
    there = {
        (path.stem.removesuffix("_test"), test.removeprefix("test_").replace("_", " "))
        for path in (pages.ROOT / "faults").glob("*_test.py")
        for test in functions_of(path)
    }
    assert {(row["part"], row["fault"]) for row in ROWS} == there
    assert sum(row["tried"] for row in ROWS) >= 150
    assert all(row["tried"] == row["survived"] == row["nothing_lost"] for row in ROWS)
