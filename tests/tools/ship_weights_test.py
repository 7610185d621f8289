"""A finished run becomes a packaged network; another one is refused."""

import dataclasses
import importlib
from pathlib import Path

import pytest
from example_run import with_data
from tiny import SIDE, make_dataset, make_experiment

import siamese_jax
from siamese_jax import pretrained
from siamese_jax.errors import UserError
from siamese_jax.specs import with_value
from siamese_jax.storage.results_file import write_results

EXPERIMENT = with_value(make_experiment(), "data.side", SIDE)


@pytest.fixture
def ship_weights(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "tools")
    return importlib.import_module("ship_weights")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that has ended, with results."""
    run = siamese_jax.train(EXPERIMENT, tmp_path_factory.mktemp("run"), dataset=make_dataset())
    write_results(run.workdir, dataclasses.replace(with_data(image_side=SIDE), training=run.training), {})
    return run


def test_a_finished_run_becomes_a_network_to_use(run, ship_weights, tmp_path, capsys):
    ship_weights.main([f"--workdir={run.workdir}", "--name=tiny", "--commit=0123", f"--into={tmp_path}"])
    assert f"written: {tmp_path / 'tiny'}, 0.0 MB" in capsys.readouterr().out
    model = siamese_jax.load_pretrained(tmp_path / "tiny")
    assert (model.experiment, model.card.commit, model.card.results.training) == (EXPERIMENT, "0123", run.training)
    images = make_dataset().images.images[:3]
    assert (model.embed(images) == dataclasses.replace(model, params=run.params).embed(images)).all()


def test_a_run_that_went_on_after_its_evaluation_is_refused(run, ship_weights, tmp_path):
    earlier = dataclasses.replace(run.training, steps=run.training.steps - 9)
    write_results(run.workdir, dataclasses.replace(with_data(image_side=SIDE), training=earlier), {})
    with pytest.raises(UserError, match="was trained further than its results say"):
        ship_weights.ship(run.workdir, "tiny", "0123", tmp_path)


def test_a_folder_without_a_run_is_one_sentence(ship_weights, tmp_path):
    with pytest.raises(SystemExit, match="holds no run"):
        ship_weights.main([f"--workdir={tmp_path}", "--name=tiny", "--commit=0123", f"--into={tmp_path}"])
    assert list(tmp_path.iterdir()) == []
    assert (pretrained.FOLDER / "best").exists()


def test_decisions_of_an_evaluation_are_added_and_nothing_else_changes(run, ship_weights, tmp_path):
    measured = dataclasses.replace(with_data(image_side=SIDE), training=run.training)
    write_results(run.workdir, dataclasses.replace(measured, decisions=None), {})
    folder = ship_weights.ship(run.workdir, "tiny", "0123", tmp_path)
    weights = (folder / "params.npz").read_bytes()
    elsewhere = dataclasses.replace(measured.environment, cores=64)
    write_results(tmp_path, dataclasses.replace(measured, environment=elsewhere), {})
    ship_weights.main([f"--workdir={tmp_path}", "--name=tiny", f"--into={tmp_path}"])
    assert pretrained.read(folder).card.results == measured
    assert (folder / "params.npz").read_bytes() == weights
    assert "## Decisions" in (folder / "README.md").read_text()


def test_an_evaluation_with_another_figure_is_refused(run, ship_weights, tmp_path):
    measured = dataclasses.replace(with_data(image_side=SIDE), training=run.training)
    write_results(run.workdir, measured, {})
    before = (ship_weights.ship(run.workdir, "tiny", "0123", tmp_path) / "card.json").read_bytes()
    official = dataclasses.replace(measured.one_shot["official_runs"], ties=1)
    changed = measured.one_shot | {"official_runs": official}
    write_results(tmp_path, dataclasses.replace(measured, one_shot=changed), {})
    with pytest.raises(SystemExit, match="differs from the card of tiny in one_shot: evaluate tiny again"):
        ship_weights.main([f"--workdir={tmp_path}", "--name=tiny", f"--into={tmp_path}"])
    assert (tmp_path / "tiny" / "card.json").read_bytes() == before
