"""The health of a network against NumPy, and a sentence for each way in which training can sit at chance."""

import contextlib
import re
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from example_results import RESULTS
from tiny import SHAPE, make_dataset, make_experiment

from siamese_jax.command import jobs
from siamese_jax.errors import UserError
from siamese_jax.learning import health
from siamese_jax.learning.health import at_the_start, diagnosis, learned_nothing, loss_of_guessing, update_sizes
from siamese_jax.network.siamese import build, init_params
from siamese_jax.report.sections import report
from siamese_jax.sampling import splits
from siamese_jax.sampling.layout import examples
from siamese_jax.specs import AdamW, NetSpec, NWay, Residual, Triplet, with_value
from siamese_jax.storage.checkpoint import Checkpoints
from siamese_jax.storage.log import read_metrics
from siamese_jax.training.fit import fit

EXPERIMENT = make_experiment()
SOUND = {
    "saturated": 0.01,
    "embedding_spread": 0.1,
    "score_spread": 0.5,
    "score_gap": 0.0,
    "dead_filters/conv1": 0.1,
    "update/conv1": 1e-3,
    "update/fc": 2e-3,
}


def examine(net, params, images):
    """As training does: compiled as one."""
    return jax.jit(partial(health.examine, net))(params, images)


def start(spec):
    return jax.jit(lambda key: init_params(key, spec, SHAPE))(jax.random.key(0))


@pytest.fixture
def network():
    net, params = build(EXPERIMENT.network), start(EXPERIMENT.network)
    images = examples(splits.split(make_dataset(), "paper")["train"], 5, 3)
    assert images.shape == (5, 3, *SHAPE)
    return net, params, images


def test_spreads_and_the_gap_are_those_of_numpy(network):
    net, params, images = network
    found = examine(net, params, jnp.asarray(images))
    embeddings = np.asarray(net.embed_images(params, jnp.asarray(images.reshape(15, *SHAPE))))
    between = embeddings.reshape(5, 3, -1).mean(axis=1).std(axis=0).mean()
    left, right = np.nonzero(~np.eye(15, dtype=bool))
    logits = np.asarray(net.compare_pairs(params, embeddings[left], embeddings[right]))
    same = left // 3 == right // 3
    np.testing.assert_allclose(found["embedding_spread"], between, rtol=1e-4)
    np.testing.assert_allclose(found["score_spread"], logits.std(), rtol=1e-4)
    np.testing.assert_allclose(found["score_gap"], logits[same].mean() - logits[~same].mean(), rtol=1e-3)


def test_saturated_units_and_dead_filters_are_counted(network):
    net, params, images = network
    planted = dict(params)
    planted["conv2"] = params["conv2"] | {"bias": jnp.array([-100.0, 0.1, 0.1, 0.1])}
    planted["fc"] = {"kernel": jnp.zeros_like(params["fc"]["kernel"]), "bias": jnp.array([9.0, -9.0] + [0.0] * 6)}
    found = examine(net, planted, jnp.asarray(images))
    assert found["dead_filters/conv2"] == 0.25
    assert found["saturated"] == 0.25
    assert found["embedding_spread"] < 1e-6


def test_a_linear_head_has_no_saturated_units(network):
    _, params, images = network
    net = build(with_value(EXPERIMENT.network, "head", "linear"))
    params = params | {"fc": params["fc"] | {"bias": jnp.full(8, 9.0)}}
    assert examine(net, params, jnp.asarray(images))["saturated"] == 0


def test_every_layer_of_a_residual_tower_is_looked_at(network):
    spec = NetSpec(Residual(units=8, width=8, stages=2, head="linear"))
    found = examine(build(spec), start(spec), jnp.asarray(network[2]))
    dead = {name for name in found if name.startswith("dead_filters/")}
    assert dead == {f"dead_filters/{name}" for name in ("stem", "stage1a", "stage1", "stage2a", "stage2")}


def test_the_size_of_an_update_is_relative_and_without_biases():
    before = {"conv1": {"kernel": jnp.array([3.0, 4.0]), "bias": jnp.zeros(2)}}
    after = {"conv1": {"kernel": jnp.array([3.0, 4.5]), "bias": jnp.ones(2)}}
    assert update_sizes(before, after) == {"update/conv1": pytest.approx(0.1)}


