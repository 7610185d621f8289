"""Verification and one-shot recognition: every image is embedded once, then embeddings are compared.

Host loops over two jitted functions; results are plain dicts, ready for results.json.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.special import expit

from siamese_jax import keys, splits
from siamese_jax.model import Params, SiameseNet
from siamese_jax.pairs import check_pair_count, draw_pair
from siamese_jax.records import Alphabets, Runs
from siamese_jax.scores import best_threshold, clustered_interval, credit, ties, verified
from siamese_jax.specs import Experiment, UserError
from siamese_jax.trials import draw_runs

Result = dict[str, Any]


class Evaluator:
    """A network's jitted embedding and comparing; made once, so that each is compiled once."""

    def __init__(self, net: SiameseNet, embed_batch: int):
        self._embed_batch = embed_batch
        self._embed = jax.jit(net.embed_images)
        self._compare = jax.jit(net.compare_pairs)
        self._score: Callable[..., Array] = jax.jit(
            lambda params, embeddings, support, query: net.trial_logits(params, embeddings[support], embeddings[query])
        )

    def embed(self, params: Params, images: np.ndarray) -> Array:
        """Images, uint8 [N, H, W] -> embeddings [N, D], some at a time; the last few are padded to a full batch."""
        batch = self._embed_batch
        padded = np.concatenate([images, np.zeros((-len(images) % batch, *images.shape[1:]), np.uint8)])
        parts = [self._embed(params, jnp.asarray(padded[i : i + batch])) for i in range(0, len(padded), batch)]
        return jnp.concatenate(parts)[: len(images)]

    def run_logits(self, params: Params, images: np.ndarray, runs: Runs) -> np.ndarray:
        """Scores [R, Q, n_way] of runs whose rows index `images`; only images that the runs use are embedded."""
        rows, places = np.unique(np.concatenate([np.ravel(runs.support), np.ravel(runs.query)]), return_inverse=True)
        support = places[: np.size(runs.support)].reshape(np.shape(runs.support))
        query = places[np.size(runs.support) :].reshape(np.shape(runs.query))
        embeddings = self.embed(params, images[rows])
        scores = [self._score(params, embeddings, s, q) for s, q in zip(support, query, strict=True)]
        return _finite(np.stack(jax.device_get(scores)), "one-shot scores")

    def pair_logits(self, params: Params, images: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Logits [N] of pairs of rows of `images`; each image is embedded once."""
        embeddings = self.embed(params, images)
        chunk = 1000
        parts = [
            self._compare(params, embeddings[left[i : i + chunk]], embeddings[right[i : i + chunk]])
            for i in range(0, len(left), chunk)
        ]
        return _finite(np.concatenate(jax.device_get(parts)), "verification scores")


def validation_runs(experiment: Experiment, validation: Alphabets) -> Runs:
    """The fixed trials that decide when to stop and which epoch is best (paper, section 3.2)."""
    spec = experiment.evaluation
    key = keys.stream(keys.root_key(experiment.seed), "validation trials")
    return _on_host(draw_runs(key, splits.layout(validation), spec.validation_trials, spec.n_way, spec.k_shot))


def validation_accuracy(evaluator: Evaluator, params: Params, alphabets: Alphabets, runs: Runs) -> float:
    """Returns the one-shot accuracy in [0, 1] on runs whose rows index `alphabets`."""
    return float(credit(evaluator.run_logits(params, alphabets.images, runs), np.asarray(runs.answer)).mean())


def one_shot(
    evaluator: Evaluator, params: Params, alphabets: Alphabets, runs: Runs, trained_drawers: frozenset[int]
) -> Result:
    """Measures one-shot accuracy on runs whose rows index `alphabets`, with a 95 % interval by bootstrap over runs."""
    logits = evaluator.run_logits(params, alphabets.images, runs)
    earned = credit(logits, np.asarray(runs.answer))
    of_run = np.broadcast_to(np.arange(len(earned))[:, None], earned.shape)
    drawers = {int(d) for rows in (runs.support, runs.query) for d in np.unique(alphabets.drawer[np.asarray(rows)])}
    n_way, k_shot = np.shape(runs.support)[1:]
    return {
        "n_way": n_way,
        "k_shot": k_shot,
        "trials": earned.size,
        "correct": _whole(earned.sum()),
        "accuracy": float(earned.mean()),
        "ci95": clustered_interval(earned.ravel(), of_run.ravel()),
        "ties": ties(logits),
        "alphabets": len(np.unique(alphabets.alphabet[np.asarray(runs.query)])),
        "drawers": sorted(drawers),
        "drawers_seen_in_training": sorted(drawers & trained_drawers),
    }


def random_trials(
    evaluator: Evaluator, params: Params, experiment: Experiment, test: Alphabets, trained_drawers: frozenset[int]
) -> Result:
    """Measures one-shot accuracy on random within-alphabet trials of the test alphabets and drawers."""
    spec = experiment.evaluation
    key = keys.stream(keys.root_key(experiment.seed), "random trials")
    runs = _on_host(draw_runs(key, splits.layout(test), spec.random_trials, spec.n_way, spec.k_shot))
    return one_shot(evaluator, params, test, runs, trained_drawers)


def verification(
    evaluator: Evaluator, params: Params, experiment: Experiment, validation: Alphabets, test: Alphabets
) -> Result:
    """Measures verification accuracy; the threshold is chosen on validation (paper, section 4.2).

    Intervals are by bootstrap over alphabets.
    """
    scored = {}
    for name, alphabets, pairs in (
        ("validation", validation, experiment.data.validation_pairs),
        ("test", test, experiment.data.test_pairs),
    ):
        left, right, same = _draw_pairs(experiment, name, alphabets, pairs)
        logits = evaluator.pair_logits(params, alphabets.images, left, right)
        scored[name] = logits, same, alphabets.alphabet[left]
    threshold = best_threshold(*scored["validation"][:2])
    results = {}
    for name, (logits, same, alphabet) in scored.items():
        right = verified(logits, same, threshold)
        results[name] = {
            "pairs": len(right),
            "threshold": float(expit(threshold)),
            "accuracy": float(right.mean()),
            "ci95": clustered_interval(right, alphabet),
        }
    return results


def check_evaluation(experiment: Experiment, validation: Alphabets, test: Alphabets) -> None:
    """Raises UserError, before training, for anything that evaluation would stumble over."""
    for name, alphabets in (("validation", validation), ("test", test)):
        pairs = getattr(experiment.data, f"{name}_pairs")
        check_pair_count(pairs, len(alphabets.names), f"data.{name}_pairs")
    spec = experiment.evaluation
    key = keys.root_key(experiment.seed)
    for alphabets, trials in ((validation, spec.validation_trials), (test, spec.random_trials)):
        jax.eval_shape(lambda a=alphabets, t=trials: draw_runs(key, splits.layout(a), t, spec.n_way, spec.k_shot))


def _draw_pairs(experiment: Experiment, name: str, alphabets: Alphabets, pairs: int) -> tuple[np.ndarray, ...]:
    key = keys.stream(keys.root_key(experiment.seed), f"{name} pairs")
    place, different = splits.layout(alphabets), experiment.data.different_drawers
    draw = jax.jit(jax.vmap(lambda index: draw_pair(key, index, place, different)))
    return jax.device_get(draw(jnp.arange(pairs)))


def _on_host(runs: Runs) -> Runs:
    return Runs(*jax.device_get(tuple(runs)))


def _finite(values: np.ndarray, what: str) -> np.ndarray:
    if not np.isfinite(values).all():
        raise UserError(f"the {what} are not finite: the parameters have diverged; lower the learning rates")
    return values


def _whole(total: float) -> int | float:
    """Credit as a count; a fraction only where ties left one."""
    return round(total) if abs(total - round(total)) < 1e-9 else float(total)
