"""Protocols: ways to sample one-shot trials from a data set, by name, and the card that describes a result.

Except for the released episodes, all trials are sampled from the test classes. Their seed is the protocol's own: every
network is evaluated on the same trials, so two networks can be compared trial by trial.
"""

import hashlib
import json
from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from siamese_jax import keys
from siamese_jax.errors import UserError
from siamese_jax.evaluation.doctor import Seen
from siamese_jax.records import Dataset, Episodes, Images, Layout
from siamese_jax.results import Card, plural
from siamese_jax.sampling import splits
from siamese_jax.sampling.episodes import sample_episodes
from siamese_jax.sampling.layout import layout_of
from siamese_jax.specs import EvalSpec

SEED = 0

WAYS = (2, 5, 10, 15, 20)
SHOTS = (1, 5)


class Protocol(NamedTuple):
    """How trials are sampled.

    Attributes:
      label: a description. The data set's words stand for {group}, {class_} and {author}, and for their plurals.
      n_way: classes of a trial.
      k_shot: supports of each class.
      trials: number of trials.
      authors: whose images are used, those of the test set, or all that training does not have. "two" are those of the
        test set, too, but must be known.
      mixed: whether the classes of an episode come from all groups instead of from one.
      seed: None for the episodes that were released with the data.
      combine: how the scores of several supports are combined, as in `EvalSpec`.
      views: how many views are averaged in each embedding (test-time augmentation).
    """

    label: str
    n_way: int
    k_shot: int
    trials: int
    authors: Literal["test", "two", "untrained"] = "test"
    mixed: bool = False
    seed: int | None = SEED
    combine: str = EvalSpec.combine
    views: int = 1


# Five supports and a query need six authors, and Omniglot's test set has four. The authors of validation are as new to
# the network, but they made images of other groups, on which the epoch was selected. The whole grid uses both, so that
# its cells can be compared.
GRID = {
    f"{n_way}_way_{k_shot}_shot": Protocol(
        "within {group}, all {authors} that training does not have", n_way, k_shot, trials=3_000, authors="untrained"
    )
    for k_shot in SHOTS
    for n_way in WAYS
}

PROTOCOLS = {
    "official_runs": Protocol("the runs released with the data", 20, 1, trials=400, seed=None),
    "koch_400": Protocol(
        "the paper's text: two {authors} of the test set, two runs an {group}", 20, 1, trials=400, authors="two"
    ),
    "within_alphabet": Protocol("random trials within {group}", 20, 1, trials=10_000),
    "unstructured": Protocol("{classes} of all test {groups} mixed", 20, 1, trials=10_000, mixed=True),
    **GRID,
}
"""By name. The first three are the paper's task (Koch et al. 2015, section 4.3); `unstructured` is an easier one."""


DIGITS = {
    "mnist_10way": Protocol("MNIST digits, as in the paper: nothing is trained on them", 10, 1, trials=400),
    "mnist_10way_10000": Protocol("MNIST digits, more trials", 10, 1, trials=10_000),
}
"""The task of table 3 (Koch et al. 2015, section 4.4), and the same with an interval a fifth as wide."""


def protocols(spec: EvalSpec, released: Episodes | None) -> dict[str, Protocol]:
    """Return all protocols, with `spec`'s way of combining supports.

    Args:
      spec: `within_alphabet` takes its ways, shots and trials from it.
      released: `official_runs` takes them from these episodes.
    """
    found = dict(PROTOCOLS)
    found["within_alphabet"] = found["within_alphabet"]._replace(
        n_way=spec.n_way, k_shot=spec.k_shot, trials=spec.random_trials
    )
    if released is not None:
        (_, n_way, k_shot), trials = np.shape(released.support), np.size(released.query)
        found["official_runs"] = found["official_runs"]._replace(n_way=n_way, k_shot=k_shot, trials=trials)
    return {name: protocol._replace(combine=spec.combine) for name, protocol in found.items()}


