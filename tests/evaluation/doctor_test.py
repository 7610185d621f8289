"""Each fault that the doctor knows is planted once, in trials that are otherwise sound."""

import numpy as np
import pytest
from tiny import make_dataset

from siamese_jax.errors import UserError
from siamese_jax.evaluation.doctor import examine_episodes, examine_scores, examine_sets, groups_left_out
from siamese_jax.records import Episodes
from siamese_jax.sampling.splits import split, take

DATASET = make_dataset()
ALPHABETS = DATASET.images
SETS = split(DATASET, "paper")
NOTHING = {}


def sound_runs() -> Episodes:
    return Episodes(*(np.array(part) for part in DATASET.episodes))


def sound_scores() -> np.ndarray:
    return np.random.default_rng(0).random((2, 3, 3))


def test_sound_trials_and_scores_get_no_word():
    assert examine_episodes(ALPHABETS, sound_runs(), 3, NOTHING) == []
    assert examine_scores(sound_scores(), sound_runs()) == []


def test_a_query_that_is_its_own_support_is_refused():
    runs = sound_runs()
    runs.query[1, 2] = runs.support[1, runs.answer[1, 2], 0]
    with pytest.raises(UserError, match="query itself is among the supports, in episode 2 of 2"):
        examine_episodes(ALPHABETS, runs, 3, NOTHING)


def test_two_drawings_of_the_same_bytes_in_a_trial_are_a_warning():
    images, runs = ALPHABETS.images.copy(), sound_runs()
    images[runs.query[0, 1]] = images[runs.support[0, runs.answer[0, 1], 0]]
    (warning,) = examine_episodes(ALPHABETS._replace(images=images), runs, 3, NOTHING)
    assert warning == "1 trial has a support that is, byte for byte, the query's image"


def test_two_supports_of_the_same_bytes_are_a_warning():
    images, runs = ALPHABETS.images.copy(), sound_runs()
    images[runs.support[1, 2, 0]] = images[runs.support[1, 0, 0]]
    (warning,) = examine_episodes(ALPHABETS._replace(images=images), runs, 3, NOTHING)
    assert warning == "3 trials have two supports that are, byte for byte, one image"


def test_a_drawing_shown_as_two_supports_of_its_character_is_refused():
    support, query, answer = sound_runs()
    twice = np.concatenate([support, support + 2], axis=2)
    assert examine_episodes(ALPHABETS, Episodes(twice, query, answer), 3, NOTHING) == []
    twice[1, 2, 1] = twice[1, 2, 0]
    with pytest.raises(UserError, match="image is repeated among the supports, in episode 2 of 2"):
        examine_episodes(ALPHABETS, Episodes(twice, query, answer), 3, NOTHING)


def test_a_repeated_character_is_refused():
    runs = sound_runs()
    runs.support[0, 2] = runs.support[0, 1] + 3  # by another drawer
    with pytest.raises(UserError, match="character is repeated.*in episode 1 of 2"):
        examine_episodes(ALPHABETS, runs, 3, NOTHING)


def test_a_way_of_two_characters_is_refused():
    support, query, answer = sound_runs()
    twice = np.concatenate([support, support + 1], axis=2)
    assert examine_episodes(ALPHABETS, Episodes(twice, query + 5, answer), 3, NOTHING) == []
    twice[1, 0, 1] += 20
    with pytest.raises(UserError, match="way has supports of several characters, in episode 2"):
        examine_episodes(ALPHABETS, Episodes(twice, query + 5, answer), 3, NOTHING)


def test_a_wrong_label_is_refused():
    runs = sound_runs()
    runs.answer[0] = np.roll(runs.answer[0], 1)
    with pytest.raises(UserError, match="answer is not the query's character, in episode 1"):
        examine_episodes(ALPHABETS, runs, 3, NOTHING)


