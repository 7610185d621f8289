import numpy as np
import pytest

from siamese_jax.energy import WeightedL1
from siamese_jax.keys import root_key

LEFT, RIGHT = np.random.default_rng(0).random((2, 9)).astype(np.float32)


@pytest.mark.parametrize("initialiser", ["paper", "scaled"])
def test_the_energy_is_the_weighted_l1_distance_plus_a_bias(initialiser):
    energy = WeightedL1(initialiser)
    variables = energy.init(root_key(0), LEFT, RIGHT)
    weight, bias = (np.asarray(variables["params"][name]) for name in ("weight", "bias"))
    expected = sum(weight[j, 0] * abs(LEFT[j] - RIGHT[j]) for j in range(9)) + bias[0]
    np.testing.assert_allclose(energy.apply(variables, LEFT, RIGHT), expected, rtol=1e-5)


def test_the_energy_is_symmetric():
    energy = WeightedL1("paper")
    variables = energy.init(root_key(0), LEFT, RIGHT)
    assert energy.apply(variables, LEFT, RIGHT) == energy.apply(variables, RIGHT, LEFT)


def test_embeddings_of_different_lengths_are_refused():
    with pytest.raises(AssertionError, match="shape"):
        WeightedL1("paper").init(root_key(0), LEFT, RIGHT[:4])
