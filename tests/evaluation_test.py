import jax.numpy as jnp
import numpy as np
import pytest
from tiny import SIDE, make_dataset, make_experiment

from siamese_jax import evaluation
from siamese_jax.keys import root_key
from siamese_jax.model import as_input, build, init_params
from siamese_jax.specs import EvalSpec, UserError
from siamese_jax.splits import split

EXPERIMENT = make_experiment()
NET = build(EXPERIMENT.network)
PARAMS = init_params(root_key(0), EXPERIMENT.network, SIDE)
DATASET = make_dataset()
SETS = split(DATASET, "paper")
TRAINED = frozenset(range(1, 13))


def make_evaluator():
    return evaluation.Evaluator(NET, embed_batch=16)


def test_scores_of_runs_equal_comparing_every_pair_of_images():
    images = as_input(jnp.asarray(DATASET.alphabets.images))
    runs = DATASET.runs
    scores = make_evaluator().run_logits(PARAMS, DATASET.alphabets.images, runs)
    for r in range(2):
        for q in range(3):
            for way in range(3):
                pair = images[runs.query[r, q]], images[runs.support[r, way, 0]]
                np.testing.assert_allclose(scores[r, q, way], NET.pair_logit(PARAMS, *pair), rtol=1e-4, atol=1e-5)


def test_only_the_images_that_runs_use_are_embedded_and_each_once(monkeypatch):
    evaluator, embedded = make_evaluator(), []
    original = evaluator.embed
    monkeypatch.setattr(
        evaluator, "embed", lambda params, images: embedded.append(len(images)) or original(params, images)
    )
    evaluator.run_logits(PARAMS, DATASET.alphabets.images, DATASET.runs)
    assert embedded == [len(set(DATASET.runs.support.ravel()) | set(DATASET.runs.query.ravel()))] == [12]


@pytest.mark.parametrize("count", [1, 15, 16, 17])
def test_embedding_in_batches_changes_nothing_and_keeps_the_count(count):
    images = DATASET.alphabets.images[:count]
    whole = NET.embed_images(PARAMS, jnp.asarray(images))
    np.testing.assert_allclose(make_evaluator().embed(PARAMS, images), whole, rtol=1e-5, atol=1e-6)


def test_a_constant_network_scores_one_third_of_three_ways_and_its_ties_are_counted():
    constant = {**PARAMS, "out": {"weight": jnp.zeros((8, 1)), "bias": jnp.ones(1)}}
    result = evaluation.one_shot(make_evaluator(), constant, DATASET.alphabets, DATASET.runs, TRAINED)
    np.testing.assert_allclose(result["accuracy"], 1 / 3)
    assert (result["trials"], result["correct"], result["ties"]) == (6, 2, 6)


def test_a_result_says_which_drawers_were_seen_in_training():
    official = evaluation.one_shot(make_evaluator(), PARAMS, DATASET.alphabets, DATASET.runs, TRAINED)
    random = evaluation.random_trials(make_evaluator(), PARAMS, EXPERIMENT, SETS["test"], TRAINED)
    assert official["drawers"] == official["drawers_seen_in_training"] == [1, 2]
    assert random["drawers"] == [17, 18, 19, 20]
    assert random["drawers_seen_in_training"] == []
    low, high = random["ci95"]
    assert low <= random["accuracy"] <= high


def test_verification_takes_its_threshold_from_validation_alone():
    evaluator = make_evaluator()
    result = evaluation.verification(evaluator, PARAMS, EXPERIMENT, SETS["validation"], SETS["test"])
    other = SETS["test"]._replace(images=255 - SETS["test"].images)
    changed = evaluation.verification(evaluator, PARAMS, EXPERIMENT, SETS["validation"], other)
    assert result["validation"] == changed["validation"]
    assert result["test"]["threshold"] == result["validation"]["threshold"] == changed["test"]["threshold"]
    assert result["test"]["pairs"] == 8
    assert result["validation"]["accuracy"] >= 0.5


def test_validation_trials_are_the_same_every_time_and_change_with_the_seed():
    first, again = (evaluation.validation_runs(EXPERIMENT, SETS["validation"]) for _ in range(2))
    other = evaluation.validation_runs(make_experiment(seed=1), SETS["validation"])
    np.testing.assert_array_equal(first.query, again.query)
    assert not np.array_equal(first.query, other.query)


def test_parameters_that_are_not_finite_are_an_error_not_a_result():
    broken = {**PARAMS, "out": {"weight": jnp.full((8, 1), jnp.nan), "bias": jnp.ones(1)}}
    with pytest.raises(UserError, match="not finite"):
        evaluation.one_shot(make_evaluator(), broken, DATASET.alphabets, DATASET.runs, TRAINED)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (EvalSpec(n_way=6, validation_trials=12, random_trials=12), "n_way=6 .* 5 characters"),
        (EvalSpec(n_way=3, validation_trials=13, random_trials=12), "13 trials"),
        (EvalSpec(n_way=3, validation_trials=12, random_trials=14), "14 trials"),
    ],
)
def test_what_evaluation_would_stumble_over_is_refused_before_training(spec, words):
    with pytest.raises(UserError, match=words):
        evaluation.check_evaluation(make_experiment(evaluation=spec), SETS["validation"], SETS["test"])