def test_updates_are_named_by_the_path_of_their_layer_at_any_depth():
    before = {
        "block": {"mlp": {"kernel": jnp.array([2.0]), "scale": jnp.array([0.0])}, "norm": {"bias": jnp.ones(2)}},
        "positions": jnp.array([[4.0]]),
        "out": {"project": {"kernel": jnp.array([1.0])}, "bias": jnp.array([1.0])},
    }
    after = jax.tree.map(lambda value: value + 1, before)
    assert update_sizes(before, after) == {
        "update/block/mlp": pytest.approx(2**0.5 / 2), "update/positions": pytest.approx(1 / 4),
        "update/out/project": pytest.approx(1.0),
    }  # fmt: skip


def test_the_field_of_a_nested_layers_rate_is_that_of_its_rule():
    rule = EXPERIMENT.optimizer.layers["fc"]
    nested = replace(EXPERIMENT, optimizer=replace(EXPERIMENT.optimizer, layers={"block": rule, "out": rule}))
    assert "lower --optimizer.layers.block.learning_rate" in diagnosis(
        nested, 0.6931, SOUND | {"update/block/mlp": 0.5}
    )


def test_weights_that_are_all_zero_have_no_relative_update_and_are_no_cause():
    zeros = {"conv1": {"kernel": jnp.zeros(2)}}
    size = float(update_sizes(zeros, jax.tree.map(lambda value: value + 1, zeros))["update/conv1"])
    assert not np.isfinite(size)
    assert "it may only be too early" in diagnosis(EXPERIMENT, 0.6931, SOUND | {"update/conv1": size})


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        (
            {"saturated": 0.7},
            "70% of the embedding's sigmoids are saturated.*lower --optimizer.layers.fc.learning_rate",
        ),
        ({"update/fc": 0.5}, "changes fc by 50% of its norm; lower --optimizer.layers.fc.learning_rate"),
        ({"dead_filters/conv1": 0.9}, "90% of the filters of conv1 are 0"),
        ({"update/conv1": 1e-7}, "changes conv1 by only 1e-07 .*raise --optimizer.layers.conv1.learning_rate"),
        ({"embedding_spread": 1e-5}, "embeddings of different characters are almost equal"),
        ({}, "it may only be too early"),
    ],
)
def test_training_at_chance_is_given_its_likely_cause_and_the_field_to_change(changes, cause):
    assert re.search(cause, diagnosis(EXPERIMENT, 0.6931, SOUND | changes))
    assert diagnosis(EXPERIMENT, 0.6, SOUND | changes) == ""


def test_a_start_that_is_not_sound_is_named_only_where_it_was_taken():
    paper = replace(EXPERIMENT, network=replace(EXPERIMENT.network, initialiser="paper"))
    for found in ({"saturated": 0.7}, {"embedding_spread": 1e-5}):
        assert "--network.initialiser=scaled" in diagnosis(paper, 0.6931, SOUND | found)
        assert "initialiser" not in diagnosis(EXPERIMENT, 0.6931, SOUND | found)


def test_what_was_not_finite_is_no_cause_and_no_traceback():
    for strange in (None, np.nan, np.inf):
        assert "it may only be too early" in diagnosis(EXPERIMENT, 0.6931, dict.fromkeys(SOUND, strange))
    wild = {"update/conv1": np.nan, "update/fc": 0.5}
    assert "changes fc by 50%" in diagnosis(EXPERIMENT, 0.6931, SOUND | wild)


def test_a_rate_that_has_been_let_down_to_zero_is_not_told_to_be_raised():
    adamw = replace(EXPERIMENT, optimizer=AdamW())
    assert "raise --optimizer" not in diagnosis(adamw, 0.6931, SOUND | {"update/fc": 1e-9, "embedding_spread": 0})
    constant = replace(adamw, optimizer=replace(adamw.optimizer, schedule="constant"))
    assert "raise --optimizer.rate" in diagnosis(constant, 0.6931, SOUND | {"update/fc": 1e-9})
    held_back = replace(constant, optimizer=replace(constant.optimizer, fc_rate=0.05))
    assert "raise --optimizer.fc_rate" in diagnosis(held_back, 0.6931, SOUND | {"update/fc": 1e-9})
    assert "raise --optimizer.rate" in diagnosis(constant, 0.6931, SOUND | {"update/conv1": 1e-9})
    assert "lower --optimizer.fc_rate" in diagnosis(adamw, 0.6931, SOUND | {"saturated": 0.7})


