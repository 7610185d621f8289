import pytest

from siamese_jax import data
from siamese_jax.errors import UserError
from siamese_jax.specs import InMemory


@pytest.mark.parametrize("load", [data.load, data.load_untested])
def test_images_in_memory_are_handed_over_and_not_loaded(load):
    with pytest.raises(UserError, match=r"data.name=in_memory has no images to load: use siamese_jax.train\("):
        load(InMemory(side=28))
