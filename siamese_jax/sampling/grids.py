"""Grids of images as rows, no pixels: some alphabets, of each some characters, of each the same few drawers.

What the released one-shot runs are made of, with more than two drawers: every image is compared with others of its
alphabet, so that a batch holds many more pairs than it holds images.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from siamese_jax.errors import UserError
from siamese_jax.records import Layout
from siamese_jax.specs import DataSpec


class Grid(NamedTuple):
    """`rows` [A, K, M] int32 of images, `present` [A, K] bool whether a place has a character of its own, and `turns`
    [A] int32, by how many quarters an alphabet is turned.
    """

    rows: Array
    present: Array
    turns: Array


def check_grid(spec: DataSpec, layout: Layout) -> None:
    """Raises UserError unless the training images have the alphabets, characters and drawers that a batch asks for."""
    for name, most in (
        ("batch_alphabets", len(layout.first)),
        ("batch_characters", int(np.max(layout.count))),
        ("batch_drawers", layout.authors),
    ):
        least = 1 if name == "batch_alphabets" else 2
        if not least <= getattr(spec, name) <= most:
            raise UserError(
                f"data.{name}={getattr(spec, name)} is out of range: training has {least} to {most} to take from"
            )


def sample_grid(key: Array, layout: Layout, spec: DataSpec) -> Grid:
    """Draws a batch: different alphabets, all equally likely; of each, different characters and different drawers.

    An alphabet of fewer characters has them all, and in the places left over some of them again.
    """
    key_alphabets, key_each = jax.random.split(key)
    groups = jax.random.permutation(key_alphabets, len(layout.first))[: spec.batch_alphabets]
    places = jnp.arange(spec.batch_characters)

    def draw_alphabet(key: Array, alphabet: Array) -> tuple[Array, Array, Array]:
        key_characters, key_drawers, key_turn = jax.random.split(key, 3)
        first, count = jnp.asarray(layout.first)[alphabet], jnp.asarray(layout.count)[alphabet]
        longest = int(np.max(layout.count))
        # Sorted by a random number, with what the alphabet does not have at the end.
        order = jnp.argsort(jnp.where(jnp.arange(longest) < count, jax.random.uniform(key_characters, (longest,)), 2.0))
        characters = first + order[places % count]
        drawers = jax.random.permutation(key_drawers, layout.authors)[: spec.batch_drawers]
        turn = jax.random.randint(key_turn, (), 0, 4 if spec.rotations else 1)
        return characters[:, None] * layout.authors + drawers[None, :], places < count, turn

    return Grid(*jax.vmap(draw_alphabet)(jax.random.split(key_each, spec.batch_alphabets), groups))
