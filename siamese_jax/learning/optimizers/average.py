"""The running mean of the weights (Polyak and Juditsky 1992)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array


class Averaged(NamedTuple):
    """The state of an optimizer that keeps the running mean of the weights; `count` [] int32 of updates."""

    inner: Any
    mean: Any
    count: Array


def kept_params(params: Any, opt_state: Any) -> Any:
    """Return the parameters that are validated and kept: their running mean if the optimizer has one."""
    return opt_state.mean if isinstance(opt_state, Averaged) else params


def averaging(inner: optax.GradientTransformation, decay: float) -> optax.GradientTransformation:
    """Return `inner` with the running mean of the weights after each of its updates.

    The first updates decay faster, by (1 + t) / (10 + t) after t updates, to forget the initial weights.
    """

    def init(params: Any) -> Averaged:
        # Copies, since the whole state is donated, and no buffer can be donated twice.
        return Averaged(inner.init(params), jax.tree.map(jnp.copy, params), jnp.int32(0))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Averaged]:
        updates, inner_state = inner.update(updates, state.inner, params)
        kept = jnp.minimum(decay, (1.0 + state.count) / (10.0 + state.count))
        mean = jax.tree.map(
            lambda mean, new: kept * mean + (1.0 - kept) * new, state.mean, optax.apply_updates(params, updates)
        )
        return updates, Averaged(inner_state, mean, state.count + 1)

    return optax.GradientTransformation(init, update)
