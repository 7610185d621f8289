import functools

import jax.numpy as jnp
import numpy as np
import pytest
from tiny import SIDE, make_dataset, make_experiment

from siamese_jax import evaluation
from siamese_jax.keys import root_key
from siamese_jax.model import as_input, build, init_params
from siamese_jax.protocols import protocols
from siamese_jax.specs import EvalSpec, UserError
from siamese_jax.splits import split

EXPERIMENT = make_experiment()
NET = build(EXPERIMENT.network)
PARAMS = init_params(root_key(0), EXPERIMENT.network, SIDE)
DATASET = make_dataset()
SETS = split(DATASET, "paper")
SEEN = {"trained": SETS["train"], "chosen": SETS["validation"]}
PROTOCOLS = protocols(EXPERIMENT.evaluation, DATASET.runs)


def make_evaluator():
    return evaluation.Evaluator(NET, embed_batch=16)


def official(evaluator, params):
    score = functools.partial(evaluator.run_logits, params)
    return evaluation.one_shot(score, DATASET.alphabets, DATASET.runs, PROTOCOLS["official_runs"], SEEN)


def by_protocol(*names, score=None):
    score = score or functools.partial(make_evaluator().run_logits, PARAMS)
    chosen = {name: PROTOCOLS[name] for name in names}
    return evaluation.one_shot_by_protocol(score, DATASET, SETS, SEEN, chosen)


