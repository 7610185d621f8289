"""What the README shows is there: its code names things that exist, and the files it points to stand."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from siamese_jax import pretrained

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_code_that_uses_a_packaged_network_names_what_it_has():
    (code,) = [code for code in CODE if "load_pretrained" in code]
    tree = ast.parse(code)
    used = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)]
    of = {owner: {n.attr for n in used if n.value.id == owner} for owner in ("siamese_jax", "model")}
    assert of["siamese_jax"] == {"load_pretrained"}
    assert of["model"]
    assert of["model"] <= set(pretrained.Model._fields)
    (name,) = [node.args[0].value for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args
               and getattr(node.func, "attr", "") == "load_pretrained"]  # fmt: skip
    assert pretrained.folder_of(name).parent == pretrained.FOLDER


def test_the_code_uses_only_names_that_exist():
    (code,) = [code for code in CODE if "load_pretrained" not in code]
    tree = ast.parse(code)
    modules = {
        alias.name: importlib.import_module(f"siamese_jax.{alias.name}")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    used = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)]
    of_ours = [(n.value.id, n.attr) for n in used if n.value.id in modules]
    assert {module for module, _ in of_ours} == set(modules)
    assert [(module, name) for module, name in of_ours if not hasattr(modules[module], name)] == []


@pytest.mark.parametrize("target", re.findall(r"\]\(([^):]+)\)", README))
def test_every_link_into_the_project_leads_somewhere(target):
    if target.startswith("#"):
        headings = re.findall(r"^#+ (.*)$", README, re.MULTILINE)
        assert target[1:] in [re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-")) for heading in headings]
    else:
        assert (ROOT / target).exists()


def test_lines_but_those_of_tables_fit_into_120_columns():
    assert [line for line in README.splitlines() if len(line) > 120 and not line.startswith("|")] == []


def test_nothing_is_left_to_fill_in():
    assert not re.search(r"@[A-Z_]+@|PLACEHOLDER|TODO", README)


@pytest.mark.parametrize("page", ["README.md", "docs/ladder.md"])
def test_the_table_of_runs_is_that_of_the_recorded_runs(monkeypatch, page):
    monkeypatch.syspath_prepend(ROOT / "tools")
    record_runs = importlib.import_module("record_runs")
    assert record_runs.runs_table(record_runs.read_runs()) in (ROOT / page).read_text()
