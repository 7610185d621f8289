import importlib.util

import pytest

from siamese_jax import data
from siamese_jax.errors import UserError
from siamese_jax.specs import DataSpec, InMemory


@pytest.mark.parametrize("load", [data.load, data.load_untested])
def test_images_in_memory_are_handed_over_and_not_loaded(load):
    with pytest.raises(UserError, match=r"data.name=in_memory has no images to load: use siamese_jax.train\("):
        load(InMemory())


def test_every_source_that_an_experiment_can_name_is_described_and_has_its_loader():
    assert set(data.SOURCES) == set(DataSpec.variants)
    for name, source in data.SOURCES.items():
        assert source.name == name
        assert source.description.endswith(".")
        assert source.module is None or importlib.util.find_spec(source.module)
    assert data.source_of("mine").description == "mine."
