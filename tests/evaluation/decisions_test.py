"""Decisions are fitted on validation alone and measured on test; the packaged network's are those of its card."""

import dataclasses
import functools

import numpy as np
import pytest
from scipy.special import expit, softmax
from tiny import make_dataset, make_experiment, make_params

import siamese_jax
from siamese_jax import data
from siamese_jax.errors import UserError
from siamese_jax.evaluation import decisions, measure
from siamese_jax.evaluation.decisions import made_up_images, measure_decisions
from siamese_jax.evaluation.embedder import Evaluator
from siamese_jax.evaluation.verification import ScoredPairs
from siamese_jax.keys import root_key
from siamese_jax.network.siamese import build
from siamese_jax.sampling.splits import split
from siamese_jax.statistics.rules import DecisionRules

EXPERIMENT = make_experiment()
SETS = split(make_dataset(), "paper")
PARAMS = make_params(EXPERIMENT.network)
RNG = np.random.default_rng(0)


def scored(count, shift):
    """Pairs of five groups whose log odds of "same" are 2 · (score − shift)."""
    odds = RNG.normal(size=count) * 4
    return ScoredPairs((odds / 2 + shift).astype(np.float32), RNG.random(count) < expit(odds), np.arange(count) % 5)


PAIRS = {"validation": scored(4000, -3.0), "test": scored(4000, -3.0)}


def measured(sets=SETS, pairs=PAIRS, experiment=EXPERIMENT):
    return measure_decisions(Evaluator(build(experiment.network), 16), PARAMS, experiment, sets, pairs)


@pytest.fixture(scope="module")
def found():
    return measured()


def test_probabilities_of_pairs_are_calibrated_where_the_sigmoid_was_not(found):
    np.testing.assert_allclose((found.pairs.slope, found.pairs.intercept), (2, 6), rtol=0.1)
    before, after = (part.expected_calibration_error for part in (found.pairs.before, found.pairs.after))
    assert after < 0.03 < 0.2 < before
    assert found.pairs.after.ci95[0] <= 0.03
    logits, same, _ = PAIRS["test"]
    called = logits >= found.pairs.threshold
    np.testing.assert_allclose(found.pairs.false_match_rate, called[~same].mean())
    np.testing.assert_allclose(found.pairs.false_non_match_rate, 1 - called[same].mean())


def test_only_sizes_that_both_sets_have_classes_for_are_measured(found):
    assert [one.classes for one in found.galleries] == [5]  # ten classes a set; 20 enrolled ones would need 25
    assert (found.galleries[0].known, found.galleries[0].unknown) == (10_000, 2_000)


def test_every_rule_is_fitted_on_validation_alone(found):
    """Another test set changes what is measured, and nothing that is applied."""

    def applied(one):
        rules = DecisionRules(one)
        scores = RNG.normal(size=(3, 7)).astype(np.float32) / 100
        numbers = (one.familiarity.mean, one.familiarity.threshold, one.pairs.slope, one.galleries[0].temperature)
        return numbers, [rules.threshold(7, f) for f in decisions.FPIRS], rules.prediction_set(scores).shape

    other = {**SETS, "test": SETS["test"]._replace(images=255 - SETS["test"].images)}
    changed = measured(other, {**PAIRS, "test": PAIRS["validation"]})
    assert applied(changed) == applied(found)
    assert changed.galleries[0].open_set[2].dir != found.galleries[0].open_set[2].dir
    assert changed.pairs.after != found.pairs.after


def test_figures_of_galleries_are_those_of_a_loop_over_their_queries(found, monkeypatch):
    monkeypatch.setattr(decisions, "QUERIES", 30)
    score = functools.partial(decisions._score_galleries, Evaluator(build(EXPERIMENT.network), 16), PARAMS, EXPERIMENT)
    chosen_on, test = score("validation", SETS["validation"], 5), score("test", SETS["test"], 5)
    result = decisions._of_galleries(chosen_on, test)
    one, sets = result.open_set[2], result.prediction_sets[0]
    assert (one.fpir, sets.coverage) == (0.1, 0.9)
    best = sorted(query.max() for gallery in chosen_on.unknown for query in gallery)
    np.testing.assert_allclose(one.threshold, best[27], rtol=1e-6)  # ⌈0.9 · 31⌉ = 28
    wrong = [query.max() > best[27] for gallery in test.unknown for query in gallery]
    np.testing.assert_allclose(one.measured_fpir, np.mean(wrong))
    detected, covered, sizes, sure = [], [], [], []
    for gallery in test.known:
        for right, query in enumerate(gallery):
            detected.append(query[right] > best[27] and all(query[right] > np.delete(query, right)))
            members = [name for name in range(5) if float(query.max()) - float(query[name]) <= sets.gap]
            covered.append(right in members)
            sizes.append(len(members))
            sure.append(softmax(query.astype(float) / result.temperature).max())
    np.testing.assert_allclose(one.dir, np.mean(detected))
    np.testing.assert_allclose((sets.measured_coverage, sets.mean_size), (np.mean(covered), np.mean(sizes)))
    bins = result.after.reliability
    np.testing.assert_allclose(np.average(bins.probabilities, weights=bins.counts), np.mean(sure))


