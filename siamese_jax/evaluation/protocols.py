"""Protocols: ways to draw one-shot trials from a data set, by name, and the card that says what a figure stands for.

All but the released runs take test alphabets alone. The trials follow from a seed of their own, so that they are the
same for every network, and two networks can be compared trial by trial.
"""

import hashlib
import json
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from siamese_jax import keys
from siamese_jax.evaluation.doctor import Seen
from siamese_jax.records import Alphabets, Dataset, Runs
from siamese_jax.sampling import splits
from siamese_jax.sampling.trials import draw_drawerless_runs, draw_runs
from siamese_jax.specs import EvalSpec

SEED = 0

WAYS = (2, 5, 10, 15, 20)
SHOTS = (1, 5)


class Protocol(NamedTuple):
    """How trials are drawn, and from which `seed`; None for those that were released with the data.

    `combine` is what a class of several supports scores, as in `EvalSpec`.
    `drawers` are those of the test set, or all that training does not have. `mixed` takes the ways of a run from all
    alphabets at once instead of from one.
    """

    label: str
    n_way: int
    k_shot: int
    trials: int
    drawers: Literal["test", "untrained"] = "test"
    mixed: bool = False
    seed: int | None = SEED
    combine: str = EvalSpec.combine


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


def draw_digits(name: str, protocol: Protocol, digits: Alphabets) -> Runs:
    """Returns the runs of one of DIGITS; their rows index `digits`."""
    key = keys.stream(keys.root_key(protocol.seed), name)
    return draw_drawerless_runs(key, np.bincount(digits.character), protocol.trials)


def protocols(spec: EvalSpec, released: Runs) -> dict[str, Protocol]:
    """Returns PROTOCOLS as `spec` combines, `within_alphabet` as it says, `official_runs` as large as released."""
    (_, n_way, k_shot), trials = np.shape(released.support), np.size(released.query)
    official = PROTOCOLS["official_runs"]._replace(n_way=n_way, k_shot=k_shot, trials=trials)
    within = PROTOCOLS["within_alphabet"]._replace(n_way=spec.n_way, k_shot=spec.k_shot, trials=spec.random_trials)
    all_of_them = {**PROTOCOLS, "official_runs": official, "within_alphabet": within}
    return {name: protocol._replace(combine=spec.combine) for name, protocol in all_of_them.items()}


def draw(name: str, protocol: Protocol, dataset: Dataset, sets: dict[str, Alphabets]) -> Runs:
    """Returns the runs of a protocol; their rows index `dataset.alphabets`. `sets` are those of `splits.split`.

    UserError where the test alphabets have too few characters, or drawers, for it.
    """
    if protocol.seed is None:
        return dataset.runs
    alphabets, test = dataset.alphabets, sets["test"]
    of_alphabet = np.isin(alphabets.names, test.names)
    everyone = np.unique(alphabets.drawer[of_alphabet[alphabets.alphabet]])
    drawers = test.drawer if protocol.drawers == "test" else np.setdiff1d(everyone, sets["train"].drawer)
    rows = jnp.asarray(splits.rows(alphabets, of_alphabet, drawers))
    layout = splits.layout(splits.select(alphabets, of_alphabet, drawers))
    if protocol.mixed:
        layout = layout._replace(first=np.zeros(1, np.int32), count=np.sum(layout.count, keepdims=True))
    key = keys.stream(keys.root_key(protocol.seed), name)
    support, query, answer = draw_runs(key, layout, protocol.trials, protocol.n_way, protocol.k_shot)
    return Runs(rows[support], rows[query], answer)


def card(protocol: Protocol, alphabets: Alphabets, runs: Runs, seen: Seen) -> dict[str, Any]:
    """Says what a result stands for: whose drawings were compared, how, and what the network had seen before.

    `trials_id` names the trials themselves: two results with the same one can be compared trial by trial.
    """
    rows = np.union1d(runs.support, runs.query)
    n_way, k_shot = np.shape(runs.support)[1:]
    return {
        "protocol": protocol.label,
        "n_way": n_way,
        "k_shot": k_shot,
        "combine": protocol.combine if k_shot > 1 else None,
        "trials": np.size(runs.query),
        "alphabets": [alphabets.names[i] for i in np.unique(alphabets.alphabet[rows])],
        "drawers": np.unique(alphabets.drawer[rows][alphabets.drawer[rows] > 0]).tolist(),
        "seed": protocol.seed,
        "trials_id": _trials_id(alphabets, runs),
        **{
            f"{used}_on": {"alphabets": list(part.names), "drawers": np.unique(part.drawer).tolist()}
            for used, part in seen.items()
        },
    }


def _trials_id(alphabets: Alphabets, runs: Runs) -> str:
    """Returns a digest, 32 hexadecimal digits, of who drew which characters of the trials, at whatever image size."""
    support, query, answer = (np.asarray(part) for part in runs)
    # Where the drawer is not known, only its row tells an image from another.
    drawer = np.where(alphabets.drawer > 0, alphabets.drawer, -np.arange(len(alphabets.drawer)))
    shown = [who[rows].tolist() for rows in (support, query) for who in (alphabets.character, drawer)]
    content = json.dumps([alphabets.names, *shown, answer.tolist()])
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
