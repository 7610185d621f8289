"""The convolution and the pooling of the twins, with gradients that are fast on a CPU as well.

One image at a time, [H, W, C]; callers vmap. XLA's CPU gradient of a convolution with respect to its kernel runs at a
tenth of the speed of a matrix product, so there the correlation theorem is spelled as matrix products. The transforms
are small matrices, too, not FFTs: at 48 points that is cheap, any length will do, rows that would be padding or would
be thrown away are never made, and the frequencies come out in front, where the product over channels wants them.

Image and kernel meet only in plain products, which JAX batches and differentiates by itself: under vmap with a shared
kernel its gradient is one product contracted over the batch, and per-example gradients are right as well.
"""

from functools import partial, reduce
from typing import Literal

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike


def convolve(image: Array, kernel: Array, padding: Literal["VALID", "SAME"] = "VALID") -> Array:
    """Correlates an image with a bank of filters at stride 1, as `lax.conv_general_dilated` does.

    `image` [H, W, C], `kernel` [kh, kw, C, F], both float32 or bfloat16 -> [H', W', F]: H' = H - kh + 1 for "VALID",
    H for "SAME". ValueError if the padding is another or a VALID kernel exceeds the image.
    The fourier path is Mathieu, Henaff and LeCun (2014), "Fast training of convolutional networks through FFTs".
    """
    chex.assert_rank([image, kernel], [3, 4])
    chex.assert_axis_dimension(kernel, 2, image.shape[2])
    (height, width, _), (kh, kw, _, _) = image.shape, kernel.shape
    if padding not in ("VALID", "SAME"):
        raise ValueError(f'padding must be "VALID" or "SAME", not {padding!r}')
    if padding == "SAME":  # XLA's split: the odd one goes after
        before = (kh - 1) // 2, (kw - 1) // 2
        image = jnp.pad(image, ((before[0], kh - 1 - before[0]), (before[1], kw - 1 - before[1]), (0, 0)))
    elif kh > height or kw > width:
        raise ValueError(f"a VALID kernel of {kh}×{kw} does not fit into an image of {height}×{width}")
    return (_fourier if path_for(kernel.shape, image.dtype) == "fourier" else _xla)(image, kernel)


def path_for(kernel_shape: tuple[int, ...], dtype: jnp.dtype) -> Literal["xla", "fourier"]:
    """Returns how a kernel [kh, kw, C, F] is convolved: on a CPU, two channels or more, 32 bits or more: "fourier".

    With one channel there is no product over channels to save on. Seconds for value and gradients of 64 images (conv1:
    of the kernel only) on 2 CPU cores, "xla" and "fourier": conv1 0.6 and 1.2, conv2 12.4 and 1.0,
    conv3 1.1 and 0.26, conv4 0.15 and 0.08. GPUs and TPUs have fast gradients of their own.
    """
    fast = jax.default_backend() == "cpu" and dtype in (jnp.float32, jnp.float64) and kernel_shape[2] > 1
    return "fourier" if fast else "xla"


def max_pool(image: Array) -> Array:
    """Takes the maximum of every 2×2 block: [H, W, C] -> [H // 2, W // 2, C]; an odd last row or column is dropped.

    The gradient goes to the largest of the four; among equals to the first, row by row. XLA's own gradient of a pool
    (select-and-scatter) takes twelve times as long or more. Maxima commute with adding a bias and with ReLU, so
    pool first: relu(max_pool(convolve(...)) + bias) is the same to the bit and leaves both a quarter of the numbers.
    """
    chex.assert_rank(image, 3)
    rows, columns = 2 * (image.shape[0] // 2), 2 * (image.shape[1] // 2)
    corners = (image[i:rows:2, j:columns:2] for i in (0, 1) for j in (0, 1))
    return reduce(lambda largest, corner: jnp.where(largest >= corner, largest, corner), corners)


def _xla(image: Array, kernel: Array) -> Array:
    return lax.conv_general_dilated(image[None], kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))[0]


