"""The paper's update, per layer: v ← −η (∇ + 2λw) + μ v, w ← w + v (section 3.2; its printed penalty sign is a slip).

The velocity contains the learning rate, so a rate that decays does not shrink what is already moving. η decays by a
factor every epoch; μ rises linearly, epoch by epoch, from a common start to the layer's own.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from siamese_jax.specs import LayerSpec, OptimizerSpec, UserError


def learning_rate(layer: LayerSpec, spec: OptimizerSpec, epoch: Array | int) -> Array:
    """Returns η of a layer in `epoch`, counted from 0."""
    return layer.learning_rate * spec.decay ** jnp.asarray(epoch, jnp.float32)


def momentum(layer: LayerSpec, spec: OptimizerSpec, epoch: Array | int) -> Array:
    """Returns μ of a layer in `epoch`, counted from 0: linear over `momentum_epochs`."""
    risen = jnp.minimum(jnp.asarray(epoch, jnp.float32) / spec.momentum_epochs, 1.0) if spec.momentum_epochs else 1.0
    return spec.initial_momentum + (layer.momentum - spec.initial_momentum) * risen


def make_optimizer(spec: OptimizerSpec, steps_per_epoch: int) -> optax.GradientTransformation:
    """Returns the paper's optimizer for params of the form {layer: {name: array}}.

    Its init raises UserError unless every layer has a rule and every rule a layer.
    """

    def labels(params: dict[str, Any]) -> dict[str, Any]:
        missing, unused = sorted(set(params) - set(spec.layers)), sorted(set(spec.layers) - set(params))
        if missing or unused:
            raise UserError(
                f"optimizer.layers must name the network's layers, {sorted(params)}: missing {missing}, "
                f"unused {unused}; take an experiment that is registered with this network.tower (--list shows all)"
            )
        return {layer: dict.fromkeys(values, layer) for layer, values in params.items()}

    rules = {name: _layer_update(layer, spec, steps_per_epoch) for name, layer in spec.layers.items()}
    return optax.partition(rules, labels)


def _layer_update(layer: LayerSpec, spec: OptimizerSpec, steps_per_epoch: int) -> optax.GradientTransformation:
    def penalised(params: dict[str, Any]) -> dict[str, Any]:
        return jax.tree.map_with_path(lambda path, _: spec.l2_on_biases or path[-1].key != "bias", params)

    return optax.chain(
        optax.add_decayed_weights(2 * layer.l2, mask=penalised),
        optax.scale_by_learning_rate(lambda step: learning_rate(layer, spec, step // steps_per_epoch)),
        optax.inject_hyperparams(optax.trace)(decay=lambda step: momentum(layer, spec, step // steps_per_epoch)),
    )
