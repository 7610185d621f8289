"""Which alphabets and drawers are for training, validation and test (paper, section 4.1).

Training takes the background alphabets (all 30, or a small set of 5), test the evaluation alphabets of the released
one-shot runs, validation the other evaluation alphabets; the drawers of the three are disjoint, too. No image is in two
sets, nor its alphabet, nor its drawer's number.
"""

from collections.abc import Sequence

import numpy as np

from siamese_jax.errors import UserError
from siamese_jax.records import Dataset, Images

DRAWERS = {
    "paper": {"train": range(1, 13), "validation": range(13, 17), "test": range(17, 21)},
    "official": {"train": range(9, 21), "validation": range(5, 9), "test": range(1, 5)},
}
"""Drawers of each set by `DataSpec.drawer_split`. The released runs are by drawers 1-8, so the paper's "last 4" for
test and drawers unseen in the runs cannot be had at once."""


def split(dataset: Dataset, drawer_split: str) -> dict[str, Images]:
    """Returns the "train", "validation" and "test" images; UserError where a set would be empty."""
    images, episodes = dataset
    tested = np.zeros(len(images.group_names), bool)
    tested[images.group_index[np.asarray(episodes.query)]] = True
    of_test = select(images, tested & _released(images, "evaluation"), DRAWERS[drawer_split]["test"], "test")
    return {**_split_untested(images, ~tested, drawer_split), "test": of_test}


def split_untested(images: Images, drawer_split: str) -> dict[str, Images]:
    """Returns the "train" and "validation" images, as `split` does, of alphabets of which none is for test."""
    return _split_untested(images, np.ones(len(images.group_names), bool), drawer_split)


def _split_untested(images: Images, untested: np.ndarray, drawer_split: str) -> dict[str, Images]:
    return {
        name: select(images, of_alphabet, DRAWERS[drawer_split][name], name)
        for name, of_alphabet in (
            ("train", _released(images, "background")),
            ("validation", untested & _released(images, "evaluation")),
        )
    }


def _released(images: Images, origin: str) -> np.ndarray:
    """Returns which alphabets [A] bool were released in that part."""
    return np.array(images.origins) == origin


def rows(images: Images, of_alphabet: np.ndarray, drawers: Sequence[int]) -> np.ndarray:
    """Returns which images [N] are of the alphabets marked in `of_alphabet` [A] bool and by `drawers`."""
    return np.flatnonzero(of_alphabet[images.group_index] & np.isin(images.author, drawers))


def select(images: Images, of_alphabet: np.ndarray, drawers: Sequence[int], name: str = "selected") -> Images:
    """Returns the images of the alphabets marked in `of_alphabet` [A] bool by `drawers`, numbered from 0 again."""
    chosen = rows(images, of_alphabet, drawers)
    if not chosen.size:
        raise UserError(f"the {name} set is empty: no alphabet has images by drawers {drawers[0]}-{drawers[-1]}")
    kept, alphabet = np.unique(images.group_index[chosen], return_inverse=True)
    classes, character = np.unique(images.class_index[chosen], return_inverse=True)
    return images._replace(
        images=images.images[chosen],
        class_index=character.astype(np.int32),
        group_index=alphabet.astype(np.int32),
        author=images.author[chosen],
        group_names=tuple(images.group_names[i] for i in kept),
        origins=tuple(images.origins[i] for i in kept),
        class_names=tuple(images.class_names[i] for i in classes) if images.class_names else (),
    )
