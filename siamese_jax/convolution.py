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

    `image` [H, W, C], `kernel` [kh, kw, C, F], of one dtype, float32 or bfloat16 -> [H', W', F] of that dtype:
    H' = H - kh + 1 for "VALID", H for "SAME". ValueError if the padding is another or a VALID kernel exceeds the image.
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
    return (_fourier if path_for(image.shape, kernel.shape) == "fourier" else _xla)(image, kernel)


def path_for(image_shape: tuple[int, ...], kernel_shape: tuple[int, ...]) -> Literal["xla", "fourier"]:
    """Returns how a padded image [H, W, C] meets a kernel [kh, kw, C, F]: on a CPU by whichever multiplies less often.

    GPUs and TPUs have fast gradients of their own: XLA's. On a CPU, "fourier" where the direct sum would take more
    multiplications than the spectra. Times in ms of value and gradients (* of the kernel only) on two busy CPU cores,
    the paths in turn, and that ratio:

        image        kernel        images  ratio    xla  fourier  patches
        105×105×1    10×10 ->  64*     64   0.26    635     1147      990   conv1
         48×48×64     7×7  -> 128      64   7.4   12400     1000        -   conv2, on a quiet machine
        21×21×128     4×4  -> 128      64   4.5    1512      356     1084   conv3
          9×9×128     4×4  -> 256      64   3.5     244      123      171   conv4
          35×35×1     4×4  ->  32*    256   0.12     64      208       92   conv1 to conv4 at 35×35
         16×16×32     3×3  ->  64     256   1.6     177      122      155
           7×7×64     2×2  ->  64     256   1.2      21       19       15
           3×3×64     2×2  -> 128     256   0.78    3.9      5.2      3.2
          30×30×1     3×3  ->  64*    160   0.08     18      158       43   "SAME" at 28×28, 64 filters
         16×16×64     3×3  ->  64     160   2.0     153      104      177
           9×9×64     3×3  ->  64     160   2.1      36       20       44
           5×5×64     3×3  ->  64     160   1.4     6.6      5.3      4.7
          50×50×3     3×3  ->  64*    160   0.15    191      631      261   "SAME" at 48×48, colours and 64 channels
         50×50×64     3×3  ->  64     160   1.3    2564     1437     2187
         30×30×16     3×3  ->  32      64   0.74     24       44       65
          32×32×8     5×5  ->  32      64   1.1      77       41       92
         15×15×64     2×2  ->  64     160   1.1      63       96       86
         14×14×64     1×1  ->  64     160   0.31     35       92       16

    "patches" is one product with all patches as its rows. It is left out, as it gains only where a layer is quick; a
    sum of kh·kw products of shifted images is slower than one of the others everywhere.
    """
    (height, width, channels), (kh, kw, _, filters) = image_shape, kernel_shape
    direct = (height - kh + 1) * (width - kw + 1) * kh * kw * channels * filters
    frequencies = width * (height // 2 + 1)
    products = 3 * frequencies * channels * filters
    transforms = 2 * frequencies * (height + 2 * width) * (channels + filters)
    return "fourier" if jax.default_backend() == "cpu" and products + transforms < direct else "xla"


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
    exact = jnp.promote_types(image.dtype, jnp.float32)  # spectra need more than bfloat16's 8 bits
    value = _by_spectra(image.astype(exact), kernel.astype(exact)).astype(image.dtype)
    # Blank paper gives 0 with any kernel. Out of the spectra comes ±1e-7, half of which a ReLU without bias lets pass,
    # and its gradient, too. The convolution is linear: its own gradient stays what it is.
    return value - lax.stop_gradient(jnp.where(_blank(image, *kernel.shape[:2])[..., None], value, 0))


def _blank(image: Array, kh: int, kw: int) -> Array:
    """Whether all of the patch [kh, kw, C] that a kernel sees is exactly 0: bool [H - kh + 1, W - kw + 1]."""
    return ~lax.reduce_window(jnp.any(image != 0, axis=-1), False, lax.bitwise_or, (kh, kw), (1, 1), "VALID")


def _by_spectra(image: Array, kernel: Array) -> Array:
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
