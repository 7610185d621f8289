"""README.md is short, and every page keeps its form."""

import re

import pages
import pytest


def test_the_readme_has_at_most_150_lines():
    assert len(pages.README.read_text().splitlines()) <= 150


def test_the_readme_fits_into_120_columns():
    assert [line for line in pages.README.read_text().splitlines() if len(line) > 120] == []


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name)
def test_lines_fit_into_120_columns_except_those_of_tables_and_lists_that_are_generated(page):
    text = pages.GENERATED.sub("", page.read_text())
    assert [line for line in text.splitlines() if len(line) > 120 and not line.startswith("|")] == []


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name)
def test_nothing_is_left_to_fill_in(page):
    assert not re.search(r"@[A-Z_]+@|PLACEHOLDER|TODO|FIXME", page.read_text())


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name)
def test_a_page_has_one_title(page):
    titles = re.findall(r"^# .*$", pages.FENCE.sub("", pages.INDENTED.sub("", page.read_text())), re.MULTILINE)
    assert len(titles) == (0 if page.stem == "benchmarks" else 1)  # which takes its title from what it includes
