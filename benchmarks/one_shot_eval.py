"""The 400 official one-shot trials: 20 runs of 20 queries, each compared with the 20 supports of its run.

Ours embeds the 800 images once and compares embeddings; that is all that is timed, compilation aside. Theirs scores
trial by trial in PyTorch as public code does: 20 pairs a trial, both images of each through the twins, nothing kept,
16,000 embeddings in all. So it is timed on `--their_trials` trials and scaled to 400. To tell the idea from the
libraries, "cached" is PyTorch with our idea: 800 images embedded once, measured in full.
"""

import argparse
import functools
from collections.abc import Callable

import _timing
import jax
import numpy as np

from siamese_jax import data, experiments, specs
from siamese_jax.devices import keep_freed_memory
from siamese_jax.evaluation.embedder import Evaluator
from siamese_jax.network import siamese

LOGITS = 1e-4
"""Allowed difference of scores, as a fraction of the largest."""


def main(flags: argparse.Namespace) -> None:
    """Compare, times and writes."""
    import _torch_net

    keep_freed_memory()
    experiment = experiments.find(flags.experiment)
    spec = _timing.chosen_data(experiment.data, flags)
    images, episodes, *_ = data.load(spec, flags.data_dir, flags.archives)
    shape = images.images.shape[1:]
    params = siamese.init_params(jax.random.key(0), experiment.network, shape)
    evaluator = Evaluator(siamese.build(experiment.network), experiment.evaluation.embed_batch)

    def ours() -> np.ndarray:
        return evaluator.episode_logits(dict(params), images.images, episodes)  # a new dict: no embedding is known yet

    support, query = (
        _torch_net.images(siamese.as_input(images.images[np.ravel(rows)])).unflatten(0, np.shape(episodes.query))
        for rows in (episodes.support, episodes.query)
    )
    given = params, experiment, support.numpy(force=True), query.numpy(force=True)
    one_trial = {
        name: _timing.Elsewhere(their_scores, *given, name, "trial_by_trial", 1) for name in _torch_net.FORMATS
    }
    their_format = _torch_net.faster(one_trial, flags.their_format)
    for side_elsewhere in one_trial.values():
        side_elsewhere.close()
    trials, of_all = min(flags.their_trials, np.size(episodes.query)), np.size(episodes.query)
    trial_by_trial = _timing.Elsewhere(their_scores, *given, their_format, "trial_by_trial", trials)
    cached = _timing.Elsewhere(their_scores, *given, their_format, "cached", experiment.evaluation.embed_batch)

    scores = ours()
    first = scores.reshape(of_all, -1)[:trials]
    differences = {
        "theirs": _timing.check_same("scores", first, trial_by_trial.result(), LOGITS),
        "cached": _timing.check_same("cached scores", scores, cached.result(), LOGITS),
    }
    seconds = _timing.interleave({"ours": ours, "theirs": trial_by_trial, "cached": cached}, flags.repeats)
    trial_by_trial.close()
    cached.close()
    factor = of_all / trials
    print(f"theirs: timed on {trials} of {of_all} trials, times multiplied by {factor:g}")
    seconds["theirs"] = [factor * value for value in seconds["theirs"]]
    more = {"trials": of_all, "their_trials": trials, "their_times_multiplied_by": factor, "data": spec.name}
    more |= {"differences": differences, "their_format": their_format}
    _timing.report(_timing.make_record(f"one_shot_eval_{shape[0]}", seconds, **more), seconds, flags.output)


def their_scores(
    params: siamese.Params,
    experiment: specs.Experiment,
    support: np.ndarray,
    query: np.ndarray,
    name: str,
    method: str,
    argument: int,
) -> Callable[[], np.ndarray]:
    """Return a callable that scores by a method of `_torch_net.TrialScorer`."""
    import _torch_net
    import torch

    net = _torch_net.Siamese(experiment.network, support.shape[-1]).load_ours(params)
    images = (torch.from_numpy(part).to(_torch_net.DEVICE) for part in (support, query))
    return functools.partial(getattr(_torch_net.TrialScorer(net, *images, name), method), argument)


def parse(args: list[str] | None = None) -> argparse.Namespace:
    """Read the flags."""
    parser = _timing.make_parser(__doc__)
    parser.add_argument("--experiment", default="omniglot_20way", help="whose network and data (default: the paper's)")
    parser.add_argument(
        "--their_trials", type=_timing.positive, default=20, help="trials timed of theirs (default: 20)"
    )
    _timing.add_data_flags(parser)
    _timing.add_their_format(parser)
    return parser.parse_args(args)


if __name__ == "__main__":
    main(parse())
