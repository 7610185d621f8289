"""One-shot recognition, measured under every protocol."""

import functools
from collections.abc import Callable, Iterable
from typing import NamedTuple

import jax
import numpy as np

from siamese_jax import keys
from siamese_jax.errors import UserError
from siamese_jax.evaluation.doctor import Seen, examine_episodes, examine_scores, groups_left_out
from siamese_jax.evaluation.embedder import Evaluator
from siamese_jax.evaluation.protocols import DIGITS, Protocol, card, sample, sample_digits
from siamese_jax.network.siamese import Params
from siamese_jax.records import Dataset, Episodes, Images
from siamese_jax.results import Card, GroupResult, OneShotResult
from siamese_jax.sampling.episodes import sample_episodes
from siamese_jax.sampling.layout import layout_of
from siamese_jax.specs import Experiment
from siamese_jax.statistics.intervals import clustered_interval
from siamese_jax.statistics.scores import credit, ties

Score = Callable[[np.ndarray, Episodes], np.ndarray]
"""Takes images, uint8 [N, H, W, C], and episodes whose rows index them; returns scores [R, Q, n_way]."""


class Measured(NamedTuple):
    """A one-shot result, and what it was computed from: `scores` [R, Q, n_way] of the trials `episodes`."""

    result: OneShotResult
    scores: np.ndarray
    episodes: Episodes

    @property
    def credit(self) -> np.ndarray:
        """The credit [R, Q] of each trial, float64 in [0, 1]; see `scores.credit`."""
        return credit(self.scores, np.asarray(self.episodes.answer))


def validation_episodes(experiment: Experiment, validation: Images) -> Episodes:
    """Return the fixed trials that decide when to stop and which epoch is best (paper, section 3.2)."""
    spec = experiment.evaluation
    key = keys.stream(keys.root_key(experiment.seed), "validation trials")
    place = layout_of(validation)
    return _sampled(lambda: sample_episodes(key, place, spec.validation_trials, spec.n_way, spec.k_shot))


def validation_accuracy(evaluator: Evaluator, params: Params, images: Images, episodes: Episodes) -> float:
    """Return the one-shot accuracy in [0, 1] on episodes whose rows index `images`."""
    return float(credit(evaluator.episode_logits(params, images.images, episodes), np.asarray(episodes.answer)).mean())


def validation_one_shot(
    score: Score, experiment: Experiment, sets: dict[str, Images], combine: str | None = None
) -> Measured:
    """Evaluate the validation trials.

    The best epoch was selected on them, so the result is optimistic and labelled as such.

    Args:
      score: Scores the trials.
      experiment: Says which trials.
      sets: The sets by name: "validation", which is measured, and "train", for the card and the doctor.
      combine: How `score` combines several supports, a value of `EvalSpec.combine`. None: as the experiment says.

    Returns:
      The result with its scores and trials.

    Raises:
      UserError: The trials cannot be sampled, or the doctor refuses them.
    """
    spec = experiment.evaluation
    label = "validation trials, by which the epoch was chosen"
    protocol = Protocol(
        label, spec.n_way, spec.k_shot, spec.validation_trials, seed=experiment.seed, combine=combine or spec.combine
    )
    episodes = validation_episodes(experiment, sets["validation"])
    return one_shot(score, sets["validation"], episodes, protocol, {"trained": sets["train"]})


def one_shot(score: Score, images: Images, episodes: Episodes, protocol: Protocol, seen: Seen) -> Measured:
    """Measure one-shot accuracy with 95 % intervals by bootstrap.

    Args:
      score: Scores the trials.
      images: The images.
      episodes: Episodes whose rows index `images`.
      protocol: How the episodes were sampled.
      seen: What the network has seen before, for the card and the doctor.

    Raises:
      UserError: The doctor refuses the trials.
    """
    warnings = examine_episodes(images, episodes, protocol.n_way, seen)
    return _measured(score, images, episodes, warnings, card(protocol, images, episodes, seen), seen)


def one_shot_by_protocol(
    score: Score, dataset: Dataset, sets: dict[str, Images], seen: Seen, protocols: dict[str, Protocol]
) -> tuple[dict[str, Measured], dict[str, str]]:
    """Measure under each protocol.

    Returns:
      What was measured, and why the others were not, by the name of the protocol.
    """
    images, measured, refused = dataset.images, {}, {}
    for name, protocol in protocols.items():
        try:  # covers sampling only: a network that has diverged must not pass for a protocol that does not fit
            episodes = _sampled(functools.partial(sample, name, protocol, dataset, sets))
            warnings = examine_episodes(images, episodes, protocol.n_way, seen)
            if protocol.seed is not None:
                warnings += groups_left_out(images, episodes, sets["test"])
        except UserError as reason:
            refused[name] = str(reason)
        else:
            about = card(protocol, images, episodes, seen)
            measured[name] = _measured(score, images, episodes, warnings, about, seen)
    return measured, refused


def one_shot_on_digits(
    score: Score, digits: Images, seen: Seen, combine: str, names: Iterable[str]
) -> dict[str, Measured]:
    """Measure MNIST's digits under those protocols of DIGITS that `names` lists (paper, section 4.4)."""
    measured = {}
    for name in names:
        episodes = _sampled(functools.partial(sample_digits, name, DIGITS[name], digits))
        measured[name] = one_shot(score, digits, episodes, DIGITS[name]._replace(combine=combine), seen)
    return measured


def _measured(
    score: Score, images: Images, episodes: Episodes, warnings: list[str], card: Card, seen: Seen
) -> Measured:
    scores = score(images.images, episodes)
    warnings = warnings + examine_scores(scores, episodes)
    earned = credit(scores, np.asarray(episodes.answer))
    of_episode = np.broadcast_to(np.arange(len(earned))[:, None], earned.shape)
    group = images.group_index[np.asarray(episodes.query)]
    trained = set(seen["trained"].author.tolist()) if "trained" in seen else set()
    result = OneShotResult(
        accuracy=float(earned.mean()),
        correct=_count(earned),
        ties=ties(scores),
        ci95=clustered_interval(earned.ravel(), of_episode.ravel()),
        ci95_by_group=clustered_interval(earned.ravel(), group.ravel(), unknown=None),
        by_group={images.group_names[i]: _of_group(earned[group == i]) for i in np.unique(group)},
        authors_seen_in_training=tuple(sorted(trained & set(card.authors))),
        warnings=tuple(warnings),
        card=card,
    )
    return Measured(result, scores, episodes)


def _sampled(sample_them: Callable[[], Episodes]) -> Episodes:
    """Return sampled episodes on the host. The sampling is compiled as a whole: op by op it takes seconds."""
    return Episodes(*jax.device_get(tuple(jax.jit(sample_them)())))


def _of_group(earned: np.ndarray) -> GroupResult:
    return GroupResult(trials=earned.size, correct=_count(earned), accuracy=float(earned.mean()))


def _count(earned: np.ndarray) -> float:
    """Return the sum of credit; thirds and the like of ties that add up to a whole number give that number."""
    total = float(earned.sum())
    return float(round(total)) if abs(total - round(total)) < 1e-9 else total
