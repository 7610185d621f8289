"""The one place where random keys are derived: everything random is a function of (seed, name, step)."""

import zlib

import jax
from jax import Array


def root_key(seed: int) -> Array:
    """Return the typed key that a run's randomness starts from. JAX's own choice of a generator may vary."""
    return jax.random.key(seed, impl="threefry2x32")


def stream(key: Array, name: str, step: int | Array = 0) -> Array:
    """Return the key of the named stream at `step`, an integer, traced or not."""
    return jax.random.fold_in(jax.random.fold_in(key, zlib.crc32(name.encode())), step)
