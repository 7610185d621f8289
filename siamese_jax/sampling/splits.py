"""Which images are for training, validation and test.

Omniglot and glyphs are split as they were released (Koch et al. 2015, section 4.1): training takes the background
groups, test the groups of the released episodes, and validation the other evaluation groups. The authors of the three
sets are disjoint, too.

Images without `origins` are split at random, by group or by class. The split is the same for every experiment.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from siamese_jax.errors import UserError
from siamese_jax.records import Dataset, Images
from siamese_jax.results import plural

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
      dataset: all images. Where it has `sets`, these are taken. Where the images have `origins`, the groups of the
        released episodes are the test groups. Else they are split by `split_at_random`.
      drawer_split: a name in `DRAWERS`, for images with `origins`.

    Raises:
      UserError: a set would be empty, or a class would be in two sets.
    """
    images, episodes = dataset.images, dataset.episodes
    if dataset.sets is not None:
        return _as_given(images, dataset.sets)
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


def _as_given(images: Images, sets: Mapping[str, np.ndarray]) -> dict[str, Images]:
    """Return the sets of images by their rows; UserError if a class is in two sets."""
    if empty := [name for name, rows in sets.items() if not len(rows)]:
        raise UserError(f"the {empty[0]} set is empty: put {plural(images.words.class_)} into it")
    set_of = np.full(int(images.class_index.max()) + 1, -1)
    for number, rows in enumerate(sets.values()):
        classes = images.class_index[rows]
        shared = classes[(set_of[classes] >= 0) & (set_of[classes] != number)]
        if len(shared):
            both = [list(sets)[set_of[shared[0]]], list(sets)[number]]
            name = images.class_names[shared[0]] if images.class_names else f"number {shared[0]}"
            raise UserError(
                f"the {images.words.class_} {name} is in {both[0]} and in {both[1]}: put all of its images into one "
                "set, since a network is tested on classes that it has not seen"
            )
        set_of[classes] = number
    return {name: take(images, rows) for name, rows in sets.items()}


def split_untested(dataset: Dataset, drawer_split: str) -> dict[str, Images]:
    """Return the "train" and "validation" images, as `split` does, of a data set without the test images."""
    if dataset.sets is not None:
        return _as_given(dataset.images, dataset.sets)
    images = dataset.images
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


def split_at_random(images: Images, by: str = "auto", seed: int = SEED) -> dict[str, Images]:
    """Return the "train", "validation" and "test" images of a random split; see `random_parts`.

    Classes are then named by their numbers, if they have no names.
    """
    part = random_parts(images, by, seed)
    names = images.class_names or tuple(map(str, range(int(images.class_index.max()) + 1)))
    named = images._replace(class_names=names)
    return {name: take(named, np.flatnonzero(part == i)) for i, name in enumerate(("train", "validation", "test"))}


def random_parts(images: Images, by: str = "auto", seed: int = SEED) -> np.ndarray:
    """Return the set of each image in a random split by group or by class: 0 training, 1 validation, 2 test.

    By group, a fifth of the groups (rounded) is for validation, a fifth for test, and the rest for training. By class,
    each group is split in the same way, with two classes or more for validation and for test; a group with fewer than
    six classes is for training.

    Args:
      images: all images.
      by: "group", "class", or "auto", which is by group where there are five groups or more, else by class.
      seed: shuffles groups and classes.

    Returns:
      int [N].

    Raises:
      UserError: there are too few groups and classes.
    """
    generator = np.random.default_rng(seed)
    class_start = np.unique(images.class_index, return_index=True)[1]
    group = images.group_index[class_start]  # of each class
    part = np.zeros(len(class_start), int)
    if by == "group" or (by == "auto" and len(images.group_names) >= SHARE):
        if len(images.group_names) >= 3:
            part = _shares(generator, len(images.group_names), least=1)[group]
    else:
        for number in np.unique(group):
            classes = int(np.count_nonzero(group == number))
            if classes >= 6:
                part[group == number] = _shares(generator, classes, least=2)
    if not part.any():
        raise UserError(
            f"{len(images.group_names)} groups with {len(class_start)} classes are too few to split: give "
            "five groups, or six classes in a group"
        )
    return part[images.class_index]


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