def test_a_rate_that_is_too_low_is_named_while_its_schedule_is_at_its_height():
    adamw = replace(EXPERIMENT, optimizer=AdamW(rate=1e-8))
    still = SOUND | {"update/conv1": 1e-8}
    assert "raise --optimizer.rate" in diagnosis(adamw, 0.6931, still | {"next_rate": 1e-8})
    assert "it may only be too early" in diagnosis(adamw, 0.6931, still | {"next_rate": 1e-12})
    at_its_end = SOUND | {"update/conv1": 0.0, "update/fc": 0.0, "learning_rate": 1e-12, "next_rate": 0.0}
    assert "it may only be too early" in diagnosis(adamw, 0.6931, at_its_end)
    none = replace(adamw, optimizer=replace(adamw.optimizer, rate=0.0))
    assert "raise --optimizer.rate" in diagnosis(none, 0.6931, at_its_end)


def test_what_is_unsound_before_the_first_step_is_said_there():
    assert at_the_start(EXPERIMENT, SOUND | {"update/conv1": 1e-9, "embedding_spread": 0}) == ""
    paper = replace(EXPERIMENT, network=replace(EXPERIMENT.network, initialiser="paper"))
    said = at_the_start(paper, SOUND | {"saturated": 0.72})
    assert said.startswith("Before the first step: 72% of the embedding's sigmoids are saturated")
    assert said.endswith("start with --network.initialiser=scaled.")
    for found in ({"saturated": 0.72}, {"dead_filters/conv1": 0.9}):  # no rate has acted yet
        assert at_the_start(EXPERIMENT, SOUND | found).endswith("; restart with another --seed.")


def test_guessing_costs_what_the_loss_says():
    assert loss_of_guessing(EXPERIMENT) == pytest.approx(0.6931, abs=1e-4)
    assert loss_of_guessing(replace(EXPERIMENT, loss=NWay())) == pytest.approx(np.log(20))
    small = [{"guessing": np.log(14)}, {"guessing": np.log(14)}, {"guessing": None}, {}]
    assert loss_of_guessing(replace(EXPERIMENT, loss=NWay()), small) == pytest.approx(np.log(14))
    assert diagnosis(replace(EXPERIMENT, loss=NWay()), np.log(14), SOUND, small)
    assert not diagnosis(replace(EXPERIMENT, loss=NWay()), np.log(14), SOUND)
    triplets = replace(EXPERIMENT, loss=Triplet())
    assert loss_of_guessing(triplets) is None
    assert diagnosis(triplets, 99.0, SOUND) == ""


def test_a_run_planted_at_chance_says_why_while_it_trains_and_in_its_report(tmp_path, capsys):
    still = {name: replace(rule, learning_rate=1e-8) for name, rule in EXPERIMENT.optimizer.layers.items()}
    experiment = replace(EXPERIMENT, optimizer=replace(EXPERIMENT.optimizer, layers=still), max_epochs=1)
    train = splits.split(make_dataset(), "paper")["train"]
    noise = np.random.default_rng(0).integers(0, 256, train.images.shape, np.uint8)
    train = train._replace(images=noise)  # in which nothing can be told apart
    with Checkpoints(tmp_path) as checkpoints:
        fit(experiment, train, lambda params: 0.3, checkpoints)
    said = capsys.readouterr().err
    assert "nothing is learned yet. Likely cause: each step changes" in said
    assert "raise --optimizer.layers." in said
    rows = read_metrics(tmp_path)
    assert [row["step"] for row in rows if "saturated" in row] == [0, 9]
    assert "**The loss is 0." in report(experiment, RESULTS, rows)
    last = rows[-1]
    last |= dict.fromkeys((name for name in last if name.startswith("update/")), None) | {"score_gap": None}
    assert "– |" in report(experiment, RESULTS, rows)


