"""Which images are for training, validation and test.

Omniglot and glyphs are split as they were released (Koch et al. 2015, section 4.1): training takes the background
groups, test the groups of the released episodes, and validation the other evaluation groups. The authors of the three
sets are disjoint, too.

Images without `origins` are split at random, by group or by class. The split is the same for every experiment.
"""

from collections.abc import Sequence

import numpy as np

from siamese_jax.errors import UserError
from siamese_jax.records import Dataset, Images

DRAWERS = {
    "paper": {"train": range(1, 13), "validation": range(13, 17), "test": range(17, 21)},
    "official": {"train": range(9, 21), "validation": range(5, 9), "test": range(1, 5)},
}
"""Authors of each set by `DataSpec.drawer_split`, for images that are split as released. The released episodes are by
drawers 1-8, so no split can have both the paper's last four drawers in test, and no trained drawer in the episodes."""

SEED = 0
"""Seed of random splits."""
SHARE = 5
"""One part in so many is for validation, and one for test."""


def split(dataset: Dataset, drawer_split: str) -> dict[str, Images]:
    """Return the "train", "validation" and "test" images.

    Args:
      dataset: all images. Where they have `origins`, the groups of the released episodes are the test groups; else they
        are split by `split_at_random`.
      drawer_split: a name in `DRAWERS`, for images with `origins`.

    Raises:
      UserError: a set would be empty.
    """
    images, episodes = dataset
    if not images.origins:
        return split_at_random(images)
    if episodes is None:
        raise UserError(
            "the images have origins, but no released episodes that say which groups are for test: leave origins empty "
            "for a random split"
        )
    tested = np.zeros(len(images.group_names), bool)
    tested[images.group_index[np.asarray(episodes.query)]] = True
    test = tested & _is_from(images, "evaluation")
    return {
        **_split_untested(images, ~tested, drawer_split),
        "test": select(images, test, DRAWERS[drawer_split]["test"], "test"),
    }


def split_untested(images: Images, drawer_split: str) -> dict[str, Images]:
    """Return the "train" and "validation" images, as `split` does, of images without the test groups."""
    return _split_untested(images, np.ones(len(images.group_names), bool), drawer_split)


def _split_untested(images: Images, untested: np.ndarray, drawer_split: str) -> dict[str, Images]:
    return {
        name: select(images, of_group, DRAWERS[drawer_split][name], name)
        for name, of_group in (
            ("train", _is_from(images, "background")),
            ("validation", untested & _is_from(images, "evaluation")),
        )
    }


def _is_from(images: Images, origin: str) -> np.ndarray:
    """Return which groups [A] were released in that part, bool."""
    return np.array(images.origins) == origin


def split_at_random(images: Images, seed: int = SEED) -> dict[str, Images]:
    """Return the "train", "validation" and "test" images of a random split by group or by class.

    With five groups or more, a fifth of the groups (rounded) is for validation, a fifth for test, and the rest for
    training. With fewer groups each is split by class in the same way, with two classes or more for validation and for
    test; a group with fewer than six classes is for training. Classes are then named by their numbers, if they have no
    names.

    Args:
      images: all images.
      seed: shuffles groups and classes.

    Raises:
      UserError: there are too few groups and classes.
    """
    generator = np.random.default_rng(seed)
    class_start = np.unique(images.class_index, return_index=True)[1]
    group = images.group_index[class_start]  # of each class
    names = images.class_names or tuple(str(number) for number in range(len(class_start)))
    if len(images.group_names) >= SHARE:
        part = _shares(generator, len(images.group_names), least=1)[group]
    else:
        part = np.zeros(len(class_start), int)
        for number in np.unique(group):
            classes = int(np.count_nonzero(group == number))
            if classes >= 6:
                part[group == number] = _shares(generator, classes, least=2)
    if not part.any():
        raise UserError(
            f"{len(images.group_names)} groups with {len(class_start)} classes are too few to split: give five groups, "
            "or six classes in a group"
        )
    named = images._replace(class_names=names)
    part = part[images.class_index]
    return {name: take(named, np.flatnonzero(part == i)) for i, name in enumerate(("train", "validation", "test"))}


def _shares(generator: np.random.Generator, count: int, least: int) -> np.ndarray:
    """Return 0 for training, 1 for validation or 2 for test, for each of `count` things, in random order."""
    fifth = max(least, round(count / SHARE))
    return generator.permutation(np.repeat([0, 1, 2], [count - 2 * fifth, fifth, fifth]))


def select(images: Images, of_group: np.ndarray, authors: Sequence[int], name: str = "selected") -> Images:
    """Return the images of some groups by some authors.

    Args:
      images: all images.
      of_group: bool [A], which groups.
      authors: their numbers.
      name: what to call the result in an error.

    Raises:
      UserError: there are no images.
    """
    chosen = np.flatnonzero(of_group[images.group_index] & np.isin(images.author, authors))
    if not chosen.size:
        words = images.words
        raise UserError(
            f"the {name} set is empty: no {words.group} has images by {words.author} {authors[0]} to {authors[-1]}"
        )
    return take(images, chosen)


def take(images: Images, rows: np.ndarray) -> Images:
    """Return some images, with groups and classes numbered from 0 again.

    Args:
      images: all images.
      rows: int [n], ascending.
    """
    groups, group_index = np.unique(images.group_index[rows], return_inverse=True)
    classes, class_index = np.unique(images.class_index[rows], return_inverse=True)
    return images._replace(
        images=images.images[rows],
        class_index=class_index.astype(np.int32),
        group_index=group_index.astype(np.int32),
        author=images.author[rows],
        group_names=tuple(images.group_names[i] for i in groups),
        origins=tuple(images.origins[i] for i in groups) if images.origins else (),
        class_names=tuple(images.class_names[i] for i in classes) if images.class_names else (),
        rows=rows.astype(np.int32) if images.rows is None else images.rows[rows],
    )
