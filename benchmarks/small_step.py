"""The tower that few-shot papers use (four 3×3 "same" convolutions of 64 filters, ReLU, 2×2 pools; no norm).

Forward and backward of 160 images, down to the gradient of every parameter, against PyTorch. Ours is what a user of
the package's convolution writes. Both start from the same parameters, and loss and gradients are compared first.
"""

import argparse
from collections.abc import Callable

import _timing
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from siamese_jax.devices import keep_freed_memory
from siamese_jax.network.convolution import convolve, max_pool

LAYERS, FILTERS, IMAGES = 4, 64, 160
LOSS, GRADIENTS = 1e-4, 1e-2
"""Allowed differences, as fractions of the largest value of an array; near-ties of a pool may fall either way."""

Params = list[tuple[Array, Array]]
"""Kernel [3, 3, C, F] and bias [F] of each layer."""


def main(flags: argparse.Namespace) -> None:
    """Compare, times and writes."""
    import _torch_net

    keep_freed_memory()
    params = init_params(jax.random.key(0), flags.channels)
    images = jax.random.uniform(jax.random.key(1), (IMAGES, flags.side, flags.side, flags.channels))
    compiled = jax.jit(jax.value_and_grad(loss))

    def ours() -> tuple[Array, Params]:
        return jax.block_until_ready(compiled(params, images))

    by_format = {name: _timing.Elsewhere(torch_step, params, images, name) for name in _torch_net.FORMATS}
    their_format = _torch_net.faster(by_format, flags.their_format)
    theirs = by_format[their_format]
    keeping = _timing.Elsewhere(torch_step, params, images, their_format, keep=True)

    (our_loss, our_gradients), (their_loss, their_gradients) = ours(), theirs.result()
    of_gradients = [
        _timing.check_same(f"gradient {layer}", mine, yours, GRADIENTS)
        for layer, pair in enumerate(zip(our_gradients, their_gradients, strict=True))
        for mine, yours in zip(*pair, strict=True)
    ]
    differences = {
        "loss": _timing.check_same("loss", our_loss, their_loss, LOSS),
        "gradients": max(of_gradients),
    }
    seconds = _timing.interleave({"ours": ours, "theirs": theirs, "theirs_keeping": keeping}, flags.repeats)
    for side_elsewhere in (*by_format.values(), keeping):
        side_elsewhere.close()
    more = {"images": IMAGES, "channels": flags.channels, "differences": differences, "their_format": their_format}
    _timing.report(_timing.make_record(f"small_step_{flags.side}", seconds, **more), seconds, flags.output)


def init_params(key: Array, channels: int) -> Params:
    """Draw He-normal kernels; biases are 0."""
    widths = [channels] + [FILTERS] * LAYERS
    init = jax.nn.initializers.he_normal()
    keys = jax.random.split(key, LAYERS)
    return [
        (init(key, (3, 3, before, after)), jnp.zeros(after))
        for key, before, after in zip(keys, widths[:-1], widths[1:], strict=True)
    ]


def embed(params: Params, image: Array) -> Array:
    """One image [H, W, C] -> its features [H // 16, W // 16, 64]."""
    for kernel, bias in params:
        image = jax.nn.relu(max_pool(convolve(image, kernel, padding="SAME")) + bias[None, None, :])
    return image


def loss(params: Params, images: Array) -> Array:
    """Mean square of all features: something to differentiate that costs nothing."""
    return jnp.square(jax.vmap(embed, in_axes=(None, 0))(params, images)).mean()


def torch_step(params: Params, images: Array, name: str) -> Callable[[], tuple[float, list[tuple[np.ndarray, ...]]]]:
    """Return the same in PyTorch: a callable -> loss and gradients, with axes in our order."""
    import _torch_net
    import torch
    from torch import nn

    layout = {"memory_format": _torch_net.FORMATS[name]}
    net = nn.Sequential()
    for kernel, bias in params:
        conv = nn.Conv2d(*kernel.shape[2:], 3, padding=1)
        conv.weight.data = torch.from_numpy(np.array(kernel)).permute(3, 2, 0, 1).contiguous()
        conv.bias.data = torch.from_numpy(np.array(bias))
        net.extend([conv, nn.ReLU(inplace=True), nn.MaxPool2d(2)])
    net.to(_torch_net.DEVICE, **layout)
    batch = _torch_net.images(images).contiguous(**layout)

    def in_our_order(conv: nn.Conv2d) -> tuple[np.ndarray, ...]:
        return conv.weight.grad.permute(2, 3, 1, 0).cpu().numpy(), conv.bias.grad.cpu().numpy()

    def step() -> tuple[float, list[tuple[np.ndarray, ...]]]:
        net.zero_grad(set_to_none=True)
        value = net(batch).square().mean()
        value.backward()
        _torch_net.wait()
        return value.item(), [in_our_order(layer) for layer in net if isinstance(layer, nn.Conv2d)]

    return step


def parse(args: list[str] | None = None) -> argparse.Namespace:
    """Read the flags."""
    parser = _timing.make_parser(__doc__)
    parser.add_argument("--side", type=_timing.positive, default=28, help="rows and columns of an image (default: 28)")
    parser.add_argument("--channels", type=_timing.positive, default=1, help="of the images (default: 1)")
    _timing.add_their_format(parser)
    return parser.parse_args(args)


if __name__ == "__main__":
    main(parse())
