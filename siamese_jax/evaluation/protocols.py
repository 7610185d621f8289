"""Protocols: ways to draw one-shot trials from a data set, by name, and the card that says what a figure stands for.

All but the released runs take test alphabets alone. The trials follow from a seed of their own, so that they are the
same for every network, and two networks can be compared trial by trial.
"""

import hashlib
import json
from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from siamese_jax import keys
from siamese_jax.evaluation.doctor import Seen
from siamese_jax.records import Dataset, Episodes, Images
from siamese_jax.results import Card
from siamese_jax.sampling import splits
from siamese_jax.sampling.episodes import sample_authorless_episodes, sample_episodes
from siamese_jax.sampling.layout import layout_of
from siamese_jax.specs import EvalSpec

SEED = 0

WAYS = (2, 5, 10, 15, 20)
SHOTS = (1, 5)


class Protocol(NamedTuple):
    """How trials are drawn, and from which `seed`; None for those that were released with the data.

    `combine` is what a class of several supports scores, as in `EvalSpec`.
    `drawers` are those of the test set, or all that training does not have. `mixed` takes the ways of a run from all
    alphabets at once instead of from one. `views` are averaged in each embedding (test-time augmentation).
    """

    label: str
    n_way: int
    k_shot: int
    trials: int
    drawers: Literal["test", "untrained"] = "test"
    mixed: bool = False
    seed: int | None = SEED
    combine: str = EvalSpec.combine
    views: int = 1


# Five supports and a query need six drawers, and the test set has four. The drawers of validation are as new to the
# network, but drew other alphabets that its epoch was chosen on; the whole grid takes both, so that its cells compare.
GRID = {
    f"{n_way}_way_{k_shot}_shot": Protocol(
        "within alphabet, all drawers that training does not have", n_way, k_shot, trials=3_000, drawers="untrained"
    )
    for k_shot in SHOTS
    for n_way in WAYS
}

PROTOCOLS = {
    "official_runs": Protocol("the runs released with the data", 20, 1, trials=400, seed=None),
    "koch_400": Protocol("the paper's text: two drawers of the test set, two runs an alphabet", 20, 1, trials=400),
    "within_alphabet": Protocol("random trials within alphabet", 20, 1, trials=10_000),
    "unstructured": Protocol("characters of all test alphabets mixed", 20, 1, trials=10_000, mixed=True),
    **GRID,
}
"""By name. The first three are the paper's task (Koch et al. 2015, section 4.3); `unstructured` is an easier one."""


DIGITS = {
    "mnist_10way": Protocol("MNIST digits, as in the paper: nothing is trained on them", 10, 1, trials=400),
    "mnist_10way_10000": Protocol("MNIST digits, more trials", 10, 1, trials=10_000),
}
"""Table 3's task (Koch et al. 2015, section 4.4), and the same with an interval a fifth as wide."""


def sample_digits(name: str, protocol: Protocol, digits: Images) -> Episodes:
    """Returns the runs of one of DIGITS; their rows index `digits`."""
    key = keys.stream(keys.root_key(protocol.seed), name)
    return sample_authorless_episodes(key, np.bincount(digits.class_index), protocol.trials)


def protocols(spec: EvalSpec, released: Episodes) -> dict[str, Protocol]:
    """Returns PROTOCOLS as `spec` combines, `within_alphabet` as it says, `official_runs` as large as released."""
    (_, n_way, k_shot), trials = np.shape(released.support), np.size(released.query)
    official = PROTOCOLS["official_runs"]._replace(n_way=n_way, k_shot=k_shot, trials=trials)
    within = PROTOCOLS["within_alphabet"]._replace(n_way=spec.n_way, k_shot=spec.k_shot, trials=spec.random_trials)
    all_of_them = {**PROTOCOLS, "official_runs": official, "within_alphabet": within}
    return {name: protocol._replace(combine=spec.combine) for name, protocol in all_of_them.items()}


def sample(name: str, protocol: Protocol, dataset: Dataset, sets: dict[str, Images]) -> Episodes:
    """Returns the runs of a protocol; their rows index `dataset.images`. `sets` are those of `splits.split`.

    UserError where the test alphabets have too few characters, or drawers, for it.
    """
    if protocol.seed is None:
        return dataset.episodes
    images, test = dataset.images, sets["test"]
    of_alphabet = np.isin(images.group_names, test.group_names)
    everyone = np.unique(images.author[of_alphabet[images.group_index]])
    drawers = test.author if protocol.drawers == "test" else np.setdiff1d(everyone, sets["train"].author)
    rows = jnp.asarray(splits.rows(images, of_alphabet, drawers))
    layout = layout_of(splits.select(images, of_alphabet, drawers))
    if protocol.mixed:
        layout = layout._replace(first=np.zeros(1, np.int32), count=np.sum(layout.count, keepdims=True))
    key = keys.stream(keys.root_key(protocol.seed), name)
    support, query, answer = sample_episodes(key, layout, protocol.trials, protocol.n_way, protocol.k_shot)
    return Episodes(rows[support], rows[query], answer)


def card(protocol: Protocol, images: Images, episodes: Episodes, seen: Seen) -> Card:
    """Return what a result stands for: whose images were compared, how, and what the network had seen before."""
    rows = np.union1d(episodes.support, episodes.query)
    n_way, k_shot = np.shape(episodes.support)[1:]
    return Card(
        protocol=protocol.label,
        n_way=n_way,
        k_shot=k_shot,
        combine=protocol.combine if k_shot > 1 else None,
        trials=np.size(episodes.query),
        groups=tuple(images.group_names[i] for i in np.unique(images.group_index[rows])),
        authors=tuple(np.unique(images.author[rows][images.author[rows] >= 0]).tolist()),
        seed=protocol.seed,
        trials_id=_trials_id(images, episodes),
        views=protocol.views,
        seen=tuple(seen),
    )


def _trials_id(images: Images, episodes: Episodes) -> str:
    """Returns a digest, 32 hexadecimal digits, of who drew which characters of the trials, at whatever image size."""
    support, query, answer = (np.asarray(part) for part in episodes)
    # Where the drawer is not known, only its row tells an image from another.
    drawer = np.where(images.author >= 0, images.author, -np.arange(len(images.author)))
    shown = [who[rows].tolist() for rows in (support, query) for who in (images.class_index, drawer)]
    content = json.dumps([images.group_names, *shown, answer.tolist()])
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
