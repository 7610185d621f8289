import typing

from siamese_jax.initialisers import BIASES, CONV_KERNELS, DENSE_KERNELS, ENERGY_WEIGHTS
from siamese_jax.specs import NetSpec


def test_every_choice_of_the_field_has_its_initialisers():
    choices = set(typing.get_args(typing.get_type_hints(NetSpec)["initialiser"]))
    assert set(BIASES) == set(CONV_KERNELS) == set(DENSE_KERNELS) == set(ENERGY_WEIGHTS) == choices
