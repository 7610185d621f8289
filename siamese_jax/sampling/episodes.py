"""One-shot trials as rows, no pixels: n-way k-shot runs drawn within alphabets, as Lake's (paper, section 4.3).

A run holds one trial per query: all its queries are compared with the same supports.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from siamese_jax.errors import UserError
from siamese_jax.records import Episodes, Layout


def sample_episodes(key: Array, layout: Layout, trials: int, n_way: int, k_shot: int = 1) -> Episodes:
    """Draws `trials` trials as trials/n_way runs, run r from alphabet r mod A.

    Each run takes n_way different characters of its alphabet, one drawer for the queries (one of each character, in
    random order) and k_shot other drawers for the supports. UserError where there are too few characters, drawers or
    trials.
    """
    fewest = int(np.min(layout.count))
    if n_way < 2 or n_way > fewest:
        raise UserError(
            f"evaluation.n_way={n_way} is out of range: the smallest alphabet has {fewest} characters; "
            f"take 2 to {fewest}"
        )
    if k_shot < 1 or k_shot >= layout.authors:
        raise UserError(
            f"evaluation.k_shot={k_shot} is out of range: {layout.authors} drawers, one of whom draws the query, "
            f"leave 1 to {layout.authors - 1}"
        )
    if trials < n_way or trials % n_way:
        raise UserError(
            f"{trials} trials cannot be made of runs of {n_way}: take a multiple of evaluation.n_way={n_way}"
        )
    draw = jax.vmap(lambda index: sample_episode(jax.random.fold_in(key, index), index, layout, n_way, k_shot))
    return draw(jnp.arange(trials // n_way))


def sample_authorless_episodes(key: Array, count: np.ndarray, trials: int) -> Episodes:
    """Draws `trials` one-shot trials, as runs of all classes at once, where nobody knows who drew what.

    `count` [n_way]: images of each class, which stand class after class. Each run takes two different images of each, a
    support and a query, for trials as the paper's of MNIST (section 4.4). UserError where a class has one image, or the
    trials make no whole runs.
    """
    n_way = len(count)
    if np.min(count) < 2:
        raise UserError("a class has only one image: a trial takes two different ones, a support and a query")
    if trials < n_way or trials % n_way:
        raise UserError(f"{trials} trials cannot be made of runs of {n_way}: take a multiple of {n_way}")
    first, count = jnp.asarray(np.cumsum(count) - count, jnp.int32), jnp.asarray(count, jnp.int32)

    def draw(index: Array) -> Episodes:
        key_support, key_query, key_order = jax.random.split(jax.random.fold_in(key, index), 3)
        support = jax.random.randint(key_support, (n_way,), 0, count)
        query = (support + jax.random.randint(key_query, (n_way,), 1, count)) % count
        answer = jax.random.permutation(key_order, n_way)
        return Episodes((first + support)[:, None], (first + query)[answer], answer)

    return jax.vmap(draw)(jnp.arange(trials // n_way))


def sample_episode(key: Array, index: Array, layout: Layout, n_way: int, k_shot: int) -> Episodes:
    """Draws one run from alphabet index mod A: support [n_way, k_shot], query [n_way], answer [n_way]."""
    key_characters, key_drawers, key_order = jax.random.split(key, 3)
    alphabet = index % len(layout.first)
    rank = jax.random.uniform(key_characters, (int(np.max(layout.count)),))
    rank = jnp.where(jnp.arange(rank.size) < jnp.asarray(layout.count)[alphabet], rank, 2.0)
    character = jnp.asarray(layout.first)[alphabet] + jnp.argsort(rank)[:n_way]
    drawer = jax.random.permutation(key_drawers, layout.authors)[: k_shot + 1]
    answer = jax.random.permutation(key_order, n_way)
    support = character[:, None] * layout.authors + drawer[None, 1:]
    query = character[answer] * layout.authors + drawer[0]
    return Episodes(support, query, answer)
