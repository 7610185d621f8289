"""What is measured of a network and of comparisons; the whole way is walked by main_test."""

import functools
from dataclasses import replace

import numpy as np
import pytest
from tiny import SIDE, make_dataset, make_digits, make_experiment

from siamese_jax import data
from siamese_jax.errors import UserError
from siamese_jax.evaluation import embedder, measure, one_shot
from siamese_jax.evaluation.baselines import BASELINES
from siamese_jax.evaluation.protocols import DIGITS, PROTOCOLS
from siamese_jax.experiments import find
from siamese_jax.keys import root_key
from siamese_jax.network.siamese import build, init_params
from siamese_jax.sampling.splits import split
from siamese_jax.training.fit import Fitted
from siamese_jax.training.listeners import History


def test_every_comparison_is_measured_under_protocols_that_exist():
    assert set(measure.COMPARED_UNDER) == set(BASELINES)
    assert set().union(*measure.COMPARED_UNDER.values()) <= {*PROTOCOLS, *DIGITS}


def test_baselines_see_digits_as_they_were_drawn(tmp_path):
    asked = []
    dataset = make_dataset()
    results = measure.measure_baselines(
        make_experiment(method="baselines"),
        tmp_path,
        dataset,
        split(dataset, "paper"),
        lambda side: asked.append(side) or make_digits(side),
        "the command",
    )
    assert asked == [None]
    accuracy = results["baselines"]["nearest_neighbour"]["mnist_10way_10000"]["accuracy"]
    assert accuracy > 0.5  # digits of one shape each, with noise: chance is 0.1
    assert results["not_measured"].keys() == {"koch_400"}


def full(*_):
    raise UserError("no space left")


def test_there_are_no_results_without_their_trials(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "write_arrays", full)
    dataset = make_dataset()
    compared = make_experiment(method="baselines")
    with pytest.raises(UserError, match="no space left"):
        measure.measure_baselines(compared, tmp_path, dataset, split(dataset, "paper"), make_digits, "the command")
    assert not list(tmp_path.iterdir())


def test_figures_are_on_disk_before_a_picture_fails(tmp_path, monkeypatch):
    dataset, experiment = make_dataset(), make_experiment()
    sets, net = split(dataset, "paper"), build(experiment.network)
    fitted = Fitted(init_params(root_key(0), experiment.network, SIDE), 0, History())
    monkeypatch.setattr(measure.figures, "draw_training", full)
    evaluator = embedder.Evaluator(net, 16)
    with pytest.raises(UserError, match="no space left"):
        measure.measure_network(experiment, tmp_path, dataset, sets, net, evaluator, fitted, make_digits, "the command")
    assert {path.name for path in tmp_path.iterdir()} == {"results.json", "trials.npz"}


def test_where_the_released_runs_are_refused_the_rest_is_measured_and_reported(tmp_path):
    dataset, experiment = make_dataset(), make_experiment()
    dataset.episodes.answer[0] = np.roll(dataset.episodes.answer[0], 1)  # wrong labels
    net = build(experiment.network)
    results = measure.measure_network(
        experiment, tmp_path, dataset, split(dataset, "paper"), net, embedder.Evaluator(net, 16),
        Fitted(init_params(root_key(0), experiment.network, SIDE), 0, History()), make_digits, "the command",
    )  # fmt: skip
    assert "not the query's character" in results["not_measured"]["official_runs"]
    assert "within_alphabet" in results["one_shot"]
    assert "Not measured: `official_runs`" in (tmp_path / "report.md").read_text()


def test_the_papers_network_embeds_800_images_for_the_400_official_trials_and_no_more(prepared_omniglot, monkeypatch):
    experiment = find("omniglot_20way")
    dataset = data.load(experiment.data, prepared_omniglot)
    assert dataset.images.images.shape[1:] == (105, 105)
    evaluator = embedder.Evaluator(build(experiment.network), experiment.evaluation.embed_batch)
    embedded = []

    def ink(params, images):  # stands in for 0.9 GMAC an image: what is counted is which images come here
        embedded.append(len(images))
        return np.repeat(images.mean(axis=(1, 2))[:, None], 4096, axis=1).astype(np.float32) / 255

    monkeypatch.setattr(evaluator, "_embed_new", ink)
    params = {"out": {"weight": -np.ones((4096, 1), np.float32), "bias": np.zeros(1, np.float32)}}
    wanted = measure.protocols(experiment.evaluation, dataset.episodes)
    score = functools.partial(evaluator.episode_logits, params)
    sets = split(dataset, experiment.data.drawer_split)
    measured, _ = one_shot.one_shot_by_protocol(score, dataset, sets, {}, {"official_runs": wanted["official_runs"]})
    assert measured["official_runs"].result["trials"] == 400
    assert sum(embedded) == 800


def test_averaged_views_are_measured_beside_the_plain_figures_and_change_none(tmp_path):
    dataset, results = make_dataset(), {}
    for views in (1, 3):
        experiment = make_experiment()
        experiment = replace(experiment, evaluation=replace(experiment.evaluation, views=views))
        sets, net = split(dataset, "paper"), build(experiment.network)
        fitted = Fitted(init_params(root_key(0), experiment.network, SIDE), 0, History())
        evaluator = embedder.Evaluator(net, 16)
        results[views] = measure.measure_network(
            experiment, tmp_path, dataset, sets, net, evaluator, fitted, make_digits, "the command"
        )
    assert "one_shot_views" not in results[1]
    assert results[1]["one_shot"] == results[3]["one_shot"]
    viewed = results[3]["one_shot_views"]
    assert set(viewed) == {"official_runs", "within_alphabet"}  # the tiny data set is too small for the paper's 400
    for name, part in viewed.items():
        assert part["card"]["views"] == 3
        assert part["card"]["trials_id"] == results[3]["one_shot"][name]["card"]["trials_id"]
