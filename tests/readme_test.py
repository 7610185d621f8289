"""What the README shows is there: its code names things that exist, and the files it points to stand."""

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_code_uses_only_names_that_exist():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
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
    assert (ROOT / target).exists()


def test_nothing_is_left_to_fill_in():
    assert not re.search(r"@[A-Z_]+@|PLACEHOLDER|TODO", README)
