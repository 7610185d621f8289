"""What is measured of a network and of baselines; main_test runs the whole command."""

import functools
from dataclasses import replace

import numpy as np
import pytest
from tiny import make_dataset, make_digits, make_experiment, make_params

from siamese_jax import data, runs
from siamese_jax.errors import UserError
from siamese_jax.evaluation import embedder, figures, measure, one_shot
from siamese_jax.evaluation.baselines import BASELINES
from siamese_jax.evaluation.protocols import DIGITS, PROTOCOLS
from siamese_jax.experiments import find
from siamese_jax.network.siamese import build
from siamese_jax.report import write_report
from siamese_jax.sampling.splits import split
from siamese_jax.storage import array_files
from siamese_jax.storage.results_file import read_results, read_trials
from siamese_jax.training.fit import Fitted
from siamese_jax.training.listeners import History

EXPERIMENT = make_experiment()
PARAMS = make_params(EXPERIMENT.network)
UNTRAINED = measure.training_summary(EXPERIMENT, Fitted(PARAMS, 0, History()))


def measured(dataset, experiment=EXPERIMENT):
    evaluator = embedder.Evaluator(build(experiment.network), 16)
    sets = split(dataset, "paper")
    return measure.measure_network(experiment, dataset, sets, evaluator, PARAMS, UNTRAINED, make_digits, "the command")


def measured_baselines(load_digits=make_digits):
    dataset = make_dataset()
    experiment = make_experiment(method="baselines")
    return measure.measure_baselines(experiment, dataset, split(dataset, "paper"), load_digits, "the command")


def test_every_baseline_is_measured_under_protocols_that_exist():
    assert set(measure.BASELINE_PROTOCOLS) == set(BASELINES)
    assert set().union(*measure.BASELINE_PROTOCOLS.values()) <= {*PROTOCOLS, *DIGITS}


def test_baselines_see_digits_as_they_were_drawn():
    asked = []
    results = measured_baselines(lambda side: asked.append(side) or make_digits(side)).results
    assert asked == [None]
    accuracy = results.baselines["nearest_neighbour"]["mnist_10way_10000"].accuracy
    assert accuracy > 0.5  # digits of one shape each, with noise: the chance level is 0.1
    assert results.not_measured.keys() == {"koch_400"}
    assert (results.training, results.verification, results.one_shot) == (None, None, {})


def full(*_):
    raise UserError("no space left")


def test_there_are_no_results_without_their_trials(tmp_path, monkeypatch):
    monkeypatch.setattr(array_files, "write_arrays", full)
    with pytest.raises(UserError, match="no space left"):
        measure.write(tmp_path, measured_baselines())
    assert not list(tmp_path.iterdir())


def test_results_are_on_disk_before_a_picture_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "plot_training", full)
    experiment = replace(EXPERIMENT, evaluation=replace(EXPERIMENT.evaluation, mnist=False))
    run = runs.Run(experiment, tmp_path, PARAMS, UNTRAINED, runs.Data(make_dataset()))
    with pytest.raises(UserError, match="no space left"):
        run.evaluate()
    assert {path.name for path in tmp_path.iterdir()} == {"experiment.json", "results.json", "trials.npz"}


def test_a_folder_with_the_name_of_a_picture_is_a_sentence_and_the_results_are_written(tmp_path):
    (tmp_path / "trial.png").mkdir()
    with pytest.raises(UserError, match=r"trial\.png could not be removed: .*; move that folder away"):
        measure.write(tmp_path, measured_baselines())
    assert (tmp_path / "results.json").exists()


def test_measuring_writing_plotting_and_reporting_are_steps_that_can_be_taken_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dataset = make_dataset()
    (tmp_path / "filters.png").write_bytes(b"of an earlier measurement")
    measurement = measured(dataset)
    assert [path.name for path in tmp_path.iterdir()] == ["filters.png"]
    measure.write(tmp_path, measurement)
    assert {path.name for path in tmp_path.iterdir()} == {"results.json", "trials.npz"}
    results = read_results(tmp_path)
    assert results == measurement.results
    for name, credit in read_trials(tmp_path).items():
        np.testing.assert_allclose(credit.sum(), results.one_shot[name].correct, rtol=1e-6)
    write_report(tmp_path, EXPERIMENT, results, [])
    assert "](n_way.png)" not in (tmp_path / "report.md").read_text()
    figures.plot_results(tmp_path, "a run", results, n_way=3)
    assert {path.name for path in tmp_path.glob("*.png")} == {"n_way.png", "groups.png", "roc.png", "reliability.png"}
    write_report(tmp_path, EXPERIMENT, results, [])
    assert "](n_way.png)" in (tmp_path / "report.md").read_text()


def test_training_that_was_never_timed_has_no_speed():
    assert UNTRAINED.pairs_per_second is None
    timed = measure.training_summary(EXPERIMENT, Fitted(PARAMS, 9, History(2, 1, 0.5, 3.0, 72, 2.0)))
    assert (timed.steps, timed.epochs, timed.best_epoch, timed.pairs_per_second) == (9, 2, 1, 36.0)
    assert timed.stopped_by == "max_epochs"


def test_where_the_released_runs_are_refused_the_rest_is_measured_and_reported(tmp_path):
    dataset = make_dataset()
    dataset.episodes.answer[0] = np.roll(dataset.episodes.answer[0], 1)  # wrong labels
    results = measured(dataset).results
    assert "not the query's character" in results.not_measured["official_runs"]
    assert "within_alphabet" in results.one_shot
    write_report(tmp_path, EXPERIMENT, results, [])
    assert "`official_runs` was not measured: " in (tmp_path / "report.md").read_text()


def test_the_papers_network_embeds_800_images_for_the_400_official_trials_and_no_more(prepared_omniglot, monkeypatch):
    experiment = find("omniglot_20way")
    dataset = data.load(experiment.data, prepared_omniglot)
    assert dataset.images.images.shape[1:] == (105, 105, 1)
    evaluator = embedder.Evaluator(build(experiment.network), experiment.evaluation.embed_batch)
    embedded = []

    def ink(params, images):  # stands in for 0.9 GMAC an image: what is counted is which images come here
        embedded.append(len(images))
        return np.repeat(images.mean(axis=(1, 2)), 4096, axis=1).astype(np.float32) / 255

    monkeypatch.setattr(evaluator, "_embed_new", ink)
    params = {"out": {"weight": -np.ones((4096, 1), np.float32), "bias": np.zeros(1, np.float32)}}
    wanted = measure.protocols(experiment.evaluation, dataset.episodes)
    score = functools.partial(evaluator.episode_logits, params)
    sets = split(dataset, experiment.data.drawer_split)
    measured, _ = one_shot.one_shot_by_protocol(score, dataset, sets, {}, {"official_runs": wanted["official_runs"]})
    assert measured["official_runs"].result.card.trials == 400
    assert sum(embedded) == 800


def test_test_time_augmentation_is_measured_beside_the_plain_results_and_changes_none():
    dataset, results = make_dataset(), {}
    for views in (1, 3):
        experiment = replace(EXPERIMENT, evaluation=replace(EXPERIMENT.evaluation, views=views))
        results[views] = measured(dataset, experiment).results
    assert results[1].one_shot_views == {}
    assert results[1].one_shot == results[3].one_shot
    viewed = results[3].one_shot_views
    assert set(viewed) == {"official_runs", "within_alphabet"}  # the tiny data set is too small for the paper's 400
    for name, part in viewed.items():
        assert (part.card.views, results[3].one_shot[name].card.views) == (3, 1)
        assert part.card.trials_id == results[3].one_shot[name].card.trials_id
