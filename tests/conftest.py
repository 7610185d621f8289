"""Settings for every test: strict ranks, a fixed hypothesis profile, and where the real archives are."""

import contextlib
import hashlib
import os
import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

# Before JAX is imported: programs of tests are small, so that compiling them costs more than running them.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
if version("jaxlib").startswith(
    "0.10."
):  # XLA's older emitters compile in a third of the time; newer jaxlibs lack them
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")

import hypothesis
import jax
import jaxlib
import pytest
from sharing import once

from siamese_jax import data
from siamese_jax.evaluation import protocols
from siamese_jax.specs import Omniglot

__all__ = ["once"]

# Processes that tests start find the helpers, too.
os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent / "helpers"), os.environ.get("PYTHONPATH", "")])
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
hypothesis.settings.register_profile("deterministic", derandomize=True, deadline=None, max_examples=25)
hypothesis.settings.load_profile("deterministic")


def pytest_configure(config: pytest.Config) -> None:
    """Keeps compiled programs between runs and shares them between workers, and with processes that tests start.

    SIAMESE_JAX_TEST_CACHE names another folder than pytest's own cache. Programs fit one jaxlib on one kind of CPU.
    """
    kept = config.rootpath / ".pytest_cache" / f"xla-{jaxlib.__version__}-{_cpu()}"
    folder = os.environ.get("SIAMESE_JAX_TEST_CACHE") or str(kept)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
    jax.config.update("jax_compilation_cache_dir", folder)


def _cpu() -> str:
    """Returns a short name of what this machine's processor can do."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    features = next((line for line in lines if line.lower().startswith(("flags", "features"))), platform.processor())
    return f"{platform.machine()}-{hashlib.sha256(features.encode()).hexdigest()[:8]}"


@pytest.fixture(scope="session")
def archives() -> Path:
    """The folder that holds omniglot/ and mnist/, from SIAMESE_JAX_ARCHIVES; tests of real data need it."""
    folder = os.environ.get("SIAMESE_JAX_ARCHIVES")
    if not folder:
        pytest.skip("set SIAMESE_JAX_ARCHIVES to a folder with omniglot/ and mnist/ to run the tests of real data")
    return Path(folder)


@pytest.fixture
def few_protocols(monkeypatch) -> None:
    """Only the protocols of the paper's task: the grid of ways and shots compiles a program for each cell."""
    wanted = {name: one for name, one in protocols.PROTOCOLS.items() if name not in protocols.GRID}
    monkeypatch.setattr(protocols, "PROTOCOLS", wanted)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Any]:
    """A PostgreSQL server with pgvector, for all tests of this process."""
    from postgresql import Server

    with contextlib.closing(Server()) as server:
        yield server


@pytest.fixture
def database(postgresql) -> str:
    """The address of an empty database."""
    postgresql.clear()
    return postgresql.url


@pytest.fixture(scope="session")
def prepared_omniglot(archives, once) -> str:
    """A data_dir in which Omniglot has been prepared from the real archives."""
    return str(once("omniglot", lambda folder: data.load(Omniglot(downsample=21), str(folder), str(archives))))
