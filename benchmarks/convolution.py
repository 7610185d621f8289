"""Each convolution of the paper's network, value and gradients, by every path of the package; or those of other towers.

"ours" is the path that the package takes for the layer on this device, "theirs" is XLA's own. The sides are timed layer
by layer in turn, and so is a plain product of two square matrices: the speed that a machine has to give. GFLOP/s count
the arithmetic of the direct convolution, whatever a path does instead; so a path can be faster than the product.
Accuracy is the root mean square error against XLA in float64, as a fraction of the root mean square.
conv1 has no gradient of its image: nothing trains there.
"""

import argparse
import math
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import _timing
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from siamese_jax import specs
from siamese_jax.devices import keep_freed_memory
from siamese_jax.network import convolution
from siamese_jax.network.convolution import winograd

ERROR = 1e-4
"""Largest error allowed, of any path."""
OTHERS = [
    (16, 32, 3, 64), (14, 64, 3, 64), (9, 64, 3, 64), (5, 64, 3, 64), (7, 64, 2, 64), (3, 64, 2, 128), (30, 1, 3, 64),
    (50, 3, 3, 64), (50, 64, 3, 64), (26, 32, 3, 32), (26, 64, 3, 64), (14, 96, 3, 96), (8, 96, 3, 96), (30, 16, 3, 32),
    (32, 8, 5, 32), (15, 64, 2, 64), (14, 64, 1, 64),
]  # fmt: skip
"""Layers beyond the paper's: side of the image (its padding included), channels, side of the kernel, filters."""


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
    """Compare, times and writes."""
    keep_freed_memory()
    experiment = _timing.find_of_pairs(flags.experiment)
    layers = make_others(flags.images) if flags.others else make_layers(experiment, flags.images)
    multiply = jax.jit(jnp.matmul)
    matrix = jnp.asarray(np.random.default_rng(0).random((flags.matrix, flags.matrix), np.float32))
    found, total = {}, {"ours": [0.0] * flags.repeats, "theirs": [0.0] * flags.repeats}
    print(f"{'layer':<22}{'path':<10}{'median s':>10}{'GFLOP/s':>10}{'error':>10}")
    for name, layer in layers.items():
        shapes = layer.images.shape[1:], layer.kernel.shape
        paths = {path: apply for path, apply in convolution.PATHS.items() if takes(path, *shapes)}
        errors = {path: error(apply, layer.some(flags.exact_images)) for path, apply in paths.items()}
        if max(errors.values()) > ERROR:
            raise SystemExit(f"{name}: the error against float64 is {errors}, allowed is {ERROR:.0e}")
        sides: dict[str, Callable[[], Any]] = {path: compiled(apply, layer) for path, apply in paths.items()}
        sides["product"] = lambda: jax.block_until_ready(multiply(matrix, matrix))
        seconds = _timing.interleave(sides, flags.repeats)
        gflop = {**dict.fromkeys(paths, layer.gflop), "product": 2 * flags.matrix**3 / 1e9}
        rates = {side: gflop[side] / statistics.median(times) for side, times in seconds.items()}
        for side, times in seconds.items():
            shown = f"{errors[side]:10.1e}" if side in errors else ""
            print(f"{name:<22}{side:<10}{statistics.median(times):10.4f}{rates[side]:10.1f}{shown}")
        taken = convolution.path_for(*shapes)
        for side, path in (("ours", taken), ("theirs", "xla")):
            total[side] = [sum(both) for both in zip(total[side], seconds[path], strict=True)]
        found[name] = {"path": taken, "gflop": layer.gflop, "seconds": seconds, "gflop_per_s": rates, "error": errors}
    name = "convolution_others" if flags.others else "convolution"
    record = _timing.make_record(name, total, images=flags.images, matrix=flags.matrix, layers=found)
    _timing.report(record, total, flags.output)


def make_layers(experiment: specs.Experiment, images: int) -> dict[str, Layer]:
    """Return the layers of an experiment's network on noise."""
    side, channels, layers = experiment.data.image_shape[0], 1, {}
    after = experiment.network.tower.sides(side)
    for name, conv in experiment.network.tower.convs.items():
        layers[name] = make_layer(images, side, channels, conv.size, conv.filters)
        side, channels = after[name], conv.filters
    return layers


def make_others(images: int) -> dict[str, Layer]:
    """Return layers of other towers on noise, by which the rule that picks a path can be judged."""
    return {f"{side}×{side}×{c} {k}×{k} -> {f}": make_layer(images, side, c, k, f) for side, c, k, f in OTHERS}


def make_layer(images: int, side: int, channels: int, size: int, filters: int) -> Layer:
    """Return a layer on noise; an image of one channel is a drawing, which has no gradient."""
    rng = np.random.default_rng(0)
    out = side - size + 1
    shapes = (images, side, side, channels), (size, size, channels, filters), (images, out, out, filters)
    return Layer(*(rng.standard_normal(shape, np.float32) for shape in shapes), of_images=channels > 1)


def takes(path: str, image_shape: tuple[int, ...], kernel_shape: tuple[int, ...]) -> bool:
    """Return whether a path has an answer for such a layer."""
    return path != "winograd" or math.isfinite(winograd.multiplications(image_shape, kernel_shape))


def value_and_gradients(apply: Callable[[Array, Array], Array], layer: Layer) -> tuple[Array, ...]:
    """Return the value [B, H', W', F] and the gradients of the kernel and, if it has one, of the images."""
    if layer.of_images:
        value, pull = jax.vjp(jax.vmap(apply, (0, None)), layer.images, layer.kernel)
    else:
        value, pull = jax.vjp(lambda kernel: jax.vmap(apply, (0, None))(layer.images, kernel), layer.kernel)
    return value, *pull(layer.cotangent)


def compiled(apply: Callable[[Array, Array], Array], layer: Layer) -> Callable[[], Any]:
    """Return a callable that computes value and gradients from arrays on the device, and waits."""
    run = jax.jit(lambda *arrays: value_and_gradients(apply, Layer(*arrays, layer.of_images)))
    arrays = jax.device_put(layer[:3])
    return lambda: jax.block_until_ready(run(*arrays))


def error(apply: Callable[[Array, Array], Array], layer: Layer) -> float:
    """Return the largest error of value and gradients, root mean squares, against XLA in float64."""
    actual = [np.asarray(array, np.float64) for array in compiled(apply, layer)()]
    with jax.enable_x64(True):
        exactly = layer._replace(**{name: np.float64(getattr(layer, name)) for name in layer._fields[:3]})
        exact = [np.asarray(array) for array in compiled(convolution.PATHS["xla"], exactly)()]
    return max(float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in zip(actual, exact, strict=True))


def parse(args: list[str] | None = None) -> argparse.Namespace:
    """Read the flags."""
    parser = _timing.make_parser(__doc__)
    parser.add_argument("--experiment", default="omniglot_20way", help="whose layers (default: the paper's)")
    parser.add_argument("--others", action="store_true", help="other towers' layers instead, small kernels")
    parser.add_argument("--images", type=_timing.positive, default=64, help="in a batch (default: 64)")
    parser.add_argument("--exact_images", type=_timing.positive, default=4, help="checked in float64 (default: 4)")
    parser.add_argument("--matrix", type=_timing.positive, default=4096, help="side of the matrices (default: 4096)")
    return parser.parse_args(args)


if __name__ == "__main__":
    main(parse())
