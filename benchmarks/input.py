"""What the input costs: drawing a batch of 128 pairs and warping its 256 images, beside the whole step with it in it.

Both are the package's own, compiled: `sample_batch`, and the update that draws its batch, differentiates and updates.
"""

import argparse
import statistics

import _timing
import jax
import jax.numpy as jnp

from siamese_jax import data, experiments, keys
from siamese_jax.devices import keep_freed_memory
from siamese_jax.learning.batches import sample_batch, steps_per_epoch
from siamese_jax.learning.optimizers import make_optimizer
from siamese_jax.learning.steps import init_state
from siamese_jax.sampling import splits
from siamese_jax.sampling.layout import layout_of
from siamese_jax.training import programs


def main(flags: argparse.Namespace) -> None:
    """Time and writes."""
    keep_freed_memory()
    experiment = experiments.find(flags.experiment)
    spec = _timing.chosen_data(experiment.data, flags)
    train = splits.split(data.load(spec, flags.data_dir, flags.archives), experiment.data.author_split)["train"]
    key, place, images = keys.root_key(0), layout_of(train), jnp.asarray(train.images)
    state = init_state(
        key,
        experiment,
        make_optimizer(experiment, steps_per_epoch(experiment)),
        images.shape[1:],
    )
    update = programs.compile_update(experiment, train)
    draw = jax.jit(lambda step, images: sample_batch(key, step, images, place, experiment))
    step = 0

    def whole() -> None:
        nonlocal state
        state, _ = jax.block_until_ready(update(state))

    def inputs() -> None:
        nonlocal step
        step += 1
        jax.block_until_ready(draw(jnp.int32(step), images))

    seconds = _timing.interleave({"ours": inputs, "step": whole}, flags.repeats)
    share = statistics.median(seconds["ours"]) / statistics.median(seconds["step"])
    print(f"the input is {share:.1%} of the step")
    more = {"share_of_step": share, "pairs": experiment.batch_size, "data": spec.name}
    record = _timing.make_record(f"input_{images.shape[1]}", seconds, **more)
    _timing.report(record, seconds, flags.output)


def parse(args: list[str] | None = None) -> argparse.Namespace:
    """Read the flags."""
    parser = _timing.make_parser(__doc__)
    parser.add_argument("--experiment", default="omniglot_20way_small", help="whose (default: omniglot_20way_small)")
    _timing.add_data_flags(parser)
    return parser.parse_args(args)


if __name__ == "__main__":
    main(parse())