def sample(name: str, protocol: Protocol, dataset: Dataset, sets: dict[str, Images]) -> Episodes:
    """Return the episodes of a protocol.

    Args:
      name: of the protocol; the trials depend on it.
      protocol: how they are sampled.
      dataset: all images.
      sets: those of `splits.split` of this data set.

    Returns:
      Episodes whose rows index `dataset.images`.

    Raises:
      UserError: the data cannot serve the protocol.
    """
    if protocol.seed is None:
        if dataset.episodes is None:
            raise UserError("no episodes were released with these data")
        return dataset.episodes
    images, test, words = dataset.images, sets["test"], dataset.images.words
    if protocol.authors == "two" and (test.author < 0).any():
        raise UserError(f"the {plural(words.author)} of these data are not known")
    if protocol.mixed and len(test.group_names) < 2:
        raise UserError(f"the test set has one {words.group} only: there is nothing to mix")
    rows = test.rows
    if rows is None:
        raise ValueError("the test set is no selection from the data set: take that of `splits.split`")
    if protocol.authors == "untrained":
        of_test = np.isin(images.class_index, images.class_index[rows])
        trained = np.isin(images.author, sets["train"].author) & (images.author >= 0)
        rows = np.flatnonzero(of_test & ~trained)
        if not rows.size:
            raise UserError(f"all {plural(words.author)} of the test images also made training images")
    layout = layout_of(splits.take(images, rows))
    if protocol.mixed:
        layout = _mixed(layout)
    key = keys.stream(keys.root_key(protocol.seed), name)
    support, query, answer = sample_episodes(key, layout, protocol.trials, protocol.n_way, protocol.k_shot)
    row_of = jnp.asarray(rows)
    return Episodes(row_of[support], row_of[query], answer)


def _mixed(layout: Layout) -> Layout:
    """Return the layout with all classes in one group."""
    classes = np.array([len(layout.class_start)], np.int32)
    return layout._replace(group_start=np.zeros_like(classes), group_size=classes)


def sample_digits(name: str, protocol: Protocol, digits: Images) -> Episodes:
    """Return the episodes of one of DIGITS; their rows index `digits`."""
    if protocol.seed is None:
        raise ValueError(f"{name} needs a seed: no episodes were released with digits")
    key = keys.stream(keys.root_key(protocol.seed), name)
    return sample_episodes(key, layout_of(digits), protocol.trials, protocol.n_way, protocol.k_shot)


def card(protocol: Protocol, images: Images, episodes: Episodes, seen: Seen) -> Card:
    """Return what a result stands for.

    Args:
      protocol: how the episodes were sampled.
      images: the images that they index.
      episodes: the trials.
      seen: what the network had seen before.
    """
    rows = np.union1d(episodes.support, episodes.query)
    n_way, k_shot = np.shape(episodes.support)[1:]
    authors = tuple(np.unique(images.author[rows][images.author[rows] >= 0]).tolist())
    label = protocol.label
    if protocol.authors == "untrained" and not authors:
        label = "within {group}, all images of the test set"
    group, class_, author = images.words
    several = {"groups": plural(group), "classes": plural(class_), "authors": plural(author)}
    return Card(
        protocol=label.format(group=group, class_=class_, author=author, **several),
        n_way=n_way,
        k_shot=k_shot,
        combine=protocol.combine if k_shot > 1 else None,
        trials=np.size(episodes.query),
        groups=tuple(images.group_names[i] for i in np.unique(images.group_index[rows])),
        authors=authors,
        seed=protocol.seed,
        trials_id=_trials_id(images, episodes),
        views=protocol.views,
        seen=tuple(seen),
    )


def _trials_id(images: Images, episodes: Episodes) -> str:
    """Return a digest, 32 hexadecimal digits, of the classes and authors of the trials; image sizes do not matter."""
    support, query, answer = (np.asarray(part) for part in episodes)
    # An unknown author is replaced by the row of the image, and several images by one author are told apart by it, too.
    author = np.where(images.author >= 0, images.author, -np.arange(len(images.author)))
    shown = [who[rows].tolist() for rows in (support, query) for who in (images.class_index, author)]
    if _repeats(images):
        shown += [rows.tolist() for rows in (support, query)]
    content = json.dumps([images.group_names, *shown, answer.tolist()])
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


def _repeats(images: Images) -> bool:
    """Return whether an author has several images of a class."""
    same = (np.diff(images.class_index) == 0) & (np.diff(images.author) == 0) & (images.author[1:] >= 0)
    return bool(same.any())