def test_an_epoch_that_outlasts_its_checkpoints_is_looked_at_and_once_said_to_sit_at_chance(tmp_path, capsys):
    still = {name: replace(rule, learning_rate=1e-8) for name, rule in EXPERIMENT.optimizer.layers.items()}
    still = replace(EXPERIMENT.optimizer, layers=still)
    experiment = replace(EXPERIMENT, optimizer=still, max_epochs=2, checkpoint_minutes=1e-9)
    train = splits.split(make_dataset(), "paper")["train"]
    train = train._replace(images=np.zeros_like(train.images))
    with Checkpoints(tmp_path) as checkpoints:
        fit(experiment, train, lambda params: 0.3, checkpoints)
    assert [row["step"] for row in read_metrics(tmp_path) if "saturated" in row] == list(range(19))
    said = capsys.readouterr().err
    assert said.index("nothing is learned yet") < said.index("epoch 1/2")
    assert said.count("nothing is learned yet") == 4  # within each epoch, and at its end


def test_a_start_that_is_not_sound_is_said_while_the_run_begins(tmp_path, capsys):
    fast = {name: replace(rule, learning_rate=10.0) for name, rule in EXPERIMENT.optimizer.layers.items()}
    experiment = replace(EXPERIMENT, optimizer=replace(EXPERIMENT.optimizer, layers=fast), max_epochs=1)
    with Checkpoints(tmp_path) as checkpoints, contextlib.suppress(UserError):  # it diverges, or does not
        fit(experiment, splits.split(make_dataset(), "paper")["train"], lambda params: 0.3, checkpoints)
    assert "Before the first step: each step changes" in capsys.readouterr().err


def test_a_line_of_metrics_counts_in_the_reported_loss_for_as_many_steps_as_it_stands_for():
    look = {"saturated": 0.0, "embedding_spread": 0.1, "score_spread": 1.0, "score_gap": 0.0, "update/fc": 1e-3}
    lines = [(1, 1, 5.0), (9, 1, 0.9), (10, 2, 3.0), (18, 2, 0.6)]
    rows = [{"step": step, "epoch": epoch, "cross_entropy": loss} for step, epoch, loss in lines]
    rows = [{"step": 0, "epoch": 1, **look}, *rows, {"step": 18, "epoch": 2, **look}]
    assert "**The loss is 0.867, and that of guessing is 0.693" in report(EXPERIMENT, RESULTS, rows)


def results_of(best: float, trials: int = 320, n_way: int = 20, **training):
    """Results of a training of 50 epochs whose best one had that accuracy on validation."""
    card = replace(RESULTS.one_shot["official_runs"].card, trials=trials, n_way=n_way)
    one = replace(RESULTS.one_shot["official_runs"], card=card)
    summary = replace(RESULTS.training, epochs=50, best_validation_accuracy=best, stopped_by="patience")
    return replace(RESULTS, one_shot={"validation": one}, training=replace(summary, **training))


def test_a_network_that_is_no_better_than_guessing_is_named_with_what_to_try():
    sentence = learned_nothing(EXPERIMENT, results_of(0.05))
    assert re.match(r"This network learned nothing: .* is 5.0%, and guessing reaches up to \d+.\d% on 320", sentence)
    assert "--optimizer.layers.LAYER.learning_rate" in sentence
    assert "--optimizer.rate" in learned_nothing(replace(EXPERIMENT, optimizer=AdamW()), results_of(0.05))
    assert learned_nothing(EXPERIMENT, results_of(0.2)) == ""


def test_it_is_the_last_line_of_the_command(tmp_path):
    for results, begins in ((results_of(0.05), "This network learned nothing"), (RESULTS, "report: ")):
        assert jobs._last(EXPERIMENT, results, tmp_path).splitlines()[-1].startswith(begins)


def test_the_best_of_many_epochs_of_guessing_is_taken_for_guessing():
    draw = np.random.default_rng(0)
    said = [
        bool(learned_nothing(EXPERIMENT, results_of(draw.binomial(320, 1 / 20, size=50).max() / 320)))
        for _ in range(400)
    ]
    assert np.mean(said) > 0.96


def test_nothing_is_said_of_runs_that_are_not_finished_or_train_nothing():
    assert learned_nothing(EXPERIMENT, results_of(0.05, stopped_by="not finished")) == ""
    assert learned_nothing(EXPERIMENT, replace(results_of(0.05), training=None)) == ""
    assert learned_nothing(EXPERIMENT, replace(results_of(0.05), one_shot={})) == ""
