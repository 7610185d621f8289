"""A constant matrix times an array, with a gradient that moves no number twice."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def linear(matrix: ArrayLike, n: int, x: Array) -> Array:
    """Contract the last n axes of a constant matrix with the first n of x.

    Its own gradient only because JAX would put the matrix last, which leaves the contracted axes last, too, and moves
    every number of the gradient one by one (conv2: 1.9 s instead of 1.1 s). No argument that is differentiated is
    shared here, so vmap cannot go wrong.
    """
    return jnp.tensordot(jnp.asarray(matrix, x.dtype), x, n)


def _forward(matrix: ArrayLike, n: int, x: Array) -> tuple[Array, ArrayLike]:
    return linear(matrix, n, x), matrix


def _backward(n: int, matrix: ArrayLike, gradient: Array) -> tuple[None, Array]:
    outputs = matrix.ndim - n
    transposed = jnp.moveaxis(matrix, range(outputs), range(n, matrix.ndim))
    return None, linear(transposed, outputs, gradient)


linear.defvjp(_forward, _backward)
