"""Links in README.md and docs/ lead to a file, or to a heading of a page."""

import re

import pages
import pytest

LINK = re.compile(r"\]\(([^)\s]+)\)")


def links(page) -> list[str]:
    text = re.sub(r"`[^`\n]*`", "", pages.FENCE.sub("", page.read_text()))
    return [target for target in LINK.findall(text) if not re.match(r"[a-z]+:", target)]


def anchors(page) -> set[str]:
    """Return the anchors that GitHub and MyST make of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name)
def test_every_link_leads_to_a_file_and_to_a_heading(page):
    broken = []
    for target in links(page):
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", [page for page in pages.PAGES if page != pages.README], ids=pages.name)
def test_a_page_of_the_site_is_reached_from_its_index(page):
    listed = set(re.findall(r"^[\w/]+$", "\n".join(pages.FENCE.findall((pages.DOCS / "index.md").read_text())), re.M))
    assert page.stem == "index" or str(page.relative_to(pages.DOCS).with_suffix("")) in listed


def test_a_broken_link_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Good\n\n[a](#good) [b](#bad) [c](missing.md) [d](https://example.org) `[e](code)`\n")
    assert links(page) == ["#good", "#bad", "missing.md"]
    assert anchors(page) == {"good"}
