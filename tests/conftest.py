"""Settings for every test: strict ranks, a fixed hypothesis profile, and where the real archives are."""

import os
from pathlib import Path

import hypothesis
import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")
hypothesis.settings.register_profile("deterministic", derandomize=True, deadline=None, max_examples=25)
hypothesis.settings.load_profile("deterministic")


@pytest.fixture(scope="session")
def archives() -> Path:
    """The folder that holds omniglot/ and mnist/, from SIAMESE_JAX_ARCHIVES; tests of real data need it."""
    folder = os.environ.get("SIAMESE_JAX_ARCHIVES")
    if not folder:
        pytest.skip("set SIAMESE_JAX_ARCHIVES to a folder with omniglot/ and mnist/ to run the tests of real data")
    return Path(folder)