def test_false_alarms_are_counted_on_test_and_made_up_images_are_found(found):
    one, rules = found.familiarity, DecisionRules(found)
    np.testing.assert_allclose(one.measured_false_alarm_rate, rules.unfamiliar(SETS["test"].images).mean())
    assert rules.unfamiliar(SETS["validation"].images).mean() <= one.false_alarm_rate
    assert set(one.detected) == {"noise", "gradient", "clouds"}


@pytest.mark.parametrize("shape", [(48, 48, 1), (20, 30, 3)])
def test_made_up_images_use_the_whole_range_and_differ(shape):
    for name, images in made_up_images(root_key(0), shape, 20).items():
        assert (images.shape, images.dtype) == ((20, *shape), np.uint8), name
        assert (images.min(axis=(1, 2, 3)) == 0).all()
        assert (images.max(axis=(1, 2, 3)) == 255).all()
        assert len({image.tobytes() for image in images}) == 20
    again = made_up_images(root_key(0), shape, 20)
    np.testing.assert_array_equal(again[name], images)


def test_clouds_have_the_spectrum_of_photographs():
    clouds = made_up_images(root_key(0), (64, 64, 1), 100)["clouds"][..., 0].astype(float)
    amplitude = np.sqrt((np.abs(np.fft.fft2(clouds - clouds.mean(axis=(1, 2), keepdims=True))) ** 2).mean(axis=0))
    np.testing.assert_allclose(amplitude[0, 4] / amplitude[0, 16], 4, rtol=0.2)


def test_too_few_classes_are_a_reason_and_no_failure():
    few = {name: part._replace(**_first_classes(part, 5)) for name, part in SETS.items()}
    with pytest.raises(UserError, match="validation or test has 5 classes with two images, and decisions need 6"):
        measured(few)
    found, reason = measure._decisions(lambda: measured(few))
    assert found is None
    assert reason["decisions"].endswith("add classes")


def _first_classes(images, count):
    kept = images.class_index < count
    return {name: getattr(images, name)[kept] for name in ("images", "class_index", "group_index", "author")}


def test_another_seed_samples_other_galleries(found):
    other = measured(experiment=dataclasses.replace(EXPERIMENT, seed=1)).galleries[0]
    assert other.open_set != found.galleries[0].open_set


def test_the_packaged_network_makes_the_decisions_of_its_card(prepared_omniglot):
    """Galleries of 20 are sampled and scored again, from the archives, as a user would score them."""
    model = siamese_jax.load_pretrained("best")
    (one,) = [one for one in model.card.results.decisions.galleries if one.classes == 20]
    dataset = data.load(model.experiment.data, prepared_omniglot)
    sets = split(dataset, model.experiment.data.drawer_split)
    evaluator = Evaluator(build(model.experiment.network), 100)
    test = decisions._score_galleries(evaluator, model.params, model.experiment, "test", sets["test"], 20)
    for fpir, stored in zip(decisions.FPIRS, one.open_set, strict=True):
        rates = [model.decisions.accepted(gallery, fpir).mean() for gallery in test.unknown]
        np.testing.assert_allclose(np.mean(rates), stored.measured_fpir, atol=1e-3)
        assert np.mean(rates) <= fpir
    low, high = one.open_set[0].chosen_again_ci95
    assert low <= 0.01 <= high  # what was asked is reached, within what alphabets vary
    covered = np.take_along_axis(
        model.decisions.prediction_set(test.known.reshape(-1, 20)), test.answer.reshape(-1, 1), 1
    )
    np.testing.assert_allclose(covered.mean(), one.prediction_sets[1].measured_coverage, atol=1e-3)
    alarms = model.decisions.unfamiliar(sets["test"].images).mean()
    np.testing.assert_allclose(alarms, model.card.results.decisions.familiarity.measured_false_alarm_rate)
    assert alarms < 0.02


def test_the_probabilities_of_the_packaged_network_are_honest():
    card = siamese_jax.load_pretrained("best").card.results.decisions
    assert card.pairs.before.expected_calibration_error > 0.45
    assert card.pairs.after.expected_calibration_error < 0.06
    assert all(one.after.expected_calibration_error < 0.03 for one in card.galleries)
    assert min(card.familiarity.detected.values()) > 0.95
