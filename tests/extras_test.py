import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

from siamese_jax import data, extras
from siamese_jax.errors import UserError
from siamese_jax.plots import style
from siamese_jax.report import html
from siamese_jax.specs import Glyphs, Omniglot

MODULES = {
    "markdown_it_py": "markdown_it",
    "psycopg[binary]": "psycopg",
    "scikit_learn": "sklearn",
    "tensorflow_datasets": "tensorflow_datasets",
}


def test_each_extra_of_the_project_installs_the_libraries_that_are_required_under_its_name():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    for extra, libraries in extras.LIBRARIES.items():
        names = [re.split("[>=<]", line)[0].replace("-", "_") for line in project["optional-dependencies"][extra]]
        assert tuple(sorted(MODULES.get(n, n) for n in names if not n.startswith("siamese_jax"))) == libraries


@pytest.fixture
def without(monkeypatch):
    def hide(*names):
        real = importlib.util.find_spec
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in names else real(name))

    return hide


@pytest.mark.parametrize(
    ("use", "library", "extra"),
    [
        (lambda folder: data.load(Glyphs(), str(folder)), "tensorflow_datasets", "data"),
        (lambda folder: data.load(Omniglot(), str(folder)), "array_record", "data"),
        (lambda folder: data.load_mnist(str(folder)), "tensorflow_datasets", "data"),
        (lambda folder: data.load_digits(None, str(folder)), "tensorflow_datasets", "data"),
        (lambda folder: style.blank(1, 1), "matplotlib", "report"),
        (lambda folder: html.page("", folder, []), "markdown_it", "report"),
    ],
)
def test_what_needs_an_extra_names_it_in_one_sentence(without, tmp_path, use, library, extra):
    without(library)
    with pytest.raises(UserError, match=rf"^{library} is not installed: run pip install 'siamese_jax\[{extra}\]'$"):
        use(tmp_path)


def test_several_missing_libraries_are_all_named(without):
    without("markdown_it", "matplotlib")
    with pytest.raises(UserError, match="^markdown_it and matplotlib are not installed"):
        extras.require("report")
