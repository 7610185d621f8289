"""One-shot recognition, measured under every protocol; results are plain dicts, ready for results.json."""

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import numpy as np

from siamese_jax import keys
from siamese_jax.errors import UserError
from siamese_jax.evaluation.doctor import Seen, examine_episodes, examine_scores
from siamese_jax.evaluation.embedder import Evaluator
from siamese_jax.evaluation.protocols import DIGITS, Protocol, card, sample, sample_digits
from siamese_jax.network.siamese import Params
from siamese_jax.records import Dataset, Episodes, Images
from siamese_jax.sampling.episodes import sample_episodes
from siamese_jax.sampling.layout import layout_of
from siamese_jax.specs import Experiment
from siamese_jax.statistics.intervals import clustered_interval
from siamese_jax.statistics.scores import credit, ties

Result = dict[str, Any]

Score = Callable[[np.ndarray, Episodes], np.ndarray]
"""Images, uint8 [N, H, W], and runs whose rows index them -> scores [R, Q, n_way], of which the highest is chosen."""


class Measured(NamedTuple):
    """A one-shot result, ready for results.json, and what it came from: `scores` [R, Q, n_way] of the trials `runs`."""

    result: Result
    scores: np.ndarray
    episodes: Episodes

    @property
    def credit(self) -> np.ndarray:
        """The correctness [R, Q] of each trial; float64 in [0, 1], see `scores.credit`."""
        return credit(self.scores, np.asarray(self.episodes.answer))


def validation_episodes(experiment: Experiment, validation: Images) -> Episodes:
    """The fixed trials that decide when to stop and which epoch is best (paper, section 3.2)."""
    spec = experiment.evaluation
    key = keys.stream(keys.root_key(experiment.seed), "validation trials")
    place = layout_of(validation)
    return _drawn(lambda: sample_episodes(key, place, spec.validation_trials, spec.n_way, spec.k_shot))


def validation_accuracy(evaluator: Evaluator, params: Params, images: Images, episodes: Episodes) -> float:
    """Returns the one-shot accuracy in [0, 1] on runs whose rows index `alphabets`."""
    return float(credit(evaluator.episode_logits(params, images.images, episodes), np.asarray(episodes.answer)).mean())


def validation_one_shot(
    score: Score, experiment: Experiment, sets: dict[str, Images], combine: str | None = None
) -> Measured:
    """Measures the trials that the epoch was chosen by; a figure that flatters, and is labelled so.

    `combine` is what `score` does with several supports, if not what the experiment says.
    """
    spec = experiment.evaluation
    label = "validation trials, by which the epoch was chosen"
    protocol = Protocol(
        label, spec.n_way, spec.k_shot, spec.validation_trials, seed=experiment.seed, combine=combine or spec.combine
    )
    episodes = validation_episodes(experiment, sets["validation"])
    return one_shot(score, sets["validation"], episodes, protocol, {"trained": sets["train"]})


def one_shot(score: Score, images: Images, episodes: Episodes, protocol: Protocol, seen: Seen) -> Measured:
    """Measures one-shot accuracy on runs whose rows index `alphabets`, with 95 % intervals by bootstrap.

    `ci95` draws whole runs: other trials of these alphabets. `ci95_by_alphabet` draws whole alphabets (of the queries):
    other alphabets, of which there are few, so that it is wider. The result holds its card and the doctor's warnings.
    UserError for trials that the doctor refuses.
    """
    warnings = examine_episodes(images, episodes, protocol.n_way, seen)
    return _measured(score, images, episodes, warnings, card(protocol, images, episodes, seen))


def one_shot_by_protocol(
    score: Score, dataset: Dataset, sets: dict[str, Images], seen: Seen, protocols: dict[str, Protocol]
) -> tuple[dict[str, Measured], dict[str, str]]:
    """Measures under each protocol; returns what was measured, and why the others were not, by name."""
    images, measured, refused = dataset.images, {}, {}
    for name, protocol in protocols.items():
        try:  # only before a score is made: parameters that diverged are no reason to pass over a protocol
            episodes = _drawn(functools.partial(sample, name, protocol, dataset, sets))
            warnings = examine_episodes(images, episodes, protocol.n_way, seen)
        except UserError as reason:
            refused[name] = str(reason)
        else:
            measured[name] = _measured(score, images, episodes, warnings, card(protocol, images, episodes, seen))
    return measured, refused


def one_shot_on_digits(
    score: Score, digits: Images, seen: Seen, combine: str, names: Iterable[str]
) -> dict[str, Measured]:
    """Measures MNIST's digits under the protocols of DIGITS that `names` lists (paper, section 4.4)."""
    measured = {}
    for name in names:
        episodes = _drawn(functools.partial(sample_digits, name, DIGITS[name], digits))
        measured[name] = one_shot(score, digits, episodes, DIGITS[name]._replace(combine=combine), seen)
    return measured


def _measured(score: Score, images: Images, episodes: Episodes, warnings: list[str], about: dict[str, Any]) -> Measured:
    scores = score(images.images, episodes)
    warnings = warnings + examine_scores(scores, episodes)
    earned = credit(scores, np.asarray(episodes.answer))
    of_run = np.broadcast_to(np.arange(len(earned))[:, None], earned.shape)
    of_alphabet = images.group_index[np.asarray(episodes.query)]
    trained = about.get("trained_on", {"drawers": []})["drawers"]
    result = {
        "n_way": about["n_way"],
        "k_shot": about["k_shot"],
        **_summed_up(earned),
        "ci95": clustered_interval(earned.ravel(), of_run.ravel()),
        "ci95_by_alphabet": clustered_interval(earned.ravel(), of_alphabet.ravel(), unknown=None),
        "ties": ties(scores),
        "alphabets": len(about["alphabets"]),
        "by_alphabet": {images.group_names[i]: _summed_up(earned[of_alphabet == i]) for i in np.unique(of_alphabet)},
        "drawers": about["drawers"],
        "drawers_seen_in_training": sorted(set(about["drawers"]) & set(trained)),
        "warnings": warnings,
        "card": about,
    }
    return Measured(result, scores, episodes)


def _drawn(draw_them: Callable[[], Episodes]) -> Episodes:
    """Returns runs on the host; compiled whole, since one operation at a time takes seconds."""
    return Episodes(*jax.device_get(tuple(jax.jit(draw_them)())))


def _summed_up(earned: np.ndarray) -> Result:
    return {"trials": earned.size, "correct": _whole(earned.sum()), "accuracy": float(earned.mean())}


def _whole(total: float) -> int | float:
    """Credit as a count; a fraction only where ties left one."""
    return round(total) if abs(total - round(total)) < 1e-9 else float(total)
