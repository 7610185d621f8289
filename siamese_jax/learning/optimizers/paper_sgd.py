"""The paper's optimizer (section 3.2), with one rule per layer: v ← −η (∇ + 2λw) + μ v, w ← w + v.

The printed sign of the penalty is a slip. The velocity contains the learning rate, so a decaying rate does not shrink
the velocity that was gained before. η decays by a factor every epoch; μ rises linearly, epoch by epoch, from a common
start to the layer's own value.
"""

from collections.abc import Hashable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.typing import ArrayLike

from siamese_jax.learning.optimizers.rules import assign
from siamese_jax.specs import LayerSpec, PaperSGD

INPUTS = ("decay", "initial_momentum")
"""Fields that are factors in an update, beside those of the layers."""


def learning_rate(layer: LayerSpec, spec: PaperSGD, epoch: Array | int) -> Array:
    """Return η of a layer in `epoch`, counted from 0."""
    return layer.learning_rate * spec.decay ** jnp.asarray(epoch, jnp.float32)


def momentum(layer: LayerSpec, spec: PaperSGD, epoch: Array | int) -> Array | float:
    """Return μ of a layer in `epoch`, counted from 0: linear over `momentum_epochs`."""
    risen = jnp.minimum(jnp.asarray(epoch, jnp.float32) / spec.momentum_epochs, 1.0) if spec.momentum_epochs else 1.0
    return spec.initial_momentum + (layer.momentum - spec.initial_momentum) * risen


def rates(
    spec: PaperSGD, epoch: int, steps_per_epoch: int, epochs: int, last_layer: str | None
) -> dict[str, Array | float]:
    """Return the learning rates and momenta in `epoch`, by the names that they are logged under."""
    return {f"learning_rate/{name}": learning_rate(rule, spec, epoch) for name, rule in spec.layers.items()} | {
        f"momentum/{name}": momentum(rule, spec, epoch) for name, rule in spec.layers.items()
    }


def penalty(params: Any, spec: PaperSGD) -> Array:
    """Return Σ λ ‖w‖² over the layers; the optimizer adds its gradient, 2λw."""
    total = jnp.float32(0.0)
    rules = jax.tree.leaves(assign(params, spec.layers))
    for (path, value), rule in zip(jax.tree.leaves_with_path(params), rules, strict=True):
        if _is_penalised(path, spec):
            total += spec.layers[rule].l2 * jnp.sum(jnp.square(value))
    return total


def make(spec: PaperSGD, steps_per_epoch: int, epochs: int, last_layer: str | None) -> optax.GradientTransformation:
    """Return the optimizer; its init raises UserError unless every parameter has a rule and every rule a parameter."""
    rules: dict[Hashable, optax.GradientTransformation] = {
        name: _layer_update(layer, spec, steps_per_epoch) for name, layer in spec.layers.items()
    }
    return optax.partition(rules, lambda params: assign(params, spec.layers))


def _layer_update(layer: LayerSpec, spec: PaperSGD, steps_per_epoch: int) -> optax.GradientTransformation:
    def penalised(params: Any) -> Any:
        return jax.tree.map_with_path(lambda path, _: _is_penalised(path, spec), params)

    def epoch(step: ArrayLike) -> Array:
        return jnp.asarray(step) // steps_per_epoch

    return optax.chain(
        optax.add_decayed_weights(2 * layer.l2, mask=penalised),
        optax.scale_by_learning_rate(lambda step: learning_rate(layer, spec, epoch(step))),
        optax.inject_hyperparams(optax.trace)(decay=lambda step: momentum(layer, spec, epoch(step))),
    )


def _is_penalised(path: tuple[Any, ...], spec: PaperSGD) -> bool:
    return spec.l2_on_biases or path[-1].key != "bias"
