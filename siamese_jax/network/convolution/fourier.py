"""Convolution by Fourier transforms, written as matrix products.

By the correlation theorem, a correlation is a product of spectra. The transforms are small matrices, not FFTs. At 48
points that is cheap, and any length is possible. Rows of padding, and rows that are not needed, are never computed. The
frequencies are the first axes of the results, as the product over channels needs them.
"""

from functools import partial

import jax.numpy as jnp
import numpy as np
from jax import Array

from siamese_jax.network.convolution.linear import linear


def correlate(image: Array, kernel: Array) -> Array:
    """Correlate an image with a kernel, without padding.

    Args:
        image: [H, W, C], float32.
        kernel: [kh, kw, C, F], float32.

    Returns:
        [H - kh + 1, W - kw + 1, F].

    Mathieu, Henaff and LeCun (2014), "Fast training of convolutional networks through FFTs".
    """
    (height, width, _), (kh, kw, _, _) = image.shape, kernel.shape
    # A circular correlation as long as the image is wrong only where the kernel wraps around: outside the VALID part.
    image_re, image_im = _spectrum(image, height, width)
    kernel_re, kernel_im = _spectrum(kernel, height, width)
    # The image times the conjugate of the kernel takes three real products (Gauss): a matrix product each.
    product = partial(jnp.einsum, "vuc,vuco->vuo")
    p, q = product(image_re, kernel_re), product(image_im, kernel_im)
    r = product(image_re + image_im, kernel_re - kernel_im)
    columns = linear(_inverse_complex_dft(width, width - kw + 1), 2, jnp.stack([p + q, r - p + q]))
    return linear(_inverse_real_dft(height, height - kh + 1), 2, jnp.swapaxes(columns, 1, 2))


def multiplications(image_shape: tuple[int, ...], kernel_shape: tuple[int, ...]) -> int:
    """Return the number of real multiplications for the value of one image, with all transforms."""
    (height, width, channels), (_, _, _, filters) = image_shape, kernel_shape
    frequencies = width * (height // 2 + 1)
    return 3 * frequencies * channels * filters + 2 * frequencies * (height + 2 * width) * (channels + filters)


def _spectrum(x: Array, height: int, width: int) -> tuple[Array, Array]:
    """Return both parts, [width, height // 2 + 1, ...] each, of the DFT of x [h, w, ...], padded with zeros."""
    rows = jnp.swapaxes(linear(_real_dft(height, x.shape[0]), 1, x), 1, 2)
    transform = _complex_dft(width, x.shape[1])
    return linear(transform[0], 2, rows), linear(transform[1], 2, rows)


def _angles(frequencies: int, points: int, length: int) -> np.ndarray:
    """Return the angles [frequencies, length] of a DFT of `points` points; taking the remainder keeps them exact."""
    return 2 * np.pi / points * (np.outer(np.arange(frequencies), np.arange(length)) % points)


def _real_dft(points: int, length: int) -> np.ndarray:
    """Return [2, points // 2 + 1, length], from real numbers to the real and imaginary part of half the frequencies."""
    angles = _angles(points // 2 + 1, points, length)
    return np.stack([np.cos(angles), -np.sin(angles)])


def _complex_dft(points: int, length: int) -> np.ndarray:
    """Return [2, points, 2, length], from real and imaginary parts to real and imaginary parts."""
    cos, sin = np.cos(_angles(points, points, length)), np.sin(_angles(points, points, length))
    return np.stack([np.stack([cos, sin], axis=1), np.stack([-sin, cos], axis=1)])


def _inverse_complex_dft(points: int, length: int) -> np.ndarray:
    """Return [2, length, 2, points], the inverse, for its first `length` points."""
    return _complex_dft(points, length).transpose(2, 3, 0, 1) / points


def _inverse_real_dft(points: int, length: int) -> np.ndarray:
    """Return [length, 2, points // 2 + 1], the inverse to real numbers; frequencies with a mirror image count twice."""
    frequencies = np.arange(points // 2 + 1)
    weights = np.where((frequencies == 0) | (2 * frequencies == points), 1, 2) / points
    return (_real_dft(points, length) * weights[:, np.newaxis]).transpose(2, 0, 1)
