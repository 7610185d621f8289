"""Which alphabets and drawers are for training, validation and test (paper, section 4.1).

Training takes the background alphabets (all 30, or a small set of 5), test the evaluation alphabets of the released
one-shot runs, validation the other evaluation alphabets; the drawers of the three are disjoint, too. No image is in two
sets, nor its alphabet, nor its drawer's number.
"""

from collections.abc import Sequence

import numpy as np

from siamese_jax.errors import UserError
from siamese_jax.records import Alphabets, Dataset, Layout

DRAWERS = {
    "paper": {"train": range(1, 13), "validation": range(13, 17), "test": range(17, 21)},
    "official": {"train": range(9, 21), "validation": range(5, 9), "test": range(1, 5)},
}
"""Drawers of each set by `DataSpec.drawer_split`. The released runs are by drawers 1-8, so the paper's "last 4" for
test and drawers unseen in the runs cannot be had at once."""


def split(dataset: Dataset, drawer_split: str) -> dict[str, Alphabets]:
    """Returns the "train", "validation" and "test" images; UserError where a set would be empty."""
    alphabets, runs = dataset
    tested = np.zeros(len(alphabets.names), bool)
    tested[alphabets.alphabet[np.asarray(runs.query)]] = True
    of_test = select(alphabets, tested & _released(alphabets, "evaluation"), DRAWERS[drawer_split]["test"], "test")
    return {**_split_untested(alphabets, ~tested, drawer_split), "test": of_test}


def split_untested(alphabets: Alphabets, drawer_split: str) -> dict[str, Alphabets]:
    """Returns the "train" and "validation" images, as `split` does, of alphabets of which none is for test."""
    return _split_untested(alphabets, np.ones(len(alphabets.names), bool), drawer_split)


def _split_untested(alphabets: Alphabets, untested: np.ndarray, drawer_split: str) -> dict[str, Alphabets]:
    return {
        name: select(alphabets, of_alphabet, DRAWERS[drawer_split][name], name)
        for name, of_alphabet in (
            ("train", _released(alphabets, "background")),
            ("validation", untested & _released(alphabets, "evaluation")),
        )
    }


def _released(alphabets: Alphabets, origin: str) -> np.ndarray:
    """Returns which alphabets [A] bool were released in that part."""
    return np.array(alphabets.origins) == origin


def rows(alphabets: Alphabets, of_alphabet: np.ndarray, drawers: Sequence[int]) -> np.ndarray:
    """Returns which images [N] are of the alphabets marked in `of_alphabet` [A] bool and by `drawers`."""
    return np.flatnonzero(of_alphabet[alphabets.alphabet] & np.isin(alphabets.drawer, drawers))


def select(alphabets: Alphabets, of_alphabet: np.ndarray, drawers: Sequence[int], name: str = "selected") -> Alphabets:
    """Returns the images of the alphabets marked in `of_alphabet` [A] bool by `drawers`, numbered from 0 again."""
    chosen = rows(alphabets, of_alphabet, drawers)
    if not chosen.size:
        raise UserError(f"the {name} set is empty: no alphabet has images by drawers {drawers[0]}-{drawers[-1]}")
    kept, alphabet = np.unique(alphabets.alphabet[chosen], return_inverse=True)
    _, character = np.unique(alphabets.character[chosen], return_inverse=True)
    return Alphabets(
        images=alphabets.images[chosen],
        alphabet=alphabet.astype(np.int32),
        character=character.astype(np.int32),
        drawer=alphabets.drawer[chosen],
        names=tuple(alphabets.names[i] for i in kept),
        origins=tuple(alphabets.origins[i] for i in kept),
    )


def layout(alphabets: Alphabets) -> Layout:
    """Returns where each character's images stand; UserError unless every drawer drew every character once."""
    drawers = len(np.unique(alphabets.drawer))
    characters = len(alphabets.images) // drawers
    expected = np.repeat(np.arange(characters), drawers)
    if not np.array_equal(alphabets.character, expected):
        raise UserError(f"not every character has one image by each of the {drawers} drawers, sorted by character")
    first, count = np.unique(alphabets.alphabet[::drawers], return_index=True, return_counts=True)[1:]
    return Layout(first=first.astype(np.int32), count=count.astype(np.int32), drawers=drawers)


def grid(alphabets: Alphabets, characters: int, drawers: int) -> np.ndarray:
    """Returns images [K, M, H, W] of at most so many characters, spread evenly over all, by the first drawers."""
    by_character = alphabets.images.reshape(-1, layout(alphabets).drawers, *alphabets.images.shape[1:])
    chosen = np.linspace(0, len(by_character) - 1, min(characters, len(by_character))).astype(int)
    return by_character[chosen, :drawers]
