"""AdamW (Loshchilov and Hutter 2019) with a factor on the rate of the tower's last layer."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.typing import ArrayLike

from siamese_jax.learning.optimizers.rules import is_below, path_of
from siamese_jax.specs import AdamW

INPUTS = ("rate", "fc_rate", "weight_decay")
"""Fields that are factors in an update."""


def rate_at(spec: AdamW, total_steps: int, step: ArrayLike) -> Array:
    """Return the learning rate at `step` of `total_steps`, counted from 0."""
    highest = jnp.float32(spec.rate)
    if spec.schedule == "cosine":
        return highest * optax.cosine_decay_schedule(1.0, total_steps)(step)
    if spec.schedule == "one_cycle":
        return highest * optax.cosine_onecycle_schedule(total_steps, 1.0, spec.warmup)(step)
    return highest


def rates(spec: AdamW, epoch: int, steps_per_epoch: int, epochs: int, last_layer: str | None) -> dict[str, Array]:
    """Return the learning rates at the end of `epoch`, by the names that they are logged under."""
    rate = rate_at(spec, epochs * steps_per_epoch, (epoch + 1) * steps_per_epoch - 1)
    of_last = {} if last_layer is None else {f"learning_rate/{last_layer}": spec.fc_rate * rate}
    return {"learning_rate": rate, **of_last}


def penalty(params: Any, spec: AdamW) -> Array:
    """Return 0: the weight decay is not part of the loss."""
    return jnp.float32(0.0)


def make(spec: AdamW, steps_per_epoch: int, epochs: int, last_layer: str | None) -> optax.GradientTransformation:
    """Return the optimizer; weight decay is on kernels only."""

    def kernels(params: Any) -> Any:
        return jax.tree.map_with_path(lambda path, _: path[-1].key == "kernel", params)

    def factors(updates: Any) -> Any:
        def scaled(path: tuple[Any, ...], update: Array) -> Array:
            return update * spec.fc_rate if last_layer is not None and is_below(path_of(path), last_layer) else update

        return jax.tree.map_with_path(scaled, updates)

    rate = optax.adamw(
        lambda step: rate_at(spec, epochs * steps_per_epoch, step), weight_decay=spec.weight_decay, mask=kernels
    )
    clip = [optax.clip_by_global_norm(spec.clip)] if spec.clip else []
    return optax.chain(*clip, rate, optax.stateless(lambda updates, _: factors(updates)))
