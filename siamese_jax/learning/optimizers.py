"""The paper's update, or AdamW; and the running mean of the weights that either makes.

The paper's, per layer: v ← −η (∇ + 2λw) + μ v, w ← w + v (section 3.2; its printed penalty sign is a slip).

The velocity contains the learning rate, so a rate that decays does not shrink what is already moving. η decays by a
factor every epoch; μ rises linearly, epoch by epoch, from a common start to the layer's own.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from siamese_jax.errors import UserError
from siamese_jax.specs import LayerSpec, OptimizerSpec, with_value


def learning_rate(layer: LayerSpec, spec: OptimizerSpec, epoch: Array | int) -> Array:
    """Returns η of a layer in `epoch`, counted from 0."""
    return layer.learning_rate * spec.decay ** jnp.asarray(epoch, jnp.float32)


def momentum(layer: LayerSpec, spec: OptimizerSpec, epoch: Array | int) -> Array:
    """Returns μ of a layer in `epoch`, counted from 0: linear over `momentum_epochs`."""
    risen = jnp.minimum(jnp.asarray(epoch, jnp.float32) / spec.momentum_epochs, 1.0) if spec.momentum_epochs else 1.0
    return spec.initial_momentum + (layer.momentum - spec.initial_momentum) * risen


def adamw_rate(spec: OptimizerSpec, total_steps: int, step: Array | int) -> Array:
    """Returns AdamW's learning rate at `step` of `total_steps`, counted from 0."""
    highest = jnp.float32(spec.rate)
    if spec.schedule == "cosine":
        return highest * optax.cosine_decay_schedule(1.0, total_steps)(step)
    if spec.schedule == "one_cycle":
        return highest * optax.cosine_onecycle_schedule(total_steps, 1.0, spec.warmup)(step)
    return highest


def rates_of(spec: OptimizerSpec) -> dict[str, Array]:
    """Returns the fields that are factors in an update, float32 [] by dotted name: what a program takes as inputs."""
    factors = ("rate", "fc_rate", "weight_decay") if spec.name == "adamw" else ("decay", "initial_momentum")
    by_layer = {
        f"layers.{layer}.{name}": value for layer, rule in spec.layers.items() for name, value in vars(rule).items()
    }
    return {name: jnp.float32(value) for name, value in {**{n: getattr(spec, n) for n in factors}, **by_layer}.items()}


def with_rates(spec: OptimizerSpec, rates: Mapping[str, Array]) -> OptimizerSpec:
    """Returns the spec with such fields replaced by `rates`, which may be traced."""
    for name, value in rates.items():
        spec = with_value(spec, name, value)
    return spec


def rates(spec: OptimizerSpec, epoch: int, steps_per_epoch: int, epochs: int) -> dict[str, Array]:
    """Returns the rates, and momenta, at the end of `epoch`, counted from 0, by the names they are logged under."""
    if spec.name == "adamw":
        rate = adamw_rate(spec, epochs * steps_per_epoch, (epoch + 1) * steps_per_epoch - 1)
        return {"learning_rate": rate, "learning_rate/fc": spec.fc_rate * rate}
    return {f"learning_rate/{name}": learning_rate(rule, spec, epoch) for name, rule in spec.layers.items()} | {
        f"momentum/{name}": momentum(rule, spec, epoch) for name, rule in spec.layers.items()
    }


def make_optimizer(spec: OptimizerSpec, steps_per_epoch: int, epochs: int) -> optax.GradientTransformation:
    """Returns the optimizer of a spec for params of the form {layer: {name: array}}; AdamW's schedule has `epochs`.

    Its init raises UserError unless every layer has a rule and every rule a layer; AdamW has none.
    """
    inner = _adamw(spec, steps_per_epoch * epochs) if spec.name == "adamw" else _paper(spec, steps_per_epoch)
    return _averaging(inner, spec.average) if spec.average else inner


class Averaged(NamedTuple):
    """The state of an optimizer that keeps the running mean of the weights; `count` [] int32 of updates."""

    inner: Any
    mean: Any
    count: Array


def kept_params(params: Any, opt_state: Any) -> Any:
    """Returns the parameters that are validated and kept: their running mean where the optimizer has one."""
    return opt_state.mean if isinstance(opt_state, Averaged) else params


def _averaging(inner: optax.GradientTransformation, decay: float) -> optax.GradientTransformation:
    """Returns `inner` with the mean of the weights after each of its updates.

    Early on the decay is lower, (1 + t) / (10 + t) after t updates: the start is soon forgotten.
    """

    def init(params: Any) -> Averaged:
        # Copies, since the state is donated whole, and no buffer can be given away twice.
        return Averaged(inner.init(params), jax.tree.map(jnp.copy, params), jnp.int32(0))

    def update(gradients: Any, state: Averaged, params: Any) -> tuple[Any, Averaged]:
        updates, inner_state = inner.update(gradients, state.inner, params)
        kept = jnp.minimum(decay, (1.0 + state.count) / (10.0 + state.count))
        mean = jax.tree.map(
            lambda mean, new: kept * mean + (1.0 - kept) * new, state.mean, optax.apply_updates(params, updates)
        )
        return updates, Averaged(inner_state, mean, state.count + 1)

    return optax.GradientTransformation(init, update)


def _adamw(spec: OptimizerSpec, total_steps: int) -> optax.GradientTransformation:
    def kernels(params: dict[str, Any]) -> dict[str, Any]:
        return jax.tree.map_with_path(lambda path, _: path[-1].key == "kernel", params)

    adamw = optax.adamw(lambda step: adamw_rate(spec, total_steps, step), weight_decay=spec.weight_decay, mask=kernels)
    adamw = optax.chain(optax.clip_by_global_norm(spec.clip), adamw) if spec.clip else adamw

    def init(params: dict[str, Any]) -> Any:
        if spec.layers:
            raise UserError(
                f"optimizer.layers has rules for {sorted(spec.layers)}, which optimizer.name=adamw does not use: "
                "take an experiment without"
            )
        return adamw.init(params)

    def update(gradients: dict[str, Any], state: Any, params: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        updates, state = adamw.update(gradients, state, params)
        factors = {name: spec.fc_rate if name == "fc" else 1.0 for name in updates}
        return {name: optax.tree.scale(factors[name], of_layer) for name, of_layer in updates.items()}, state

    return optax.GradientTransformation(init, update)


def _paper(spec: OptimizerSpec, steps_per_epoch: int) -> optax.GradientTransformation:

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
