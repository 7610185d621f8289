"""Every registered experiment, and every flag file, has the recipe that it had when results were published."""

import json
from pathlib import Path

import pytest
from absl import flags

from siamese_jax import main  # noqa: F401 - it defines the flags
from siamese_jax.command.flag_files import expanded
from siamese_jax.command.request import resolve
from siamese_jax.experiments import EXPERIMENTS, find
from siamese_jax.specs import DESCRIPTION, Experiment, every_field, leaves

RECIPES = json.loads((Path(__file__).parent / "recipes.json").read_text())
FOLDER = Path(__file__).parents[2] / "experiments"


def same_recipe(experiment: Experiment, differing: dict) -> None:
    """Fail unless each field has its published value, and only fields of unused members are gone."""
    published = {**RECIPES["omniglot_20way"], **differing}
    published = {name: value for name, value in published.items() if value is not None}
    now = {name: value for name, value in leaves(experiment) if name not in DESCRIPTION}
    assert now == {name: published[name] for name in now}
    declared = every_field(Experiment)
    for name in published.keys() - now.keys():
        assert declared[name].given_by, name
        assert (declared[name].given_by[0][0], now[declared[name].given_by[0][0]]) not in declared[name].given_by, name


def test_no_experiment_is_missing():
    assert set(RECIPES["experiments"]) == set(EXPERIMENTS)
    assert set(RECIPES["flag_files"]) == {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.flags")}


@pytest.mark.parametrize("name", RECIPES["experiments"])
def test_a_registered_experiment_has_its_published_recipe(name):
    same_recipe(find(name), RECIPES["experiments"][name])


@pytest.mark.parametrize("name", RECIPES["flag_files"])
def test_a_flag_file_has_its_published_recipe(name):
    flags.FLAGS.unparse_flags()
    for flag in flags.FLAGS:
        flags.FLAGS[flag].unparse()
    flags.FLAGS(["siamese_jax", *expanded([f"--flagfile={FOLDER / name}"])])
    same_recipe(resolve(), RECIPES["flag_files"][name])
