"""Pairs of images as rows, no pixels: pair `index` of a set is a function of (key, index) alone.

So a set of any size costs no memory, and any part of it can be drawn anywhere, in any order.
"""

import jax
import jax.numpy as jnp
from jax import Array

from siamese_jax.errors import UserError
from siamese_jax.records import Layout


def check_pair_count(pairs: int, alphabets: int, what: str) -> None:
    """Raises UserError unless `pairs` can be split evenly by alphabet, and half and half into same and different."""
    group = 2 * alphabets
    if pairs < group or pairs % group:
        nearest = max(1, round(pairs / group)) * group
        raise UserError(
            f"{what}={pairs} cannot be shared out evenly: {alphabets} alphabets, half same and half different, "
            f"take a multiple of {group}, such as {nearest}"
        )


def draw_pair(
    key: Array, index: Array | int, layout: Layout, different_drawers: bool = True
) -> tuple[Array, Array, Array]:
    """Draws pair `index` of the set that `key` names: rows `left` and `right` (int32 []) and `same` (bool []).

    Every 2A indices in a row hold each of the A alphabets once as "same" and once as "different" (paper, section 4.1:
    the same number of pairs per alphabet). Both images are of one alphabet. A "same" pair is one character by two
    drawers; a "different" pair is two characters, by two drawers if `different_drawers`, else by any.
    """
    alphabets = len(layout.first)
    same = (index // alphabets) % 2 == 0
    left, right = _draw(jax.random.fold_in(key, index), index % alphabets, same, layout, different_drawers)
    return left, right, same


def draw_triplet(
    key: Array, index: Array | int, layout: Layout, different_drawers: bool = True
) -> tuple[Array, Array, Array]:
    """Draws triplet `index` of the set that `key` names: rows `anchor`, `positive`, `negative` (int32 []).

    A "same" and a "different" pair, each as from `draw_pair`, with an image in common; every A in a row hold each
    alphabet once.
    """
    key, alphabet = jax.random.fold_in(key, index), index % len(layout.first)
    anchor, positive = _draw(key, alphabet, True, layout, different_drawers)
    _, negative = _draw(key, alphabet, False, layout, different_drawers)  # the same key: the same anchor
    return anchor, positive, negative


def _draw(
    key: Array, alphabet: Array | int, same: Array | bool, layout: Layout, different_drawers: bool
) -> tuple[Array, Array]:
    key_character, key_other, key_drawer, key_second = jax.random.split(key, 4)
    count = jnp.asarray(layout.count)[alphabet]
    character = jax.random.randint(key_character, (), 0, count)
    other = (character + jax.random.randint(key_other, (), 1, count)) % count
    drawer = jax.random.randint(key_drawer, (), 0, layout.drawers)
    lowest_step = 1 if different_drawers else jnp.where(same, 1, 0)
    second = (drawer + jax.random.randint(key_second, (), lowest_step, layout.drawers)) % layout.drawers
    first = jnp.asarray(layout.first)[alphabet]
    left = (first + character) * layout.drawers + drawer
    right = (first + jnp.where(same, character, other)) * layout.drawers + second
    return left, right


def shuffled(key: Array, position: Array | int, size: int) -> Array:
    """Returns where `position` in [0, size) goes in the permutation that `key` names; int32 [], size < 2**31.

    A pass over a set without a list of it in memory: a Feistel network permutes the next power of four, and positions
    that land outside walk on until they are inside (Black and Rogaway 2002, "Ciphers with arbitrary finite domains").
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
    """Scrambles 32 bits so that each depends on all (the finaliser of MurmurHash3, A. Appleby)."""
    value = (value ^ (value >> 16)) * jnp.uint32(0x85EBCA6B)
    value = (value ^ (value >> 13)) * jnp.uint32(0xC2B2AE35)
    return value ^ (value >> 16)
