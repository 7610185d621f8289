"""Layouts of made-up alphabets."""

import numpy as np

from siamese_jax.records import Layout


def make_layout(counts: list[int], drawers: int) -> Layout:
    """Alphabets with so many characters each, all by the same drawers."""
    count = np.array(counts, np.int32)
    return Layout((np.cumsum(count) - count).astype(np.int32), count, drawers)
