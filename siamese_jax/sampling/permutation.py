"""A random order of a set of any size, one position at a time."""

import jax
import jax.numpy as jnp
from jax import Array


def shuffled(key: Array, position: Array | int, size: int) -> Array:
    """Return one value of a random permutation, so that a pass over a set needs no list of it in memory.

    A Feistel network permutes the numbers below the next power of four. A value outside the set is permuted again until
    it is inside (Black and Rogaway 2002, "Ciphers with arbitrary finite domains").

    Args:
      key: names the permutation.
      position: int32 [], from 0 to below `size`.
      size: of the set, below 2**31.

    Returns:
      int32 [], from 0 to below `size`.
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = jnp.uint32((1 << half) - 1)
    round_keys = jax.random.bits(key, (6,), jnp.uint32)

    def permute(value: Array) -> Array:
        left, right = value >> half, value & mask
        for round_key in round_keys:
            left, right = right, left ^ (_mix(right ^ round_key) & mask)
        return (left << half) | right

    start = permute(jnp.asarray(position, jnp.uint32))
    return jax.lax.while_loop(lambda value: value >= size, permute, start).astype(jnp.int32)


def _mix(value: Array) -> Array:
    """Mix 32 bits so that each depends on all (the finaliser of MurmurHash3, A. Appleby)."""
    value = (value ^ (value >> 16)) * jnp.uint32(0x85EBCA6B)
    value = (value ^ (value >> 13)) * jnp.uint32(0xC2B2AE35)
    return value ^ (value >> 16)
