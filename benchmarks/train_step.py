"""One training step: forward, backward and the paper's update, against PyTorch and against plain Flax.

All sides start from the same parameters and see the same batch, which lies on the device already. Logits and gradients
are compared first, and how far two updates move the parameters. "theirs" is PyTorch as it comes, "theirs_keeping" is
PyTorch in a process that keeps freed memory as ours does. "flax" is plain Flax as it comes: nn.Conv and nn.max_pool,
with XLA's own gradients, and our update.
"""

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

import _timing
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from siamese_jax import specs
from siamese_jax.devices import keep_freed_memory
from siamese_jax.learning.losses import cross_entropy
from siamese_jax.learning.optimizers import make_optimizer
from siamese_jax.learning.steps import train_step
from siamese_jax.network import siamese
from siamese_jax.records import PairBatch, TrainState

LOGITS, GRADIENTS, MOVEMENT = 1e-4, 3e-2, 1e-1
"""Allowed differences, as fractions of the largest value of an array. Where rounding decides which of a pool is
largest, or on which side of 0 a ReLU is, a term of a gradient goes elsewhere: with few pairs PyTorch's float32 and
float64 part by 1e-2, too. Movement is that of the parameters in two updates."""

Layers = dict[str, tuple[np.ndarray, np.ndarray]]
"""Weight and bias by layer, axes in PyTorch's order."""


class PlainFlax(nn.Module):
    """Our network as a Flax user writes it: two batches of images to logits [B], parameters named as ours."""

    spec: specs.NetSpec

    @nn.compact
    def __call__(self, left: Array, right: Array) -> Array:
        features = jnp.concatenate([left, right])
        for name, conv in self.spec.tower.convs.items():
            features = nn.relu(nn.Conv(conv.filters, (conv.size, conv.size), padding="VALID", name=name)(features))
            if conv.pool:
                features = nn.max_pool(features, window_shape=(2, 2), strides=(2, 2))
        embeddings = nn.sigmoid(nn.Dense(self.spec.tower.units, name="fc")(features.reshape(len(features), -1)))
        left, right = jnp.split(embeddings, 2)
        return nn.Dense(1, name="out")(jnp.abs(left - right))[:, 0]


class FlaxNet(NamedTuple):
    """PlainFlax with the one method that our train step calls."""

    module: PlainFlax

    def pair_logits(self, params: siamese.Params, left: Array, right: Array) -> Array:
        """Pairs of images [B, H, W, 1] -> logits [B]."""
        return self.module.apply({"params": {**params, "out": _dense(params["out"])}}, left, right)


class OurStep:
    """Makes one update of a copy of `params` at each call, and waits for it."""

    def __init__(self, net: Any, params: siamese.Params, batch: PairBatch, experiment: specs.Experiment):
        optimizer = make_optimizer(experiment, steps_per_epoch=10**6)
        self._update = jax.jit(lambda state: train_step(state, batch, net, optimizer, experiment), donate_argnums=0)
        params = jax.tree.map(jnp.copy, params)
        self.state = TrainState(jnp.int32(0), params, optimizer.init(params))

    def __call__(self) -> None:
        self.state, _ = jax.block_until_ready(self._update(self.state))

    def program(self) -> str:
        """Return the compiled update as text."""
        return self._update.lower(self.state).compile().as_text()


def main(flags: argparse.Namespace) -> None:
    """Compare, times and writes."""
    import _torch_net

    keep_freed_memory()
    experiment = _timing.find_of_pairs(flags.experiment)
    side = experiment.data.image_shape[0]
    params = siamese.init_params(jax.random.key(0), experiment.network, experiment.data.image_shape)
    batch = make_batch(flags.pairs, side)
    nets = {"ours": siamese.build(experiment.network), "flax": FlaxNet(PlainFlax(experiment.network))}
    repeats = dict.fromkeys(("ours", "theirs", "theirs_keeping"), flags.repeats) | {"flax": flags.flax_repeats}
    if not flags.flax_repeats:
        del nets["flax"], repeats["flax"]

    theirs, step = torch_step(params, batch, experiment, "contiguous")
    their_logits = theirs.logits_of(batch.left, batch.right)
    step()  # leaves its gradients behind; a second one, below, shows the momentum
    differences = {}
    for name, net in nets.items():
        logits, gradients = logits_and_gradients(net, params, batch)
        differences[name] = {
            "logits": _timing.check_same(f"{name}: logits", logits, their_logits, LOGITS),
            "gradients": compare(
                f"{name}: gradient", _torch_net.as_theirs(gradients), theirs.gradients_by_layer(), GRADIENTS
            ),
        }

    ours = OurStep(nets["ours"], params, batch, experiment)
    ours()
    ours()
    step()
    start, moved = _torch_net.as_theirs(params), _torch_net.as_theirs(ours.state.params)
    differences["ours"]["movement"] = compare(
        "movement", subtract(moved, start), subtract(theirs.parameters_by_layer(), start), MOVEMENT
    )

    del theirs, step
    by_format = {name: _timing.Elsewhere(their_step, params, batch, experiment, name) for name in _torch_net.FORMATS}
    their_format = _torch_net.faster(by_format, flags.their_format)
    keeping = _timing.Elsewhere(their_step, params, batch, experiment, their_format, keep=True)
    sides = {"ours": ours, "theirs": by_format[their_format], "theirs_keeping": keeping}
    if flags.flax_repeats:
        sides["flax"] = _timing.Elsewhere(flax_step, params, batch, experiment)
    seconds = _timing.interleave(sides, repeats)
    for side_elsewhere in {*sides.values(), *by_format.values()} - {ours}:
        side_elsewhere.close()
    more = {"pairs": flags.pairs, "differences": differences, "their_format": their_format}
    record = _timing.make_record(f"train_step_{side}_{flags.pairs}", seconds, **more)
    _timing.report(record, seconds, flags.output)


