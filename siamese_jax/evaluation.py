"""Verification and one-shot recognition: every image is embedded once, then embeddings are compared.

Host loops over two jitted functions; results are plain dicts, ready for results.json.
"""

import functools
import hashlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.special import expit

from siamese_jax import keys, splits
from siamese_jax.distort import Affine, Warp, apply_affine, draw_affine, without
from siamese_jax.doctor import Seen, examine_runs, examine_scores
from siamese_jax.model import Params, SiameseNet, as_input
from siamese_jax.pairs import check_pair_count, draw_pair
from siamese_jax.protocols import DIGITS, Protocol, card, draw, draw_digits
from siamese_jax.records import Alphabets, Dataset, Runs
from siamese_jax.scores import (
    Curves,
    area,
    best_threshold,
    clustered_interval,
    credit,
    curves,
    equal_error_rate,
    operating_point,
    thinned,
    ties,
    verified,
    weighted_intervals,
)
from siamese_jax.specs import DistortSpec, Experiment, UserError
from siamese_jax.trials import draw_runs

Result = dict[str, Any]
Score = Callable[[np.ndarray, Runs], np.ndarray]
"""Images, uint8 [N, H, W], and runs whose rows index them -> scores [R, Q, n_way], of which the highest is chosen."""

FALSE_ACCEPT_RATES = (0.01, 0.001)
"""At which verification's operating points are chosen, on validation."""

PAIRS = 4000
"""Embeddings compared at a time; a matter of memory and speed, not of results."""


class Measured(NamedTuple):
    """A one-shot result, ready for results.json, and what it came from: `scores` [R, Q, n_way] of the trials `runs`."""

    result: Result
    scores: np.ndarray
    runs: Runs

    @property
    def credit(self) -> np.ndarray:
        """The correctness [R, Q] of each trial; float64 in [0, 1], see `scores.credit`."""
        return credit(self.scores, np.asarray(self.runs.answer))


