"""Pairs of images as rows, no pixels: pair `index` of a set is a function of (key, index) alone.

So a set of any size costs no memory, and any part of it can be drawn anywhere, in any order.
"""

import jax
import jax.numpy as jnp
from jax import Array

from siamese_jax.errors import UserError
from siamese_jax.records import Layout


def check_pair_count(pairs: int, groups: int, what: str) -> None:
    """Raises UserError unless `pairs` can be split evenly by alphabet, and half and half into same and different."""
    group = 2 * groups
    if pairs < group or pairs % group:
        nearest = max(1, round(pairs / group)) * group
        raise UserError(
            f"{what}={pairs} cannot be shared out evenly: {groups} alphabets, half same and half different, "
            f"take a multiple of {group}, such as {nearest}"
        )


def sample_pair(
    key: Array, index: Array | int, layout: Layout, different_drawers: bool = True
) -> tuple[Array, Array, Array]:
    """Draws pair `index` of the set that `key` names: rows `left` and `right` (int32 []) and `same` (bool []).

    Every 2A indices in a row hold each of the A alphabets once as "same" and once as "different" (paper, section 4.1:
    the same number of pairs per alphabet). Both images are of one alphabet. A "same" pair is one character by two
    drawers; a "different" pair is two characters, by two drawers if `different_drawers`, else by any.
    """
    groups = len(layout.first)
    same = (index // groups) % 2 == 0
    left, right = _draw(jax.random.fold_in(key, index), index % groups, same, layout, different_drawers)
    return left, right, same


def sample_triplet(
    key: Array, index: Array | int, layout: Layout, different_drawers: bool = True
) -> tuple[Array, Array, Array]:
    """Draws triplet `index` of the set that `key` names: rows `anchor`, `positive`, `negative` (int32 []).

    A "same" and a "different" pair, each as from `sample_pair`, with an image in common; every A in a row hold each
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
    drawer = jax.random.randint(key_drawer, (), 0, layout.authors)
    lowest_step = 1 if different_drawers else jnp.where(same, 1, 0)
    second = (drawer + jax.random.randint(key_second, (), lowest_step, layout.authors)) % layout.authors
    first = jnp.asarray(layout.first)[alphabet]
    left = (first + character) * layout.authors + drawer
    right = (first + jnp.where(same, character, other)) * layout.authors + second
    return left, right
