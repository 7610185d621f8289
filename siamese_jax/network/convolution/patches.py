"""Convolution of images with few channels: XLA's value, and the kernel's gradient from patches of each image."""

import jax
import jax.numpy as jnp
from jax import Array, lax


def by_xla(image: Array, kernel: Array) -> Array:
    """The same with `lax.conv_general_dilated`, value and gradients."""
    return lax.conv_general_dilated(image[None], kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))[0]


@jax.custom_vjp
def correlate(image: Array, kernel: Array) -> Array:
    """Correlate an image with a kernel, without padding.

    Under vmap with a shared kernel, the gradient is one product per image, [kh·kw·C, F], and the sum of these. They are
    small if there are few channels, and faster than one product over the batch, which does not fit into a cache.

    Args:
        image: [H, W, C], float32.
        kernel: [kh, kw, C, F], float32.

    Returns:
        [H - kh + 1, W - kw + 1, F].
    """
    return by_xla(image, kernel)


def _forward(image: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return correlate(image, kernel), (image, kernel)


def _backward(saved: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    image, kernel = saved
    (kh, kw, channels, filters), (rows, columns, _) = kernel.shape, gradient.shape
    # The patches of each channel lie in rows, as in the image, so numbers are copied row by row.
    planes = jnp.moveaxis(image, -1, 0)
    patches = jnp.stack([planes[:, i : i + rows, j : j + columns] for i in range(kh) for j in range(kw)])
    of_kernel = patches.reshape(kh * kw * channels, rows * columns) @ gradient.reshape(rows * columns, filters)
    spread = jnp.pad(gradient, ((kh - 1, kh - 1), (kw - 1, kw - 1), (0, 0)))
    of_image = by_xla(spread, jnp.swapaxes(kernel[::-1, ::-1], 2, 3))
    return of_image, of_kernel.reshape(kernel.shape)


correlate.defvjp(_forward, _backward)
