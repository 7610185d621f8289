"""Batches and trials are lowered to what own pictures allow, and training on few of them is warned of."""

import jax
import pytest
from hypothesis import given
from layouts import RAGGED, classes_that_serve, ragged_images
from tiny import make_dataset, make_experiment

from siamese_jax.errors import UserError
from siamese_jax.experiments import find
from siamese_jax.sampling.episodes import sample_episodes
from siamese_jax.sampling.grids import check_grid
from siamese_jax.sampling.layout import layout_of
from siamese_jax.sampling.pairs import check_pair_count
from siamese_jax.sampling.splits import split
from siamese_jax.specs import leaves
from siamese_jax.training.sizes import SIZED, advice, sized

OWN = find("own_images")
UNKNOWN = [-1] * 5


@given(RAGGED, RAGGED, RAGGED)
def test_whatever_the_images_are_batches_and_trials_fit_or_it_is_said_why_not(train, validation, test):
    sets = {"train": ragged_images(train), "validation": ragged_images(validation), "test": ragged_images(test)}
    if not all(classes_that_serve(groups, authors=2, classes=2) for groups in (train, validation, test)):
        with pytest.raises(UserError, match="has no group with two classes of two images each"):
            sized(OWN, sets)
        return
    fitted = sized(OWN, sets)
    check_grid(fitted.data, layout_of(sets["train"]))
    for name, pairs in (("validation", fitted.data.validation_pairs), ("test", fitted.data.test_pairs)):
        check_pair_count(pairs, layout_of(sets[name]), name)
    before, after = (dict(leaves(experiment)) for experiment in (OWN, fitted))
    assert {name for name in before if before[name] != after[name]} <= set(SIZED)


def test_trials_are_as_many_as_a_multiple_of_the_ways_allows():
    fitted = sized(OWN, {name: ragged_images([[UNKNOWN] * 7]) for name in ("train", "validation", "test")})
    spec, data = fitted.evaluation, fitted.data
    assert (spec.n_way, spec.validation_trials, spec.random_trials) == (7, 1995, 1995)
    assert (data.batch_alphabets, data.batch_characters, data.batch_drawers) == (1, 7, 4)
    sample_episodes(jax.random.key(0), layout_of(ragged_images([[UNKNOWN] * 7])), 1995, 7)


def test_a_batch_takes_fewer_images_of_a_class_rather_than_leave_many_classes_out():
    def images_of_a_class(*sizes):
        sets = dict.fromkeys(("validation", "test"), ragged_images([[UNKNOWN] * 4]))
        return sized(OWN, {"train": ragged_images([[[-1] * size for size in sizes]]), **sets}).data.batch_drawers

    assert images_of_a_class(*[5] * 10) == 4
    assert images_of_a_class(*[4] * 9, 2) == 4  # one of ten is left out
    assert images_of_a_class(*[4] * 8, 3, 3) == 3
    assert images_of_a_class(*[4] * 5, *[2] * 5) == 2
    assert images_of_a_class(*[4] * 3, *[1] * 9) == 4  # a class with one image cannot be trained on in any case


def test_sets_that_allow_nothing_are_named():
    good, bad = ragged_images([[UNKNOWN] * 4]), ragged_images([[[-1]] * 9])
    for name in ("train", "validation", "test"):
        sets = {**dict.fromkeys(("train", "validation", "test"), good), name: bad}
        with pytest.raises(UserError, match=f"the {name} set has no group with two classes of two images each"):
            sized(OWN, sets)


def test_numbers_that_do_not_fit_other_data_stay_a_mistake():
    experiment = make_experiment()
    assert sized(experiment, split(make_dataset(), "paper")) == experiment


@pytest.mark.parametrize(
    ("classes", "said"), [(10, "10 classes for training are few"), (100, "more classes help more")]
)
def test_few_classes_are_warned_of(classes, said):
    sets = {name: ragged_images([[UNKNOWN] * classes]) for name in ("train", "validation", "test")}
    assert any(said in line for line in advice(sized(OWN, sets), sets))


def test_classes_that_are_left_out_are_counted():
    sets = dict.fromkeys(("train", "validation", "test"), ragged_images([[UNKNOWN] * 8 + [[-1]] * 3]))
    assert "3 of 11 classes have too few images for a batch: they are not trained on." in advice(sized(OWN, sets), sets)
    assert advice(make_experiment(), sets) == []
