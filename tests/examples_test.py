"""The programs of examples/ run, on data as small as can be."""

import runpy
import sys
from pathlib import Path

import pytest
from tiny import make_dataset

from siamese_jax import data
from siamese_jax.network.energies import ENERGIES
from siamese_jax.network.towers import TOWERS
from siamese_jax.specs import Energy, Tower
from siamese_jax.storage.experiment_file import read_experiment

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run an example with flags; what it adds to the package is gone after the test."""
    before = {id(table): dict(table) for table in (TOWERS, ENERGIES, Tower.variants, Energy.variants)}

    def run_with(name: str, *flags: str) -> None:
        monkeypatch.setattr(data, "load", lambda *_: make_dataset(20, side=28))
        monkeypatch.setattr(sys, "argv", [name, *flags, f"--workdir={tmp_path}"])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")

    yield run_with
    for table in (TOWERS, ENERGIES, Tower.variants, Energy.variants):
        table.clear()
        table.update(before[id(table)])


def test_a_new_tower_with_nested_parameters_is_trained(run, tmp_path, capsys):
    run("new_tower.py", "--steps=2")
    assert "20-way one-shot accuracy on validation: " in capsys.readouterr().out
    assert read_experiment(tmp_path).network.tower.name == "vit"
    metrics = (tmp_path / "metrics.jsonl").read_text()
    for name in (
        "dead_filters/block0/hidden",
        "update/block1/attention/query",
        "update/positions",
        "learning_rate/head",
    ):
        assert f'"{name}": ' in metrics


def test_a_new_energy_that_is_not_a_sum_over_units_is_trained(run, tmp_path, capsys):
    run("new_energy.py", "--steps=2")
    assert "20-way one-shot accuracy on validation: " in capsys.readouterr().out
    assert read_experiment(tmp_path).network.energy.rank == 16
    assert '"update/out/project": ' in (tmp_path / "metrics.jsonl").read_text()
