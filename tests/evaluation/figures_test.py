"""Each picture shows what was measured: the figures are caught on their way to the disk."""

import functools
from dataclasses import replace
from pathlib import Path

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest
from example_run import changed
from scipy.special import expit
from tiny import SHAPE, make_dataset, make_experiment, make_params

from siamese_jax import plots
from siamese_jax.evaluation import embedder, figures, measure, one_shot
from siamese_jax.evaluation.protocols import protocols
from siamese_jax.keys import root_key
from siamese_jax.network.siamese import build
from siamese_jax.sampling.splits import split
from siamese_jax.specs import DistortSpec, with_value, with_values

EXPERIMENT = make_experiment()
DATASET = make_dataset()
SETS = split(DATASET, "paper")
NET = build(EXPERIMENT.network)
PARAMS = make_params(EXPERIMENT.network)
EVALUATOR = embedder.Evaluator(NET, embed_batch=16)
WANTED = {
    n: p
    for n, p in protocols(EXPERIMENT.evaluation, DATASET.episodes).items()
    if n in ("official_runs", "2_way_1_shot")
}
MEASURED, _ = one_shot.one_shot_by_protocol(
    functools.partial(EVALUATOR.episode_logits, PARAMS), DATASET, SETS, {}, WANTED
)


@pytest.fixture
def saved(monkeypatch) -> dict[str, tuple]:
    """What each picture was drawn from, by its file; nothing is drawn."""
    drawn = {}
    for name in [name for name in plots.__all__ if name.endswith("_figure")]:
        monkeypatch.setattr(plots, name, lambda *given: given)
    monkeypatch.setattr(plots, "save", lambda given, path: drawn.update({Path(path).name: given}))
    return drawn


def plot_trials(experiment=EXPERIMENT, many="official_runs"):
    figures.plot_trials(Path(), experiment, DATASET.images, MEASURED["official_runs"], MEASURED[many])


def test_the_trial_and_the_hardest_ones_show_the_images_and_scores_that_were_measured(saved):
    plot_trials()
    runs, scores = DATASET.episodes, MEASURED["official_runs"].scores
    query, supports, p, answer, title, scale = saved["trial.png"]
    np.testing.assert_array_equal(query, DATASET.images.images[runs.query[0, 0]])
    np.testing.assert_array_equal(supports, DATASET.images.images[runs.support[0, :, 0]])
    np.testing.assert_allclose(p, expit(scores[0, 0].astype(float)))
    assert (answer, title) == (runs.answer[0, 0], "omniglot_20way: the first trial")
    rows, of_hardest, title = saved["hardest.png"]
    assert title == "The hardest trials of each alphabet"
    assert scale == of_hardest == "p(same)"
    assert [row.group for row in rows] == ["e", "e", "f", "f"]
    margins = []
    for r in range(2):
        right = [scores[r, q, runs.answer[r, q]] for q in range(3)]
        wrong = [max(scores[r, q, w] for w in range(3) if w != runs.answer[r, q]) for q in range(3)]
        margins += sorted(float(expit(float(a)) - expit(float(b))) for a, b in zip(right, wrong, strict=True))[:2]
    np.testing.assert_allclose([row.right_score - row.wrong_score for row in rows], margins, rtol=1e-5, atol=1e-7)
    place = next(q for q in range(3) if np.array_equal(rows[0].query, DATASET.images.images[runs.query[0, q]]))
    of_answer = DATASET.images.images[runs.support[0, runs.answer[0, place], 0]]
    np.testing.assert_array_equal(rows[0].right, of_answer)


def test_without_official_runs_the_pictures_show_random_trials(saved):
    evaluated = {"within_alphabet": MEASURED["2_way_1_shot"]}
    measurement = measure.Measurement(changed(one_shot={}, verification=None), evaluated)
    figures.plot_run(Path(), EXPERIMENT, DATASET, SETS, EVALUATOR, PARAMS, measurement, [])
    assert {"trial.png", "hardest.png", "confused.png", "filters.png", "units.png"} <= set(saved)
    np.testing.assert_array_equal(
        saved["trial.png"][0], DATASET.images.images[evaluated["within_alphabet"].episodes.query[0, 0]]
    )


@pytest.mark.parametrize(("loss", "scale"), [("n_way", "softmax over the supports"), ("triplet", "logit")])
def test_scores_that_were_not_trained_as_p_same_are_not_shown_as_p_same(saved, loss, scale):
    experiment = with_value(EXPERIMENT, "loss.name", loss)
    plot_trials(experiment)
    scores = MEASURED["official_runs"].scores[0, 0].astype(float)
    shown, rows = saved["trial.png"], saved["hardest.png"]
    expected = np.exp(scores) / np.exp(scores).sum() if loss == "n_way" else scores
    np.testing.assert_allclose(shown[2], expected, rtol=1e-6)
    assert (shown[-1], rows[1]) == (scale, scale)
    figures.plot_network(Path(), experiment, DATASET.images, MEASURED["official_runs"], EVALUATOR, PARAMS)
    assert saved["units.png"][-1] is False