def test_scores_of_runs_equal_comparing_every_pair_of_images():
    images = as_input(jnp.asarray(DATASET.alphabets.images))
    runs = DATASET.runs
    scores = make_evaluator().run_logits(PARAMS, DATASET.alphabets.images, runs)
    for r in range(2):
        for q in range(3):
            for way in range(3):
                pair = images[runs.query[r, q]], images[runs.support[r, way, 0]]
                np.testing.assert_allclose(scores[r, q, way], NET.pair_logit(PARAMS, *pair), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("together", [1, 3, 100])
def test_how_many_runs_are_compared_at_a_time_changes_nothing(monkeypatch, together):
    runs = evaluation.validation_runs(EXPERIMENT, SETS["validation"])
    whole = make_evaluator().run_logits(PARAMS, SETS["validation"].images, runs)
    monkeypatch.setattr(evaluation, "PAIRS", 9 * together)
    assert len(whole) == 4
    scores = make_evaluator().run_logits(PARAMS, SETS["validation"].images, runs)
    np.testing.assert_allclose(scores, whole, rtol=1e-5, atol=1e-6)


def count_embedded(evaluator, monkeypatch):
    """Returns a list that grows by the number of images whenever some are embedded."""
    embedded, original = [], evaluator._embed_new
    monkeypatch.setattr(
        evaluator, "_embed_new", lambda params, images: embedded.append(len(images)) or original(params, images)
    )
    return embedded


def test_only_the_images_that_runs_use_are_embedded_and_each_once(monkeypatch):
    evaluator = make_evaluator()
    embedded = count_embedded(evaluator, monkeypatch)
    for _ in range(2):
        evaluator.run_logits(PARAMS, DATASET.alphabets.images, DATASET.runs)
    assert embedded == [len(set(DATASET.runs.support.ravel()) | set(DATASET.runs.query.ravel()))] == [12]


def test_all_protocols_and_verification_together_embed_each_image_once(monkeypatch):
    evaluator = make_evaluator()
    embedded = count_embedded(evaluator, monkeypatch)
    score = functools.partial(evaluator.run_logits, PARAMS)
    names = ("official_runs", "within_alphabet", "2_way_1_shot", "5_way_5_shot")
    by_protocol(*names, score=score)
    evaluation.verification(evaluator, PARAMS, EXPERIMENT, SETS["validation"], SETS["test"])
    by_protocol(*names, score=score)
    # Two test alphabets of 5 characters by the 8 untrained drawers and in the runs; all of validation.
    assert sum(embedded) == 2 * 5 * 8 + 12 + len(SETS["validation"].images)


def test_other_parameters_are_never_given_the_embeddings_of_the_last():
    evaluator, images = make_evaluator(), DATASET.alphabets.images[:5]
    other = init_params(root_key(1), EXPERIMENT.network, SIDE)
    first = evaluator.embed(PARAMS, images)
    np.testing.assert_allclose(evaluator.embed(other, images), NET.embed_images(other, jnp.asarray(images)), rtol=1e-4)
    np.testing.assert_array_equal(evaluator.embed(PARAMS, images), first)


def test_images_are_embedded_in_the_order_asked_for_with_repeats():
    evaluator, images = make_evaluator(), DATASET.alphabets.images
    evaluator.embed(PARAMS, images[[3, 1]])
    whole = NET.embed_images(PARAMS, jnp.asarray(images[[1, 7, 1, 3]]))
    np.testing.assert_allclose(evaluator.embed(PARAMS, images[[1, 7, 1, 3]]), whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("count", [1, 15, 16, 17])
def test_embedding_in_batches_changes_nothing_and_keeps_the_count(count):
    images = DATASET.alphabets.images[:count]
    whole = NET.embed_images(PARAMS, jnp.asarray(images))
    np.testing.assert_allclose(make_evaluator().embed(PARAMS, images), whole, rtol=1e-5, atol=1e-6)


def test_a_constant_network_scores_one_third_of_three_ways_and_its_ties_are_counted():
    constant = {**PARAMS, "out": {"weight": jnp.zeros((8, 1)), "bias": jnp.ones(1)}}
    result = official(make_evaluator(), constant)
    np.testing.assert_allclose(result["accuracy"], 1 / 3)
    assert (result["trials"], result["correct"], result["ties"]) == (6, 2, 6)
    assert any("output is constant" in warning for warning in result["warnings"])


def test_a_result_says_which_drawers_were_seen_in_training():
    results, _ = by_protocol("official_runs", "within_alphabet", "2_way_5_shot")
    random = results["within_alphabet"]
    assert results["official_runs"]["drawers"] == results["official_runs"]["drawers_seen_in_training"] == [1, 2]
    assert any("1, 2 also drew characters" in warning for warning in results["official_runs"]["warnings"])
    assert set(random["drawers"]) <= {17, 18, 19, 20}
    assert random["drawers_seen_in_training"] == []
    assert results["2_way_5_shot"]["drawers"] == [13, 14, 15, 16, 17, 18, 19, 20]
    assert any("13, 14, 15, 16" in w and "chosen on" in w for w in results["2_way_5_shot"]["warnings"])
    low, high = random["ci95"]
    assert low <= random["accuracy"] <= high


def test_a_protocol_that_cannot_be_measured_is_refused_with_the_reason_and_the_others_are_measured():
    results, refused = by_protocol("koch_400", "within_alphabet")
    assert list(results) == ["within_alphabet"]
    assert "smallest alphabet has 5 characters" in refused["koch_400"]


def test_trials_of_alphabets_that_were_trained_or_chosen_on_are_refused():
    score = functools.partial(make_evaluator().run_logits, PARAMS)
    for used in ("trained", "chosen"):
        results, refused = evaluation.one_shot_by_protocol(
            score, DATASET, SETS, {used: SETS["test"]}, {"within_alphabet": PROTOCOLS["within_alphabet"]}
        )
        assert results == {}
        assert f"was {used} on alphabets that these trials take: e, f" in refused["within_alphabet"]


def test_validation_trials_are_measured_as_what_they_are():
    score = functools.partial(make_evaluator().run_logits, PARAMS)
    result = evaluation.validation_one_shot(score, EXPERIMENT, SETS)
    assert "chosen" in result["card"]["protocol"]
    assert result["trials"] == 12
    runs = evaluation.validation_runs(EXPERIMENT, SETS["validation"])
    accuracy = evaluation.validation_accuracy(make_evaluator(), PARAMS, SETS["validation"], runs)
    np.testing.assert_allclose(result["accuracy"], accuracy)


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
        official(make_evaluator(), broken)
    with pytest.raises(UserError, match="not finite"):  # and not a protocol that could not be measured
        by_protocol("official_runs", score=functools.partial(make_evaluator().run_logits, broken))


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
