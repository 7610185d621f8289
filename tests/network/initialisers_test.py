import typing

import jax
import numpy as np
import pytest

from siamese_jax.network.initialisers import BIASES, CONV_KERNELS, DENSE_KERNELS, ENERGY_WEIGHTS
from siamese_jax.specs import NetSpec


def test_every_choice_of_the_field_has_its_initialisers():
    choices = set(typing.get_args(typing.get_type_hints(NetSpec)["initialiser"]))
    assert set(BIASES) == set(CONV_KERNELS) == set(DENSE_KERNELS) == set(ENERGY_WEIGHTS) == choices


@pytest.mark.parametrize(
    ("initialise", "mean", "deviation"),
    [
        (CONV_KERNELS["paper"], 0.0, 0.01),
        (BIASES["paper"], 0.5, 0.01),
        (DENSE_KERNELS["paper"], 0.0, 0.2),
        (ENERGY_WEIGHTS["paper"], 0.0, 0.2),
        (CONV_KERNELS["scaled"], 0.0, np.sqrt(2 / (5 * 5 * 8))),
        (DENSE_KERNELS["scaled"], 0.0, np.sqrt(1 / (5 * 5 * 8))),
    ],
)
def test_values_are_drawn_with_the_mean_and_deviation_that_are_stated(initialise, mean, deviation):
    values = np.asarray(initialise(jax.random.key(0), (5, 5, 8, 64)))
    assert abs(values.mean() - mean) < 5 * deviation / np.sqrt(values.size)
    assert abs(values.std() / deviation - 1) < 0.02


def test_the_scaled_energy_is_a_plain_distance():
    assert set(np.ravel(ENERGY_WEIGHTS["scaled"](jax.random.key(0), (40, 1))).tolist()) == {-0.5}