def _fourier(image: Array, kernel: Array) -> Array:
    (height, width, _), (kh, kw, _, _) = image.shape, kernel.shape
    # A circular correlation as long as the image is wrong only where the kernel wraps: outside the VALID part.
    image_re, image_im = _spectrum(image, height, width)
    kernel_re, kernel_im = _spectrum(kernel, height, width)
    # Image times the kernel's conjugate, in three real products (Gauss), each one matrix product per frequency.
    product = partial(jnp.einsum, "vuc,vuco->vuo")
    p, q = product(image_re, kernel_re), product(image_im, kernel_im)
    r = product(image_re + image_im, kernel_re - kernel_im)
    columns = _linear(_inverse_complex_dft(width, width - kw + 1), 2, jnp.stack([p + q, r - p + q]))
    return _linear(_inverse_real_dft(height, height - kh + 1), 2, jnp.swapaxes(columns, 1, 2))


def _spectrum(x: Array, height: int, width: int) -> tuple[Array, Array]:
    """Real and imaginary part, [width, height // 2 + 1, ...], of the DFT of x [h, w, ...] filled up with zeros."""
    rows = jnp.swapaxes(_linear(_real_dft(height, x.shape[0]), 1, x), 1, 2)
    transform = _complex_dft(width, x.shape[1])
    return _linear(transform[0], 2, rows), _linear(transform[1], 2, rows)


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _linear(matrix: ArrayLike, n: int, x: Array) -> Array:
    """Contracts the last n axes of a constant matrix with the first n of x.

    Its own gradient only because JAX would put the matrix last, which leaves the contracted axes last, too, and moves
    every number of the gradient one by one (conv2: 1.9 s instead of 1.1 s). No argument that is differentiated is
    shared here, so vmap cannot go wrong.
    """
    return jnp.tensordot(jnp.asarray(matrix, x.dtype), x, n)


def _linear_forward(matrix: ArrayLike, n: int, x: Array) -> tuple[Array, ArrayLike]:
    return _linear(matrix, n, x), matrix


def _linear_backward(n: int, matrix: ArrayLike, gradient: Array) -> tuple[None, Array]:
    outputs = matrix.ndim - n
    transposed = jnp.moveaxis(matrix, range(outputs), range(n, matrix.ndim))
    return None, _linear(transposed, outputs, gradient)


_linear.defvjp(_linear_forward, _linear_backward)


def _angles(frequencies: int, points: int, length: int) -> np.ndarray:
    """Angles [frequencies, length] of a DFT of so many points; the remainder keeps them exact."""
    return 2 * np.pi / points * (np.outer(np.arange(frequencies), np.arange(length)) % points)


def _real_dft(points: int, length: int) -> np.ndarray:
    """[2, points // 2 + 1, length]: real numbers to the real and imaginary part of half the frequencies."""
    angles = _angles(points // 2 + 1, points, length)
    return np.stack([np.cos(angles), -np.sin(angles)])


def _complex_dft(points: int, length: int) -> np.ndarray:
    """[2, points, 2, length]: real and imaginary part to real and imaginary part."""
    cos, sin = np.cos(_angles(points, points, length)), np.sin(_angles(points, points, length))
    return np.stack([np.stack([cos, sin], axis=1), np.stack([-sin, cos], axis=1)])


def _inverse_complex_dft(points: int, length: int) -> np.ndarray:
    """[2, length, 2, points]: the first `length` points of the inverse."""
    return _complex_dft(points, length).transpose(2, 3, 0, 1) / points


def _inverse_real_dft(points: int, length: int) -> np.ndarray:
    """[length, 2, points // 2 + 1]: likewise; every frequency that has a mirror image counts twice."""
    frequencies = np.arange(points // 2 + 1)
    weights = np.where((frequencies == 0) | (2 * frequencies == points), 1, 2) / points
    return (_real_dft(points, length) * weights[:, np.newaxis]).transpose(2, 0, 1)
