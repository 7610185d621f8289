import functools

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from tiny import make_dataset, make_experiment, make_params

from siamese_jax.errors import UserError
from siamese_jax.evaluation import embedder, one_shot, verification, views
from siamese_jax.evaluation.protocols import protocols
from siamese_jax.images.distort import Affine, apply_affine
from siamese_jax.network.siamese import as_input, build
from siamese_jax.results import GroupResult
from siamese_jax.sampling.splits import split
from siamese_jax.specs import DistortSpec

EXPERIMENT = make_experiment()
NET = build(EXPERIMENT.network)
PARAMS = make_params(EXPERIMENT.network)
DATASET = make_dataset()
SETS = split(DATASET, "paper")
SEEN = {"trained": SETS["train"], "chosen": SETS["validation"]}
PROTOCOLS = protocols(EXPERIMENT.evaluation, DATASET.episodes)


def make_evaluator():
    return embedder.Evaluator(NET, embed_batch=16)


def official(evaluator, params):
    score = functools.partial(evaluator.episode_logits, params)
    return one_shot.one_shot(score, DATASET.images, DATASET.episodes, PROTOCOLS["official_runs"], SEEN)


def by_protocol(*names, score=None):
    score = score or functools.partial(make_evaluator().episode_logits, PARAMS)
    chosen = {name: PROTOCOLS[name] for name in names}
    return one_shot.one_shot_by_protocol(score, DATASET, SETS, SEEN, chosen)


