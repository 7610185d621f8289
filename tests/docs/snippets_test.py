"""Python in README.md and docs/ runs, block after block, as a reader would type it.

What a block trains is replaced by a tiny experiment on tiny images, so that it takes seconds.
"""

import os
from dataclasses import replace

import numpy as np
import pages
import pytest
from PIL import Image
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser
from tiny import make_dataset, make_experiment

import siamese_jax
from siamese_jax import data

SYBIL = Sybil(parsers=[PythonCodeBlockParser(), SkipParser()])
WITH_PYTHON = [page for page in pages.PAGES if "```python" in page.read_text()]


@pytest.fixture
def drawings(tmp_path, monkeypatch):
    """A folder with the drawings that the pages name, as the current folder: dark lines on white paper."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("a.png", "b.png", "x.png")):
        paper = np.full((120, 100), 255, np.uint8)
        paper[20 + 10 * number : 30 + 10 * number, 15:85] = 0
        paper[15:105, 45:55] = 0
        Image.fromarray(paper).save(name)
    return tmp_path


@pytest.fixture
def tiny(monkeypatch):
    """Every registered experiment is tiny, and so are its images."""
    experiment = make_experiment()
    experiment = replace(experiment, evaluation=replace(experiment.evaluation, mnist=False), max_epochs=1)
    monkeypatch.setattr(siamese_jax, "find", lambda name: experiment)
    monkeypatch.setattr(data, "load", lambda *where: make_dataset())


@pytest.mark.parametrize("page", WITH_PYTHON, ids=pages.name)
def test_the_code_of_a_page_runs(page, drawings, tiny):
    document = SYBIL.parse(page)
    examples = list(document.examples())
    assert examples
    for example in examples:
        example.evaluate()


def test_code_that_fails_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\nx = 1\n```\n\ntext\n\n```python\nassert x == 2\n```\n")
    first, second = SYBIL.parse(page).examples()
    first.evaluate()
    with pytest.raises(AssertionError):
        second.evaluate()
    assert os.path.exists(page)
