import jax
import jax.numpy as jnp
import numpy as np
import pytest

from siamese_jax.keys import root_key
from siamese_jax.network.energies import ENERGIES
from siamese_jax.specs import Energy

LEFT, RIGHT = np.random.default_rng(0).random((2, 9)).astype(np.float32)


def weighted_l1(left, right, weight):
    return -sum(weight[j, 0] * abs(left[j] - right[j]) for j in range(9))


def l1_distance(left, right, weight):
    return sum(abs(weight[j, 0]) * abs(left[j] - right[j]) for j in range(9))


def euclidean(left, right, weight):
    return weight[0, 0] * sum((left[j] - right[j]) ** 2 for j in range(9)) ** 0.5


def cosine(left, right, weight):
    return weight[0, 0] * (1 - left @ right / np.linalg.norm(left) / np.linalg.norm(right))


DISTANCES = {"weighted_l1": weighted_l1, "l1_distance": l1_distance, "euclidean": euclidean, "cosine": cosine}


def start(name, initialiser="scaled"):
    """Returns the energy of that name and its first parameters."""
    spec = Energy.variants[name]
    energy = ENERGIES[spec](spec(), initialiser)
    return energy, energy.init(root_key(0), LEFT, RIGHT)


def test_every_choice_of_the_field_is_an_energy_and_is_tested():
    assert {spec.name for spec in ENERGIES} == set(DISTANCES)


@pytest.mark.parametrize("initialiser", ["paper", "scaled"])
@pytest.mark.parametrize("name", DISTANCES)
def test_the_units_terms_and_the_bias_add_up_to_the_bias_minus_the_distance(name, initialiser):
    energy, variables = start(name, initialiser)
    params = {key: np.asarray(value, np.float64) for key, value in variables["params"].items()}
    terms, bias = energy.apply(variables, LEFT, RIGHT, method="contributions")
    assert terms.shape == (9,)
    np.testing.assert_allclose(bias, params["bias"][0])
    expected = -DISTANCES[name](LEFT.astype(float), RIGHT.astype(float), params["weight"])
    np.testing.assert_allclose(terms.sum(), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(energy.apply(variables, LEFT, RIGHT), bias + expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(energy.apply(variables, LEFT, RIGHT, method="distance"), -expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", DISTANCES)
def test_every_energy_is_symmetric(name):
    energy, variables = start(name)
    np.testing.assert_array_equal(energy.apply(variables, LEFT, RIGHT), energy.apply(variables, RIGHT, LEFT))


@pytest.mark.parametrize("name", DISTANCES)
def test_at_the_scaled_start_the_same_embedding_is_as_near_as_can_be(name):
    energy, variables = start(name)
    same, other = (energy.apply(variables, LEFT, x) for x in (LEFT, RIGHT))
    np.testing.assert_allclose(same, 0, atol=1e-4)
    assert other < -0.1


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize("left", [LEFT, np.zeros(9, np.float32)])
def test_gradients_are_finite_even_where_two_embeddings_are_the_same_or_nothing(name, left):
    energy, variables = start(name)
    gradients = jax.grad(lambda v, a, b: energy.apply(v, a, b), argnums=(0, 1, 2))(variables, left, left)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(gradients))


def test_embeddings_of_different_lengths_are_refused():
    with pytest.raises(AssertionError, match="shape"):
        start("weighted_l1")[0].init(root_key(0), LEFT, RIGHT[:4])


def test_no_update_makes_an_l1_distance_negative_and_every_unit_keeps_learning():
    """Random labels and steps far too large: the parameters change their sign, and the terms never do."""
    energy, variables = start("l1_distance", "paper")
    rng, signs = np.random.default_rng(0), []
    gradient = jax.jit(
        jax.grad(lambda v, left, right, same: jax.nn.softplus(jnp.where(same, -1, 1) * energy.apply(v, left, right)))
    )
    for _ in range(50):
        left, right = rng.normal(size=(2, 9)).astype(np.float32)
        found = gradient(variables, left, right, rng.random() < 0.5)
        assert bool((found["params"]["weight"] != 0).all())
        variables = jax.tree.map(lambda value, slope: value - 0.5 * slope, variables, found)
        terms, _ = energy.apply(variables, np.ones(9), np.zeros(9), method="contributions")
        assert bool((terms <= 0).all())
        signs.append(np.sign(variables["params"]["weight"]))
    assert (np.ptp(np.array(signs), axis=0) == 2).any()


def test_an_l1_distance_starts_as_the_papers_energy_does():
    for left, right in ((LEFT, RIGHT), (RIGHT, RIGHT)):
        ours, papers = (
            energy.apply(variables, left, right) for energy, variables in map(start, ("l1_distance", "weighted_l1"))
        )
        np.testing.assert_array_equal(ours, papers)
