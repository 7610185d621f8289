"""Convolution and max-pooling, with gradients that are fast on a CPU, too.

Functions take one image, [H, W, C]; callers vmap.

On a CPU, XLA's gradient of a convolution with respect to its kernel runs at a tenth of the speed of a matrix product.
There large kernels use Fourier transforms and small ones Winograd tiles. Both need fewer multiplications than the
direct sum and are written as matrix products, which JAX batches and differentiates by itself. Under vmap with a shared
kernel, the gradient of the kernel is one product over the whole batch. Gradients per example are right, too. If there
are few channels, the gradient is a product of patches for each image instead (see `patches`).
"""

from collections.abc import Callable, Mapping
from functools import partial, reduce
from typing import Literal

import chex
import jax
import jax.numpy as jnp
from jax import Array, lax

from siamese_jax.network.convolution import fourier, patches, winograd

Correlation = Callable[[Array, Array], Array]
"""Image [H, W, C] and kernel [kh, kw, C, F] -> [H - kh + 1, W - kw + 1, F]."""


def convolve(image: Array, kernel: Array, padding: Literal["VALID", "SAME"] = "VALID") -> Array:
    """Correlate an image with a bank of filters at stride 1, as `lax.conv_general_dilated` does.

    Args:
        image: [H, W, C], float32 or bfloat16.
        kernel: [kh, kw, C, F], of the same dtype.
        padding: "VALID" for H' = H - kh + 1, "SAME" for H' = H; the same for W.

    Returns:
        [H', W', F], of the same dtype.

    Raises:
        ValueError: if the padding is unknown, or a VALID kernel is larger than the image.
    """
    chex.assert_rank([image, kernel], [3, 4])
    chex.assert_axis_dimension(kernel, 2, image.shape[2])
    (height, width, _), (kh, kw, _, _) = image.shape, kernel.shape
    if padding not in ("VALID", "SAME"):
        raise ValueError(f'padding must be "VALID" or "SAME", not {padding!r}')
    if padding == "SAME":  # as in XLA, an odd row or column is added at the end
        before = (kh - 1) // 2, (kw - 1) // 2
        image = jnp.pad(image, ((before[0], kh - 1 - before[0]), (before[1], kw - 1 - before[1]), (0, 0)))
    elif kh > height or kw > width:
        raise ValueError(f"a VALID kernel of {kh}×{kw} does not fit into an image of {height}×{width}")
    return PATHS[path_for(image.shape, kernel.shape)](image, kernel)


