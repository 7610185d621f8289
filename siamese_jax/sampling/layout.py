"""Where the images of each class stand in the rows of an Images."""

import numpy as np

from siamese_jax.errors import UserError
from siamese_jax.records import Images, Layout


def layout_of(images: Images) -> Layout:
    """Returns where each character's images stand; UserError unless every drawer drew every character once."""
    drawers = len(np.unique(images.author))
    characters = len(images.images) // drawers
    expected = np.repeat(np.arange(characters), drawers)
    if not np.array_equal(images.class_index, expected):
        raise UserError(f"not every character has one image by each of the {drawers} drawers, sorted by character")
    first, count = np.unique(images.group_index[::drawers], return_index=True, return_counts=True)[1:]
    return Layout(first=first.astype(np.int32), count=count.astype(np.int32), authors=drawers)


def examples(images: Images, characters: int, drawers: int) -> np.ndarray:
    """Returns images [K, M, H, W, C] of at most so many characters, spread evenly over all, by the first drawers."""
    by_character = images.images.reshape(-1, layout_of(images).authors, *images.images.shape[1:])
    chosen = np.linspace(0, len(by_character) - 1, min(characters, len(by_character))).astype(int)
    return by_character[chosen, :drawers]