def test_another_number_of_ways_is_refused():
    with pytest.raises(UserError, match="3-way trials.*not 20-way"):
        examine_episodes(ALPHABETS, sound_runs(), 20, NOTHING)
    runs = sound_runs()
    with pytest.raises(UserError, match="not 3-way"):
        examine_episodes(ALPHABETS, runs._replace(answer=runs.answer + 1), 3, NOTHING)
    with pytest.raises(UserError, match=r"\(2, 3, 4\) for trials of shape \(2, 3, 3\)"):
        examine_scores(np.zeros((2, 3, 4)), sound_runs())


@pytest.mark.parametrize("used", ["trained", "chosen"])
def test_an_alphabet_that_was_seen_is_refused_and_a_drawer_that_was_seen_is_a_warning(used):
    with pytest.raises(UserError, match=f"checkpoint was {used} on alphabets that these trials take: e, f"):
        examine_episodes(ALPHABETS, sound_runs(), 3, {used: SETS["test"]})
    (warning,) = examine_episodes(ALPHABETS, sound_runs(), 3, {used: SETS["train"]})
    assert warning == f"drawers numbered 1, 2 also made images of other alphabets that the checkpoint was {used} on"
    named = ALPHABETS._replace(author_names=tuple(f"artist {number}" for number in range(21)))
    (warning,) = examine_episodes(named, sound_runs(), 3, {used: SETS["train"]})
    assert warning.startswith("drawers artist 1, artist 2 also made images of other alphabets")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_refused(value):
    scores = sound_scores()
    scores[1, 2, 0] = value
    with pytest.raises(UserError, match="not finite"):
        examine_scores(scores, sound_runs())


def test_ties_are_counted():
    scores = sound_scores()
    scores[0, 1, :2] = 2.0
    assert examine_scores(scores, sound_runs()) == ["1 trial has equal highest scores; they count as chance"]
    scores[1, 1] = 0.5
    assert examine_scores(scores, sound_runs())[0].startswith("2 trials have equal highest scores")


def test_constant_output_is_called_constant():
    (warning,) = examine_scores(np.full((2, 3, 3), 0.7), sound_runs())
    assert "output is constant" in warning


def test_classes_of_one_group_may_be_in_several_sets_if_they_have_names():
    names = tuple(str(number) for number in range(30))
    images = ALPHABETS._replace(class_names=names)
    others = take(images, np.flatnonzero(images.class_index % 5 == 4))  # the trials take the first three of a group
    assert examine_episodes(images, sound_runs(), 3, {"trained": others}) == [
        "drawers numbered 1, 2 also made images of other characters that the checkpoint was trained on"
    ]
    shown, last = (np.flatnonzero(images.class_index % 5 == place) for place in (0, 4))
    with pytest.raises(UserError, match="trained on characters that these trials take: e/20, f/25"):
        examine_episodes(images, sound_runs(), 3, {"trained": take(images, shown)})
    with pytest.raises(UserError, match="trained on alphabets that these trials take: e, f"):
        examine_episodes(ALPHABETS, sound_runs(), 3, {"trained": take(ALPHABETS, last)})
    with pytest.raises(UserError, match="trained on alphabets that these trials take: e, f"):  # only one has names
        examine_episodes(images, sound_runs(), 3, {"trained": take(ALPHABETS, last)})


def test_groups_without_a_trial_are_named():
    runs = sound_runs()
    assert groups_left_out(ALPHABETS, runs, SETS["test"]) == []
    assert groups_left_out(ALPHABETS, Episodes(*(part[:1] for part in runs)), SETS["test"]) == [
        "1 of 2 alphabets are left out, as they have too few characters or images for these trials: f"
    ]


def test_pictures_that_are_in_two_sets_are_a_warning_with_an_example():
    assert examine_sets(SETS) == []
    test = SETS["test"].images.copy()
    test[[3, 9]] = SETS["train"].images[40]
    copied = {**SETS, "test": SETS["test"]._replace(images=test)}
    number = SETS["train"].class_index[40]
    assert examine_sets(copied) == [
        f"Warning: 1 picture is both in train and in test, byte for byte, for example of the character number {number}"
    ]
