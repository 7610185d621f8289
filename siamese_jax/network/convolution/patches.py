"""The convolution of an image with few channels: XLA's value; the kernel's gradient from patches, image by image."""

import jax
import jax.numpy as jnp
from jax import Array, lax


def by_xla(image: Array, kernel: Array) -> Array:
    """The same by XLA's own convolution, whose gradients are its own as well."""
    return lax.conv_general_dilated(image[None], kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))[0]


@jax.custom_vjp
def correlate(image: Array, kernel: Array) -> Array:
    """Correlate an image [H, W, C] with a kernel [kh, kw, C, F] where it fits: [H - kh + 1, W - kw + 1, F], float32.

    Under vmap with a shared kernel the gradient is one product an image, [kh·kw·C, F], and their sum. That is quicker
    than one product over the batch, which does not fit into a cache, and small where channels are few.
    """
    return by_xla(image, kernel)


def _forward(image: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return correlate(image, kernel), (image, kernel)


def _backward(saved: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    image, kernel = saved
    (kh, kw, channels, filters), (rows, columns, _) = kernel.shape, gradient.shape
    # Every channel's patches lie in rows as the image has them: no number is moved one by one.
    planes = jnp.moveaxis(image, -1, 0)
    patches = jnp.stack([planes[:, i : i + rows, j : j + columns] for i in range(kh) for j in range(kw)])
    of_kernel = patches.reshape(kh * kw * channels, rows * columns) @ gradient.reshape(rows * columns, filters)
    spread = jnp.pad(gradient, ((kh - 1, kh - 1), (kw - 1, kw - 1), (0, 0)))
    of_image = by_xla(spread, jnp.swapaxes(kernel[::-1, ::-1], 2, 3))
    return of_image, of_kernel.reshape(kernel.shape)


correlate.defvjp(_forward, _backward)