def test_scores_of_runs_equal_comparing_every_pair_of_images():
    images = as_input(jnp.asarray(DATASET.images.images))
    runs = DATASET.episodes
    scores = make_evaluator().episode_logits(PARAMS, DATASET.images.images, runs)
    for r in range(2):
        for q in range(3):
            for way in range(3):
                pair = images[runs.query[r, q]][None], images[runs.support[r, way, 0]][None]
                np.testing.assert_allclose(scores[r, q, way], NET.pair_logits(PARAMS, *pair)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("together", [1, 3, 100])
def test_how_many_runs_are_compared_at_a_time_changes_nothing(monkeypatch, together):
    runs = one_shot.validation_episodes(EXPERIMENT, SETS["validation"])
    whole = make_evaluator().episode_logits(PARAMS, SETS["validation"].images, runs)
    monkeypatch.setattr(embedder, "PAIRS", 9 * together)
    assert len(whole) == 4
    scores = make_evaluator().episode_logits(PARAMS, SETS["validation"].images, runs)
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
        evaluator.episode_logits(PARAMS, DATASET.images.images, DATASET.episodes)
    assert embedded == [len(set(DATASET.episodes.support.ravel()) | set(DATASET.episodes.query.ravel()))] == [12]


def verified(evaluator, test=SETS["test"]):
    """Verification of the two sets."""
    score = functools.partial(verification.score_pairs, evaluator, PARAMS, EXPERIMENT)
    return verification.verification(score("validation", SETS["validation"]), score("test", test))


def test_all_protocols_and_verification_together_embed_each_image_once(monkeypatch):
    evaluator = make_evaluator()
    embedded = count_embedded(evaluator, monkeypatch)
    score = functools.partial(evaluator.episode_logits, PARAMS)
    names = ("official_runs", "within_alphabet", "2_way_1_shot", "5_way_5_shot")
    by_protocol(*names, score=score)
    verified(evaluator)
    by_protocol(*names, score=score)
    # Two test alphabets of 5 characters by the 8 untrained drawers and in the runs; all of validation.
    assert sum(embedded) == 2 * 5 * 8 + 12 + len(SETS["validation"].images)


def test_other_parameters_are_never_given_the_embeddings_of_the_last():
    evaluator, images = make_evaluator(), DATASET.images.images[:5]
    other = make_params(EXPERIMENT.network, seed=1)
    first = evaluator.embed(PARAMS, images)
    np.testing.assert_allclose(evaluator.embed(other, images), NET.embed_images(other, jnp.asarray(images)), rtol=1e-4)
    np.testing.assert_array_equal(evaluator.embed(PARAMS, images), first)


def test_images_are_embedded_in_the_order_asked_for_with_repeats():
    evaluator, images = make_evaluator(), DATASET.images.images
    evaluator.embed(PARAMS, images[[3, 1]])
    whole = NET.embed_images(PARAMS, jnp.asarray(images[[1, 7, 1, 3]]))
    np.testing.assert_allclose(evaluator.embed(PARAMS, images[[1, 7, 1, 3]]), whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("count", [1, 15, 16, 17])
def test_embedding_in_batches_changes_nothing_and_keeps_the_count(count):
    images = DATASET.images.images[:count]
    whole = NET.embed_images(PARAMS, jnp.asarray(images))
    np.testing.assert_allclose(make_evaluator().embed(PARAMS, images), whole, rtol=1e-5, atol=1e-6)


def test_a_constant_network_scores_one_third_of_three_ways_and_its_ties_are_counted():
    constant = {**PARAMS, "out": {"weight": jnp.zeros((8, 1)), "bias": jnp.ones(1)}}
    result = official(make_evaluator(), constant).result
    np.testing.assert_allclose(result.accuracy, 1 / 3)
    assert (result.card.trials, result.correct, result.ties) == (6, 2, 6)
    assert any("output is constant" in warning for warning in result.warnings)


def test_a_result_says_which_drawers_were_seen_in_training():
    measured, _ = by_protocol("official_runs", "within_alphabet", "2_way_5_shot")
    results = {name: part.result for name, part in measured.items()}
    random = results["within_alphabet"]
    assert results["official_runs"].card.authors == results["official_runs"].authors_seen_in_training == (1, 2)
    assert any("1, 2 also made images" in warning for warning in results["official_runs"].warnings)
    assert set(random.card.authors) <= {17, 18, 19, 20}
    assert random.authors_seen_in_training == ()
    assert results["2_way_5_shot"].card.authors == (13, 14, 15, 16, 17, 18, 19, 20)
    assert any("13, 14, 15, 16" in w and "chosen on" in w for w in results["2_way_5_shot"].warnings)
    low, high = random.ci95
    assert low <= random.accuracy <= high


def test_a_protocol_that_cannot_be_measured_is_refused_with_the_reason_and_the_others_are_measured():
    measured, refused = by_protocol("koch_400", "within_alphabet")
    assert list(measured) == ["within_alphabet"]
    assert "largest group has 5 classes" in refused["koch_400"]


def test_trials_of_alphabets_that_were_trained_or_chosen_on_are_refused():
    score = functools.partial(make_evaluator().episode_logits, PARAMS)
    for used in ("trained", "chosen"):
        measured, refused = one_shot.one_shot_by_protocol(
            score, DATASET, SETS, {used: SETS["test"]}, {"within_alphabet": PROTOCOLS["within_alphabet"]}
        )
        assert measured == {}
        assert f"was {used} on alphabets that these trials take: e, f" in refused["within_alphabet"]


def test_validation_trials_are_measured_as_what_they_are():
    score = functools.partial(make_evaluator().episode_logits, PARAMS)
    result = one_shot.validation_one_shot(score, EXPERIMENT, SETS).result
    assert "chosen" in result.card.protocol
    assert result.card.trials == 12
    runs = one_shot.validation_episodes(EXPERIMENT, SETS["validation"])
    accuracy = one_shot.validation_accuracy(make_evaluator(), PARAMS, SETS["validation"], runs)
    np.testing.assert_allclose(result.accuracy, accuracy)


def test_what_was_measured_holds_the_scores_and_the_credit_of_each_trial():
    measured = official(make_evaluator(), PARAMS)
    assert measured.scores.shape == (2, 3, 3)
    right = measured.scores.argmax(axis=-1) == DATASET.episodes.answer
    np.testing.assert_array_equal(measured.credit, right)
    assert measured.result.accuracy == right.mean()
    assert measured.episodes is DATASET.episodes


def test_a_result_is_told_by_alphabet_and_has_an_interval_over_alphabets():
    runs = DATASET.episodes  # the first is of alphabet e, the second of f
    right = np.array([[True, True, True], [True, False, False]])

    def score(images, runs):
        return np.eye(3)[np.where(right, runs.answer, (runs.answer + 1) % 3)]

    many = type(runs)(*(np.concatenate([part] * 10) for part in runs))
    two_alphabets = one_shot.one_shot(score, DATASET.images, runs, PROTOCOLS["official_runs"], SEEN).result
    assert two_alphabets.by_group == {
        "e": GroupResult(trials=3, correct=3, accuracy=1.0),
        "f": GroupResult(trials=3, correct=1, accuracy=1 / 3),
    }
    assert two_alphabets.ci95_by_group == two_alphabets.ci95 == (1 / 3, 1.0)
    right = np.concatenate([right] * 10)
    twenty_runs = one_shot.one_shot(score, DATASET.images, many, PROTOCOLS["official_runs"], SEEN).result
    assert twenty_runs.ci95_by_group == (1 / 3, 1.0)  # as many alphabets as before
    assert 0.4 < twenty_runs.ci95[0] < twenty_runs.ci95[1] < 0.9
    assert twenty_runs.by_group["f"].trials == 30


def noisy_verification(test_shift=0.0):
    """Measures 4,000 pairs of ten alphabets a set, whose logits are normal and 2.5 apart; returns them, too."""
    rng, same, group = np.random.default_rng(0), np.arange(4000) % 2 == 0, np.arange(4000) // 2 % 10

    def pairs(shift):
        logits = rng.normal(size=4000) + 2.5 * same + group / 20 + shift
        return verification.ScoredPairs(logits, same, group)

    made = {"validation": pairs(0.0), "test": pairs(test_shift)}
    return verification.verification(**made), {name: part.logits for name, part in made.items()}


def test_verification_has_areas_errors_and_intervals_that_a_normal_law_foretells():
    result, made = noisy_verification()
    for name in ("validation", "test"):
        part, same = getattr(result, name), np.arange(4000) % 2 == 0
        won = made[name][same][:, None] > made[name][~same]
        np.testing.assert_allclose(part.auc, won.mean())
        np.testing.assert_allclose(part.equal_error_rate, stats.norm.sf(1.25), atol=0.02)
        for key in ("auc", "equal_error_rate"):
            low, high = getattr(part, f"{key}_ci95")
            assert low < getattr(part, key) < high < low + 0.05
        accept, drawn = part.roc.false_accept_rate, part.roc.true_accept_rate
        assert len(accept) == len(drawn) <= 200
        np.testing.assert_allclose(np.trapezoid(drawn, accept), part.auc, atol=0.002)


def test_operating_points_are_chosen_on_validation_and_measured_on_both_sets():
    result, made = noisy_verification(test_shift=0.5)
    same = np.arange(4000) % 2 == 0
    for i, asked in enumerate((0.01, 0.001)):
        chosen, tested = (getattr(result, name).operating_points[i] for name in ("validation", "test"))
        assert chosen.false_accept_rate == tested.false_accept_rate == asked
        assert chosen.threshold == tested.threshold
        assert 0.5 * asked <= chosen.measured_false_accept_rate <= asked
        assert tested.measured_false_accept_rate > asked  # since test was shifted, and nothing is chosen there
        for point, name in ((chosen, "validation"), (tested, "test")):
            called_same = made[name] >= point.threshold
            np.testing.assert_allclose(point.measured_false_accept_rate, called_same[~same].mean())
            np.testing.assert_allclose(point.true_accept_rate, called_same[same].mean())
            np.testing.assert_allclose(point.false_reject_rate, 1 - called_same[same].mean())
            for key in ("measured_false_accept_rate", "true_accept_rate"):
                low, high = getattr(point, f"{key}_ci95")
                assert low <= getattr(point, key) <= high


def test_a_threshold_that_accepts_no_pair_is_none():
    """Of four pairs, the "different" one with the highest logit is above both "same" pairs."""
    logits, same, group = np.array([3.0, 2.0, 1.0, 0.0]), np.array([False, True, True, False]), np.array([0, 0, 1, 1])
    result = verification._of_set(logits, same, group, 1.5, {0.001: np.inf})
    (point,) = result.operating_points
    assert (point.threshold, point.true_accept_rate, point.measured_false_accept_rate) == (None, 0.0, 0.0)


def test_verification_takes_its_threshold_from_validation_alone():
    evaluator = make_evaluator()
    result = verified(evaluator)
    other = SETS["test"]._replace(images=255 - SETS["test"].images)
    changed = verified(evaluator, other)
    assert result.validation == changed.validation
    assert result.test.threshold == result.validation.threshold == changed.test.threshold
    assert result.test.pairs == 8
    assert result.validation.accuracy >= 0.5


def test_validation_trials_are_the_same_every_time_and_change_with_the_seed():
    first, again = (one_shot.validation_episodes(EXPERIMENT, SETS["validation"]) for _ in range(2))
    other = one_shot.validation_episodes(make_experiment(seed=1), SETS["validation"])
    np.testing.assert_array_equal(first.query, again.query)
    assert not np.array_equal(first.query, other.query)


def test_parameters_that_are_not_finite_are_an_error_not_a_result():
    broken = {**PARAMS, "out": {"weight": jnp.full((8, 1), jnp.nan), "bias": jnp.ones(1)}}
    with pytest.raises(UserError, match="not finite"):
        official(make_evaluator(), broken)
    with pytest.raises(UserError, match="not finite"):  # and not a protocol that could not be measured
        by_protocol("official_runs", score=functools.partial(make_evaluator().episode_logits, broken))


def test_averaged_views_are_the_image_itself_and_the_same_distortions_of_every_image():
    spec = DistortSpec(probability=1.0)
    maps = views.sample_views(spec, 3)
    images, pixels = DATASET.images.images[:20], DATASET.images.images[:20] / np.float32(255)
    mean = embedder.Evaluator(NET, 16, views=maps).embed(PARAMS, images)
    for image, embedding in zip(pixels, mean, strict=True):
        seen = [apply_affine(jnp.asarray(image), Affine(*(part[v] for part in maps))) for v in range(3)]
        np.testing.assert_allclose(seen[0], image, atol=1e-6)
        assert min(abs(np.asarray(other) - image).max() for other in seen[1:]) > 0.05
        expected = np.mean([NET.embed(PARAMS, view) for view in seen], axis=0)
        np.testing.assert_allclose(embedding, expected, rtol=1e-4, atol=1e-5)
    for part, again in zip(maps, views.sample_views(spec, 3), strict=True):
        np.testing.assert_array_equal(part, again)
