"""A constant matrix times an array, with a gradient that is fast on a CPU."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array


def linear(matrix: np.ndarray | Array, n: int, x: Array) -> Array:
    """Contract the last n axes of a constant matrix with the first n of x.

    It has its own gradient, because JAX's puts the contracted axes last and then transposes the result number by number
    (conv2: 1.9 s instead of 1.1 s). The argument that is differentiated is never shared under vmap, so no sum over the
    batch is missing.

    Args:
        matrix: a constant; it has no gradient.
        n: the number of axes to contract.
        x: any array whose first n axes fit.
    """
    return _contract(matrix, n, x)


def _value(matrix: np.ndarray | Array, n: int, x: Array) -> Array:
    return jnp.tensordot(jnp.asarray(matrix, x.dtype), x, n)


def _forward(matrix: np.ndarray | Array, n: int, x: Array) -> tuple[Array, np.ndarray | Array]:
    return linear(matrix, n, x), matrix


def _backward(n: int, matrix: np.ndarray | Array, gradient: Array) -> tuple[None, Array]:
    outputs = matrix.ndim - n
    transposed = jnp.moveaxis(matrix, range(outputs), range(n, matrix.ndim))
    return None, linear(transposed, outputs, gradient)


_contract = jax.custom_vjp(_value, nondiff_argnums=(1,))
_contract.defvjp(_forward, _backward)
