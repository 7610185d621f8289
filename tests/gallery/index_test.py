"""An index orders embeddings as the network's energy does."""

import dataclasses

import numpy as np
import pytest
from tiny_model import EXPERIMENT, make_model

from siamese_jax.gallery.index import index_of
from siamese_jax.specs import with_value

RNG = np.random.default_rng(0)
EMBEDDINGS, QUERY = RNG.normal(size=(50, 8)).astype(np.float32), RNG.normal(size=(1, 8)).astype(np.float32)


def distances(index, left, right):
    difference = index.points(left) - index.points(right)
    return np.abs(difference).sum(axis=1) if index.distance == "L1" else np.sqrt((difference**2).sum(axis=1))


@pytest.mark.parametrize(
    ("energy", "distance"), [("weighted_l1", "L1"), ("l1_distance", "L1"), ("euclidean", "L2"), ("cosine", "L2")]
)
def test_the_nearest_have_the_highest_scores(energy, distance):
    model = make_model(0, with_value(EXPERIMENT, "network.energy", energy))
    index = index_of(model.experiment.network, model.params)
    assert index.distance == distance
    found = distances(index, QUERY, EMBEDDINGS)
    assert index.points(EMBEDDINGS).dtype == np.float32
    np.testing.assert_array_equal(np.argsort(found), np.argsort(-model.scores(QUERY, EMBEDDINGS)[0]))


def test_units_with_a_positive_weight_are_left_out():
    model = make_model()
    weight = model.params["out"]["weight"]
    model.params["out"]["weight"] = weight.at[3].set(0.5)
    points = index_of(model.experiment.network, model.params).points(EMBEDDINGS)
    np.testing.assert_allclose(points, EMBEDDINGS * np.where(np.arange(8) == 3, 0, -np.asarray(weight)[:, 0]))


def test_an_l1_distance_is_indexed_exactly_whatever_sign_its_parameters_have():
    model = make_model(0, with_value(EXPERIMENT, "network.energy", "l1_distance"))
    weight = model.params["out"]["weight"]
    model.params["out"]["weight"] = weight.at[3].set(0.5)
    index = index_of(model.experiment.network, model.params)
    scores = model.scores(QUERY, EMBEDDINGS)[0]
    np.testing.assert_allclose(scores, model.params["out"]["bias"] - distances(index, QUERY, EMBEDDINGS), atol=1e-5)


def test_an_embedding_of_zeros_has_a_place_among_cosines():
    model = make_model(0, with_value(EXPERIMENT, "network.energy", "cosine"))
    points = index_of(model.experiment.network, model.params).points(np.zeros((1, 8), np.float32))
    np.testing.assert_array_equal(points, np.zeros((1, 8)))


def test_an_energy_of_ones_own_has_no_index():
    network = dataclasses.replace(EXPERIMENT.network, energy=object())
    assert index_of(network, {}) is None
