"""Settings for every test: strict ranks, a fixed hypothesis profile, and where the real archives are."""

import os
import tempfile
from pathlib import Path

import hypothesis
import jax
import pytest

from siamese_jax import data

jax.config.update("jax_numpy_rank_promotion", "raise")
# Many tests train the same tiny network: its programs are compiled once a session.
_compiled = tempfile.TemporaryDirectory(prefix="siamese_jax_tests_")
jax.config.update("jax_compilation_cache_dir", _compiled.name)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
hypothesis.settings.register_profile("deterministic", derandomize=True, deadline=None, max_examples=25)
hypothesis.settings.load_profile("deterministic")


@pytest.fixture(scope="session")
def archives() -> Path:
    """The folder that holds omniglot/ and mnist/, from SIAMESE_JAX_ARCHIVES; tests of real data need it."""
    folder = os.environ.get("SIAMESE_JAX_ARCHIVES")
    if not folder:
        pytest.skip("set SIAMESE_JAX_ARCHIVES to a folder with omniglot/ and mnist/ to run the tests of real data")
    return Path(folder)


@pytest.fixture(scope="session")
def prepared_omniglot(archives, tmp_path_factory) -> str:
    """A data_dir in which Omniglot has been prepared from the real archives."""
    data_dir = str(tmp_path_factory.mktemp("omniglot"))
    data.small_backgrounds(data_dir, str(archives))
    return data_dir