def torch_step(
    params: siamese.Params, batch: PairBatch, experiment: specs.Experiment, name: str
) -> tuple[Any, Callable[[], None]]:
    """Return the network in PyTorch, and a callable that makes one update of it."""
    import _torch_net

    layout = {"memory_format": _torch_net.FORMATS[name]}
    net = _torch_net.Siamese(experiment.network, batch.left.shape[1]).load_ours(params).to(**layout)
    optimizer = _torch_net.sgd(net, experiment.optimizer)
    left, right = (_torch_net.images(images).contiguous(**layout) for images in (batch.left, batch.right))
    return net, _torch_net.make_step(net, optimizer, left, right, batch.same)


def their_step(*args: Any) -> Callable[[], None]:
    """As `torch_step`, but only the callable."""
    return torch_step(*args)[1]


def flax_step(params: siamese.Params, batch: PairBatch, experiment: specs.Experiment) -> Callable[[], None]:
    """Return a callable that makes one update of plain Flax's network."""
    return OurStep(FlaxNet(PlainFlax(experiment.network)), params, batch, experiment)


def make_batch(pairs: int, side: int) -> PairBatch:
    """Squares of ink on blank paper, each image its own: as in drawings, most of a patch is exactly 0, and embeddings
    differ by more than rounding, which would else decide the sign of |left − right|'s gradient."""
    rng = np.random.default_rng(0)
    squares = rng.random((2, pairs, -(-side // 5), -(-side // 5), 1)) < 0.15
    ink = np.kron(squares, np.ones((5, 5, 1)))[:, :, :side, :side] * rng.uniform(0.5, 1, (2, pairs, side, side, 1))
    left, right = jnp.asarray(ink, jnp.float32)
    return PairBatch(left, right, jnp.arange(pairs, dtype=jnp.float32) % 2)


def logits_and_gradients(net: Any, params: siamese.Params, batch: PairBatch) -> tuple[Array, siamese.Params]:
    """Return logits [B] and the gradients of their cross-entropy."""

    def objective(params: siamese.Params) -> tuple[Array, Array]:
        logits = net.pair_logits(params, batch.left, batch.right)
        return cross_entropy(logits, batch.same), logits

    gradients, logits = jax.jit(jax.grad(objective, has_aux=True))(params)
    return logits, gradients


def compare(what: str, ours: Layers, theirs: Layers, tolerance: float) -> float:
    """Return the largest difference of any array, as a fraction of the largest value in it."""
    return max(
        _timing.check_same(f"{what} of {layer}", mine, yours, tolerance)
        for layer in ours
        for mine, yours in zip(ours[layer], theirs[layer], strict=True)
    )


def subtract(end: Layers, start: Layers) -> Layers:
    """Return by how much each array has moved."""
    return {layer: tuple(a - b for a, b in zip(end[layer], start[layer], strict=True)) for layer in start}


def parse(args: list[str] | None = None) -> argparse.Namespace:
    """Read the flags."""
    parser = _timing.make_parser(__doc__)
    parser.add_argument("--pairs", type=_timing.positive, default=32, help="pairs in the batch (default: 32)")
    parser.add_argument("--experiment", default="omniglot_20way", help="whose network (default: the paper's)")
    parser.add_argument("--flax_repeats", type=int, default=5, help="as --repeats, for plain Flax; 0 leaves it out")
    _timing.add_their_format(parser)
    return parser.parse_args(args)


def _dense(out: dict[str, Array]) -> dict[str, Array]:
    return {"kernel": out["weight"], "bias": out["bias"]}


if __name__ == "__main__":
    main(parse())