class Evaluator:
    """A network's jitted embedding and comparing; made once, so that each is compiled once.

    Embeddings are kept for as long as the parameters are the same object: each image is embedded once, whatever is
    measured on it. With `views`, each image is embedded as the mean over them.
    """

    def __init__(self, net: SiameseNet, embed_batch: int, combine: str = "mean_score", views: Affine | None = None):
        self._embed_batch = embed_batch
        self._embed = jax.jit(net.embed_images if views is None else functools.partial(embed_views, net, views))
        self._compare = jax.jit(net.compare_pairs)
        score_run = functools.partial(net.trial_logits, combine=combine)
        self._score: Callable[..., Array] = jax.jit(jax.vmap(score_run, in_axes=(None, 0, 0)))
        self._params: Params | None = None
        self._places: dict[bytes, int] = {}
        self._embeddings: np.ndarray | None = None

    def embed(self, params: Params, images: np.ndarray) -> np.ndarray:
        """Images, uint8 [N, H, W] -> embeddings [N, D]; only what these parameters have not seen is embedded."""
        if params is not self._params:
            self._params, self._places, self._embeddings = params, {}, None
        names = [hashlib.blake2b(image, digest_size=16).digest() for image in np.ascontiguousarray(images)]
        new = {name: row for row, name in enumerate(names) if name not in self._places}
        if new:
            self._places |= {name: len(self._places) + place for place, name in enumerate(new)}
            made = self._embed_new(params, images[list(new.values())])
            self._embeddings = made if self._embeddings is None else np.concatenate([self._embeddings, made])
        return self._embeddings[[self._places[name] for name in names]]

    def _embed_new(self, params: Params, images: np.ndarray) -> np.ndarray:
        """Embeds some images at a time; the last few are padded to a full batch."""
        batch = self._embed_batch
        padded = np.concatenate([images, np.zeros((-len(images) % batch, *images.shape[1:]), np.uint8)])
        parts = [self._embed(params, jnp.asarray(padded[i : i + batch])) for i in range(0, len(padded), batch)]
        return np.concatenate(jax.device_get(parts))[: len(images)]

    def run_logits(self, params: Params, images: np.ndarray, runs: Runs) -> np.ndarray:
        """Scores [R, Q, n_way] of runs whose rows index `images`; only images that the runs use are embedded."""
        rows, places = np.unique(np.concatenate([np.ravel(runs.support), np.ravel(runs.query)]), return_inverse=True)
        support = places[: np.size(runs.support)].reshape(np.shape(runs.support))
        query = places[np.size(runs.support) :].reshape(np.shape(runs.query))
        embeddings = self.embed(params, images[rows])
        (count, n_way, k_shot), queries = support.shape, query.shape[1]
        together = min(count, max(1, PAIRS // (queries * n_way * k_shot)))
        scores = []
        for first in range(0, count, together):
            some = np.arange(first, first + together) % count  # the last is filled up: one shape, compiled once
            scores.append(self._score(params, embeddings[support[some]], embeddings[query[some]]))
        return _finite(np.concatenate(jax.device_get(scores))[:count], "one-shot scores")

    def pair_logits(self, params: Params, images: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Logits [N] of pairs of rows of `images`; each image is embedded once."""
        embeddings = self.embed(params, images)
        parts = [
            self._compare(params, embeddings[left[i : i + PAIRS]], embeddings[right[i : i + PAIRS]])
            for i in range(0, len(left), PAIRS)
        ]
        return _finite(np.concatenate(jax.device_get(parts)), "verification scores")


def draw_views(spec: DistortSpec, count: int) -> Affine:
    """Draws the views [count] of EvalSpec: the image itself, then affine distortions, the same for all images."""
    each = jax.random.split(keys.stream(keys.root_key(0), "views"), count)
    drawn = Warp(jax.vmap(lambda key: draw_affine(key, spec))(each))
    return without(drawn, jnp.arange(count) == 0).affine


def embed_views(net: SiameseNet, views: Affine, params: Params, images: Array) -> Array:
    """Images, uint8 [N, H, W] -> the means [N, D] of their embeddings over views [V]."""
    plain = as_input(images)[..., 0]

    def of_view(view: Affine) -> Array:
        seen = jax.vmap(apply_affine, in_axes=(0, None))(plain, view)[..., None]
        return jax.vmap(net.embed, in_axes=(None, 0))(params, seen)

    return jax.lax.map(of_view, views).mean(axis=0)


def validation_runs(experiment: Experiment, validation: Alphabets) -> Runs:
    """The fixed trials that decide when to stop and which epoch is best (paper, section 3.2)."""
    spec = experiment.evaluation
    key = keys.stream(keys.root_key(experiment.seed), "validation trials")
    place = splits.layout(validation)
    return _drawn(lambda: draw_runs(key, place, spec.validation_trials, spec.n_way, spec.k_shot))


def validation_accuracy(evaluator: Evaluator, params: Params, alphabets: Alphabets, runs: Runs) -> float:
    """Returns the one-shot accuracy in [0, 1] on runs whose rows index `alphabets`."""
    return float(credit(evaluator.run_logits(params, alphabets.images, runs), np.asarray(runs.answer)).mean())


def validation_one_shot(
    score: Score, experiment: Experiment, sets: dict[str, Alphabets], combine: str | None = None
) -> Measured:
    """Measures the trials that the epoch was chosen by; a figure that flatters, and is labelled so.

    `combine` is what `score` does with several supports, if not what the experiment says.
    """
    spec = experiment.evaluation
    label = "validation trials, by which the epoch was chosen"
    protocol = Protocol(
        label, spec.n_way, spec.k_shot, spec.validation_trials, seed=experiment.seed, combine=combine or spec.combine
    )
    runs = validation_runs(experiment, sets["validation"])
    return one_shot(score, sets["validation"], runs, protocol, {"trained": sets["train"]})


def one_shot(score: Score, alphabets: Alphabets, runs: Runs, protocol: Protocol, seen: Seen) -> Measured:
    """Measures one-shot accuracy on runs whose rows index `alphabets`, with 95 % intervals by bootstrap.

    `ci95` draws whole runs: other trials of these alphabets. `ci95_by_alphabet` draws whole alphabets (of the queries):
    other alphabets, of which there are few, so that it is wider. The result holds its card and the doctor's warnings.
    UserError for trials that the doctor refuses.
    """
    warnings = examine_runs(alphabets, runs, protocol.n_way, seen)
    return _measured(score, alphabets, runs, warnings, card(protocol, alphabets, runs, seen))


def one_shot_by_protocol(
    score: Score, dataset: Dataset, sets: dict[str, Alphabets], seen: Seen, protocols: dict[str, Protocol]
) -> tuple[dict[str, Measured], dict[str, str]]:
    """Measures under each protocol; returns what was measured, and why the others were not, by name."""
    alphabets, measured, refused = dataset.alphabets, {}, {}
    for name, protocol in protocols.items():
        try:  # only before a score is made: parameters that diverged are no reason to pass over a protocol
            runs = _drawn(functools.partial(draw, name, protocol, dataset, sets))
            warnings = examine_runs(alphabets, runs, protocol.n_way, seen)
        except UserError as reason:
            refused[name] = str(reason)
        else:
            measured[name] = _measured(score, alphabets, runs, warnings, card(protocol, alphabets, runs, seen))
    return measured, refused


def one_shot_on_digits(
    score: Score, digits: Alphabets, seen: Seen, combine: str, names: Iterable[str]
) -> dict[str, Measured]:
    """Measures MNIST's digits under the protocols of DIGITS that `names` lists (paper, section 4.4)."""
    measured = {}
    for name in names:
        runs = _drawn(functools.partial(draw_digits, name, DIGITS[name], digits))
        measured[name] = one_shot(score, digits, runs, DIGITS[name]._replace(combine=combine), seen)
    return measured


def _measured(score: Score, alphabets: Alphabets, runs: Runs, warnings: list[str], about: dict[str, Any]) -> Measured:
    scores = score(alphabets.images, runs)
    warnings = warnings + examine_scores(scores, runs)
    earned = credit(scores, np.asarray(runs.answer))
    of_run = np.broadcast_to(np.arange(len(earned))[:, None], earned.shape)
    of_alphabet = alphabets.alphabet[np.asarray(runs.query)]
    trained = about.get("trained_on", {"drawers": []})["drawers"]
    result = {
        "n_way": about["n_way"],
        "k_shot": about["k_shot"],
        **_summed_up(earned),
        "ci95": clustered_interval(earned.ravel(), of_run.ravel()),
        "ci95_by_alphabet": clustered_interval(earned.ravel(), of_alphabet.ravel(), unknown=None),
        "ties": ties(scores),
        "alphabets": len(about["alphabets"]),
        "by_alphabet": {alphabets.names[i]: _summed_up(earned[of_alphabet == i]) for i in np.unique(of_alphabet)},
        "drawers": about["drawers"],
        "drawers_seen_in_training": sorted(set(about["drawers"]) & set(trained)),
        "warnings": warnings,
        "card": about,
    }
    return Measured(result, scores, runs)


def verification(
    evaluator: Evaluator, params: Params, experiment: Experiment, validation: Alphabets, test: Alphabets
) -> Result:
    """Measures verification; every threshold is chosen on validation, and applied to test (paper, section 4.2).

    Thresholds are given as p(same). Intervals are by bootstrap over alphabets: 9,999 resamples of a mean, 499 of what
    needs a whole curve, which for two sets of 10,000 pairs takes 2 seconds in all.
    """
    scored = {}
    for name, alphabets, pairs in (
        ("validation", validation, experiment.data.validation_pairs),
        ("test", test, experiment.data.test_pairs),
    ):
        left, right, same = _draw_pairs(experiment, name, alphabets, pairs)
        logits = evaluator.pair_logits(params, alphabets.images, left, right)
        scored[name] = logits, same, alphabets.alphabet[left]
    chosen_on = scored["validation"][:2]
    threshold, curve = best_threshold(*chosen_on), curves(*chosen_on)
    points = {rate: operating_point(curve, rate).threshold for rate in FALSE_ACCEPT_RATES}
    return {name: _verification(*pairs, threshold, points) for name, pairs in scored.items()}


def _verification(
    logits: np.ndarray, same: np.ndarray, alphabet: np.ndarray, threshold: float, points: dict[float, float]
) -> Result:
    """Measures pairs [N] at a threshold for accuracy, and at one for each false-accept rate that was asked for."""

    def area_and_error(curve: Curves) -> tuple[float, float]:
        return area(curve), equal_error_rate(curve)

    curve = curves(logits, same)
    auc, error = area_and_error(curve)
    auc_interval, error_interval = weighted_intervals(
        lambda weights: area_and_error(curves(logits, same, weights)), alphabet
    )
    right, drawn = verified(logits, same, threshold), thinned(curve)
    return {
        "pairs": len(right),
        "threshold": float(expit(threshold)),
        "accuracy": float(right.mean()),
        "ci95": clustered_interval(right, alphabet),
        "auc": auc,
        "auc_ci95": auc_interval,
        "equal_error_rate": error,
        "equal_error_rate_ci95": error_interval,
        "operating_points": [
            {"false_accept_rate": asked, **_rates(logits, same, alphabet, point)} for asked, point in points.items()
        ],
        "roc": {"false_accept_rate": drawn.false_accept.tolist(), "true_accept_rate": drawn.true_accept.tolist()},
    }


def _rates(logits: np.ndarray, same: np.ndarray, alphabet: np.ndarray, threshold: float) -> Result:
    wrong = 1 - verified(logits, same, threshold)
    rejected, accepted = wrong[same], wrong[~same]
    return {
        "measured_false_accept_rate": float(accepted.mean()),
        "measured_false_accept_rate_ci95": clustered_interval(accepted, alphabet[~same]),
        "true_accept_rate": float(1 - rejected.mean()),
        "true_accept_rate_ci95": clustered_interval(1 - rejected, alphabet[same]),
        "false_reject_rate": float(rejected.mean()),
        "threshold": float(expit(threshold)),
    }


def check_evaluation(experiment: Experiment, validation: Alphabets, test: Alphabets) -> None:
    """Raises UserError for anything that the pairs and the trials on test would stumble over."""
    for name, alphabets in (("validation", validation), ("test", test)):
        pairs = getattr(experiment.data, f"{name}_pairs")
        check_pair_count(pairs, len(alphabets.names), f"data.{name}_pairs")
    _check_runs(experiment, test, experiment.evaluation.random_trials)


def check_validation(experiment: Experiment, validation: Alphabets) -> None:
    """Raises UserError unless the validation trials can be drawn."""
    _check_runs(experiment, validation, experiment.evaluation.validation_trials)


def _check_runs(experiment: Experiment, alphabets: Alphabets, trials: int) -> None:
    spec, key = experiment.evaluation, keys.root_key(experiment.seed)
    jax.eval_shape(lambda: draw_runs(key, splits.layout(alphabets), trials, spec.n_way, spec.k_shot))


def _draw_pairs(experiment: Experiment, name: str, alphabets: Alphabets, pairs: int) -> tuple[np.ndarray, ...]:
    key = keys.stream(keys.root_key(experiment.seed), f"{name} pairs")
    place, different = splits.layout(alphabets), experiment.data.different_drawers
    draw = jax.jit(jax.vmap(lambda index: draw_pair(key, index, place, different)))
    return jax.device_get(draw(jnp.arange(pairs)))


def _drawn(draw_them: Callable[[], Runs]) -> Runs:
    """Returns runs on the host; compiled whole, since one operation at a time takes seconds."""
    return Runs(*jax.device_get(tuple(jax.jit(draw_them)())))


def _finite(values: np.ndarray, what: str) -> np.ndarray:
    if not np.isfinite(values).all():
        raise UserError(f"the {what} are not finite: the parameters have diverged; lower the learning rates")
    return values


def _summed_up(earned: np.ndarray) -> Result:
    return {"trials": earned.size, "correct": _whole(earned.sum()), "accuracy": float(earned.mean())}


def _whole(total: float) -> int | float:
    """Credit as a count; a fraction only where ties left one."""
    return round(total) if abs(total - round(total)) < 1e-9 else float(total)