def test_units_are_those_of_the_first_trials_right_and_strongest_wrong_support(saved):
    official = MEASURED["official_runs"]
    figures.plot_network(Path(), EXPERIMENT, DATASET.images, official, EVALUATOR, PARAMS)
    right, wrong, query, _, _, bias, _, p_same = saved["units.png"]
    assert p_same is True
    scores, answer = official.scores[0, 0], DATASET.episodes.answer[0, 0]
    np.testing.assert_allclose(right.sum() + bias, scores[answer], rtol=1e-4)
    np.testing.assert_allclose(wrong.sum() + bias, np.delete(scores, answer).max(), rtol=1e-4)
    np.testing.assert_array_equal(query, DATASET.images.images[DATASET.episodes.query[0, 0]])
    np.testing.assert_array_equal(saved["filters.png"][0], PARAMS["conv1"]["kernel"])
    assert saved["filters.png"][1] == "conv1"


def test_filters_are_named_after_the_layer_that_they_are_from(saved):
    residual = with_values(EXPERIMENT.network, {"tower": "residual", "width": 8, "stages": 1})
    net, params = build(residual), make_params(residual)
    evaluator = embedder.Evaluator(net, embed_batch=16)
    figures.plot_network(Path(), EXPERIMENT, DATASET.images, MEASURED["official_runs"], evaluator, params)
    kernel, layer = saved["filters.png"]
    nested = {"backbone": {"patches": {"kernel": np.zeros((4, 4, 3, 8))}}, "fc": {"kernel": np.zeros((8, 3))}}
    assert figures.first_filters(nested, 3)[0] == "backbone/patches"
    assert figures.first_filters(nested, 1) is None
    np.testing.assert_array_equal(kernel, params["stem"]["kernel"])
    assert layer == "stem"


def test_a_tower_without_convolutions_has_no_picture_of_filters(saved):
    dense = with_values(EXPERIMENT.network, {"tower": "dense", "hidden": 5})
    net, params = build(dense), make_params(dense)
    evaluator = embedder.Evaluator(net, embed_batch=16)
    figures.plot_network(Path(), EXPERIMENT, DATASET.images, MEASURED["official_runs"], evaluator, params)
    assert set(saved) == {"units.png"}


class Judge(nn.Module):
    """An energy that is not a sum over units."""

    @nn.compact
    def __call__(self, left, right):
        return nn.Dense(1)(jnp.square(left - right))[0]


def test_an_energy_that_is_not_a_sum_over_units_has_no_picture_of_them(saved):
    net = NET._replace(energy=Judge())
    params = PARAMS | {"out": Judge().init(root_key(0), jnp.zeros(8), jnp.zeros(8))["params"]}
    evaluator = embedder.Evaluator(net, embed_batch=16)
    figures.plot_network(Path(), EXPERIMENT, DATASET.images, MEASURED["official_runs"], evaluator, params)
    assert set(saved) == {"filters.png"}


def test_distorted_samples_stand_beside_their_originals_and_only_where_there_are_distortions(saved):
    figures.plot_training(Path(), EXPERIMENT, SETS["train"], [])
    (shown,) = saved["distortions.png"]
    assert shown.shape == (figures.ORIGINALS, 1 + figures.COPIES, *SHAPE)
    assert shown.dtype == np.uint8
    known = {image.tobytes() for image in SETS["train"].images}
    assert all(row[0].tobytes() in known for row in shown)
    assert len({image.tobytes() for image in shown[:, 1:].reshape(-1, *SHAPE)} - known) > 40
    assert "training.png" not in saved  # a network that came as a file left no lines of metrics
    saved.clear()
    rows = [{"step": 1, "epoch": 1, "cross_entropy": 0.7, "accuracy": 0.5}]
    figures.plot_training(Path(), replace(EXPERIMENT, distort=DistortSpec(copies=0)), SETS["train"], rows)
    assert set(saved) == {"training.png"}


def test_confusions_show_the_characters_that_were_taken_for_each_other(saved):
    plot_trials(many="2_way_1_shot")
    rows, title = saved["confused.png"]
    assert title == "The characters most often confused"
    many = MEASURED["2_way_1_shot"]
    wrong = many.scores.argmax(axis=-1) != many.episodes.answer
    assert 0 < sum(row.times for row in rows) <= wrong.sum()
    first = DATASET.images.images[::20]
    for row in rows:
        assert any(np.array_equal(row.shown, image) for image in first)
        assert not np.array_equal(row.shown, row.taken_for)
