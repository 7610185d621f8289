"""Each convolution of the paper's network, value and gradients, by both paths of the package.

"ours" is the path that the package takes for the layer on this device, "theirs" is XLA's own. The sides are timed layer
by layer in turn, and so is a plain product of two square matrices: the speed that a machine has to give. GFLOP/s count
the arithmetic of the direct convolution, whatever a path does instead; so a path can be faster than the product.
Accuracy is the root mean square error against XLA in float64, as a fraction of the root mean square.
conv1 has no gradient of its image: nothing trains there.
"""

import argparse
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import _timing
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from siamese_jax import convolution, experiments, specs
from siamese_jax.twins import feature_sides

PATHS = {"xla": convolution._xla, "fourier": convolution._fourier}
ERROR = 1e-4
"""Largest error allowed, of either path."""


class Layer(NamedTuple):
    """A convolution of a batch, and whether its image has a gradient."""

    images: np.ndarray
    kernel: np.ndarray
    cotangent: np.ndarray
    of_images: bool

    @property
    def gflop(self) -> float:
        """Of value and gradients, done directly: each is as much as the value."""
        products = self.cotangent.size * np.prod(self.kernel.shape[:3])
        return (3 if self.of_images else 2) * 2 * products / 1e9

    def some(self, images: int) -> "Layer":
        """The same layer with a smaller batch."""
        return self._replace(images=self.images[:images], cotangent=self.cotangent[:images])


def main(flags: argparse.Namespace) -> None:
    """Compares, times and writes."""
    layers = make_layers(experiments.find(flags.experiment), flags.images)
    multiply = jax.jit(jnp.matmul)
    matrix = jnp.asarray(np.random.default_rng(0).random((flags.matrix, flags.matrix), np.float32))
    found, total = {}, {"ours": [0.0] * flags.repeats, "theirs": [0.0] * flags.repeats}
    print(f"{'layer':<8}{'path':<10}{'median s':>10}{'GFLOP/s':>10}{'error':>10}")
    for name, layer in layers.items():
        errors = {path: error(apply, layer.some(flags.exact_images)) for path, apply in PATHS.items()}
        if max(errors.values()) > ERROR:
            raise SystemExit(f"{name}: the error against float64 is {errors}, allowed is {ERROR:.0e}")
        sides: dict[str, Callable[[], Any]] = {path: compiled(apply, layer) for path, apply in PATHS.items()}
        sides["product"] = lambda: jax.block_until_ready(multiply(matrix, matrix))
        seconds = _timing.interleave(sides, flags.repeats)
        gflop = {**dict.fromkeys(PATHS, layer.gflop), "product": 2 * flags.matrix**3 / 1e9}
        rates = {side: gflop[side] / statistics.median(times) for side, times in seconds.items()}
        for side, times in seconds.items():
            shown = f"{errors[side]:10.1e}" if side in errors else ""
            print(f"{name:<8}{side:<10}{statistics.median(times):10.4f}{rates[side]:10.1f}{shown}")
        taken = convolution.path_for(layer.images.shape[1:], layer.kernel.shape)
        for side, path in (("ours", taken), ("theirs", "xla")):
            total[side] = [sum(both) for both in zip(total[side], seconds[path], strict=True)]
        found[name] = {"path": taken, "gflop": layer.gflop, "seconds": seconds, "gflop_per_s": rates, "error": errors}
    record = _timing.make_record("convolution", total, images=flags.images, matrix=flags.matrix, layers=found)
    _timing.report(record, total, flags.output)


def make_layers(experiment: specs.Experiment, images: int) -> dict[str, Layer]:
    """Returns the layers of an experiment's network on noise."""
    rng = np.random.default_rng(0)
    side, channels, layers = specs.SIDE // experiment.data.downsample, 1, {}
    after = feature_sides(experiment.network, side)
    for name, conv in experiment.network.convs.items():
        out = side - conv.size + 1
        layers[name] = Layer(
            rng.standard_normal((images, side, side, channels), np.float32),
            rng.standard_normal((conv.size, conv.size, channels, conv.filters), np.float32),
            rng.standard_normal((images, out, out, conv.filters), np.float32),
            of_images=channels > 1,
        )
        side, channels = after[name], conv.filters
    return layers


def value_and_gradients(apply: Callable[[Array, Array], Array], layer: Layer) -> tuple[Array, ...]:
    """Returns the value [B, H', W', F] and the gradients of the kernel and, if it has one, of the images."""
    if layer.of_images:
        value, pull = jax.vjp(jax.vmap(apply, (0, None)), layer.images, layer.kernel)
    else:
        value, pull = jax.vjp(lambda kernel: jax.vmap(apply, (0, None))(layer.images, kernel), layer.kernel)
    return value, *pull(layer.cotangent)


def compiled(apply: Callable[[Array, Array], Array], layer: Layer) -> Callable[[], Any]:
    """Returns a callable that computes value and gradients from arrays on the device, and waits."""
    run = jax.jit(lambda *arrays: value_and_gradients(apply, Layer(*arrays, layer.of_images)))
    arrays = jax.device_put(layer[:3])
    return lambda: jax.block_until_ready(run(*arrays))


def error(apply: Callable[[Array, Array], Array], layer: Layer) -> float:
    """Returns the largest error of value and gradients, root mean squares, against XLA in float64."""
    actual = [np.asarray(array, np.float64) for array in compiled(apply, layer)()]
    with jax.enable_x64(True):
        exactly = layer._replace(**{name: np.float64(getattr(layer, name)) for name in layer._fields[:3]})
        exact = [np.asarray(array) for array in compiled(convolution._xla, exactly)()]
    return max(float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in zip(actual, exact, strict=True))


def parse(args: list[str] | None = None) -> argparse.Namespace:
    """Reads the flags."""
    parser = _timing.make_parser(__doc__)
    parser.add_argument("--experiment", default="omniglot_20way", help="whose layers (default: the paper's)")
    parser.add_argument("--images", type=_timing.positive, default=64, help="in a batch (default: 64)")
    parser.add_argument("--exact_images", type=_timing.positive, default=4, help="checked in float64 (default: 4)")
    parser.add_argument("--matrix", type=_timing.positive, default=4096, help="side of the matrices (default: 4096)")
    return parser.parse_args(args)


if __name__ == "__main__":
    main(parse())