def path_for(image_shape: tuple[int, ...], kernel_shape: tuple[int, ...]) -> str:
    """Return the name in PATHS of the fastest way to correlate a padded image [H, W, C] with a kernel [kh, kw, C, F].

    The first rule that applies decides:

    1. On GPUs and TPUs: "xla", whose gradients are fast there.
    2. "winograd", if it needs fewer multiplications than the direct sum.
    3. "fourier", if it needs fewer multiplications than the direct sum.
    4. "patches", if a patch has no more numbers than the output has pixels. Else the gradient for each image would be
       large.
    5. "xla".

    The table shows what was measured on a CPU with `benchmarks/convolution.py`, for 160 images (64 for the paper's
    network). The left columns are the multiplications of the direct sum divided by those of this path; above 1 is a
    saving. The right columns are times in ms, for the value and both gradients (*: first layer, only the gradient of
    the kernel):

        image      kernel         sum/path: winograd fourier   ms: winograd fourier patches   xla
        105×105×1  10×10 -> 64*                 -    0.26              -     529     138   273
        48×48×64   7×7 -> 128                   -     7.4              -     467    2764  4386
        21×21×128  4×4 -> 128                   -     4.5              -     146     439   385
        9×9×128    4×4 -> 256                   -     3.5              -      45     264    92
        16×16×32   3×3 -> 64                  1.5     1.6             39      56      54    76
        14×14×64   3×3 -> 64                  2.2     2.1             40      70     122    95
        9×9×64     3×3 -> 64                  1.7     2.1             20      19      66    41
        5×5×64     3×3 -> 64                  2.1     1.4            2.6     5.2      52   6.5
        7×7×64     2×2 -> 64                  1.6     1.2            5.1     9.9     8.1    13
        3×3×64     2×2 -> 128                 1.6    0.78            1.9     4.5      23   3.4
        30×30×1    3×3 -> 64*                0.23   0.079             64      85     8.1    20
        50×50×3    3×3 -> 64                 0.58    0.15            220     326     132   176
        50×50×64   3×3 -> 64                  2.2     1.3            460     851     945  1531
        26×26×32   3×3 -> 32                  1.5     1.1             54      99      76    77
        26×26×64   3×3 -> 64                  2.2     1.8            145     222     316   356
        14×14×96   3×3 -> 96                  2.6     2.4             55     105     203   160
        8×8×96     3×3 -> 96                  2.4       2             19      32     110    43
        30×30×16   3×3 -> 32                  1.3    0.74             63     100      68    86
        32×32×8    5×5 -> 32                    -     1.1              -      97     118   128
        15×15×64   2×2 -> 64                  1.2     1.1             40      58      38    63
        14×14×64   1×1 -> 64                 0.89    0.31             17      47      14    23

    A sum of kh·kw products of shifted images was slower than each of these.
    """
    if jax.default_backend() != "cpu":
        return "xla"
    (height, width, channels), (kh, kw, _, filters) = image_shape, kernel_shape
    pixels, patch = (height - kh + 1) * (width - kw + 1), kh * kw * channels
    if winograd.multiplications(image_shape, kernel_shape) < pixels * patch * filters:
        return "winograd"
    if fourier.multiplications(image_shape, kernel_shape) < pixels * patch * filters:
        return "fourier"
    return "patches" if patch <= pixels else "xla"


def max_pool(image: Array) -> Array:
    """Take the maximum of every 2×2 block: [H, W, C] -> [H // 2, W // 2, C]; an odd last row or column is dropped.

    The gradient goes to the largest of the four values; among equal ones to the first, row by row. XLA's own gradient
    of a pool (select-and-scatter) takes at least twelve times as long. Maxima commute with adding a bias and with ReLU.
    So pool first: relu(max_pool(convolve(...)) + bias) gives the same bits with a quarter of the work after the pool.
    """
    chex.assert_rank(image, 3)
    rows, columns = 2 * (image.shape[0] // 2), 2 * (image.shape[1] // 2)
    corners = (image[i:rows:2, j:columns:2] for i in (0, 1) for j in (0, 1))
    return reduce(lambda largest, corner: jnp.where(largest >= corner, largest, corner), corners)


def _in_float32(correlate: Correlation, image: Array, kernel: Array) -> Array:
    exact = jnp.promote_types(image.dtype, jnp.float32)  # 8 bits are too few for transforms and sums of gradients
    return correlate(image.astype(exact), kernel.astype(exact)).astype(image.dtype)


def _transformed(correlate: Correlation, image: Array, kernel: Array) -> Array:
    value = _in_float32(correlate, image, kernel)
    # Blank paper gives 0 with any kernel, but a transform gives ±1e-7. A ReLU without a bias lets half of these pass,
    # with their gradients. So they are set to 0. The convolution is linear, so its gradient does not change.
    return value - lax.stop_gradient(jnp.where(_blank(image, *kernel.shape[:2])[..., None], value, 0))


def _blank(image: Array, kh: int, kw: int) -> Array:
    """Return whether all of the patch [kh, kw, C] that a kernel sees is exactly 0: bool [H - kh + 1, W - kw + 1]."""
    return ~lax.reduce_window(jnp.any(image != 0, axis=-1), False, lax.bitwise_or, (kh, kw), (1, 1), "VALID")


PATHS: Mapping[str, Correlation] = {
    "xla": patches.by_xla,
    "patches": partial(_in_float32, patches.correlate),
    "fourier": partial(_transformed, fourier.correlate),
    "winograd": partial(_transformed, winograd.correlate),
}
"""The functions that correlate, by name."""
