"""Train a siamese network with pure functions alone: sample a batch, make an update, measure one-shot accuracy.

    python examples/train_in_60_lines.py [--steps=300]

Everything random follows from one key. The update is a pure function of (state, key, images); it is jitted once.
The data are the package's own glyphs, which need no download. Chance level is 5 %.
"""

import argparse

import jax
import jax.numpy as jnp

import siamese_jax
from siamese_jax import data, keys
from siamese_jax.evaluation.embedder import Evaluator
from siamese_jax.evaluation.one_shot import validation_accuracy, validation_episodes
from siamese_jax.learning.batches import sample_batch, steps_per_epoch
from siamese_jax.learning.optimizers import make_optimizer
from siamese_jax.learning.steps import init_state, train_step
from siamese_jax.network.siamese import build
from siamese_jax.sampling.layout import layout_of
from siamese_jax.sampling.splits import split


def main() -> None:
    """Train for some steps, and print the loss and the accuracy on groups that were not trained on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300, help="updates of 128 pairs each (default: 300)")
    parser.add_argument("--data_dir", help="where prepared data are kept (default: TFDS's own folder)")
    flags = parser.parse_args()

    experiment = siamese_jax.find("glyphs_20way")
    sets = split(data.load(experiment.data, flags.data_dir), experiment.data.drawer_split)
    images, layout = jnp.asarray(sets["train"].images), layout_of(sets["train"])
    net = build(experiment.network)
    optimizer = make_optimizer(experiment, steps_per_epoch(experiment))
    key = keys.root_key(experiment.seed)

    @jax.jit
    def update(state, key, images):
        batch = sample_batch(key, state.step, images, layout, experiment)
        return train_step(state, batch, net, optimizer, experiment)

    state = init_state(key, experiment, optimizer, images.shape[1:])
    for step in range(1, flags.steps + 1):
        state, metrics = update(state, key, images)
        if step % 50 == 0 or step == flags.steps:
            print(f"step {step}: loss {metrics['cross_entropy']:.3f}")

    episodes = validation_episodes(experiment, sets["validation"])
    accuracy = validation_accuracy(Evaluator(net, 100), state.params, sets["validation"], episodes)
    print(f"20-way one-shot accuracy on {episodes.query.size} validation trials: {accuracy:.1%}")


if __name__ == "__main__":
    main()
