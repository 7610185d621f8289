"""Optimizers: what turns gradients into updates. There is one file per optimizer.

The file of an optimizer defines `make`, `rates`, `penalty` and `INPUTS`; see the functions here that use them.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import optax
from jax import Array

from siamese_jax.learning.optimizers import adamw, paper_sgd
from siamese_jax.learning.optimizers.average import Averaged, averaging, kept_params
from siamese_jax.specs import AdamW, Experiment, OptimizerSpec, PaperSGD, leaves, with_value

__all__ = ["OPTIMIZERS", "Averaged", "kept_params", "make_optimizer", "penalty", "rates", "rates_of", "with_rates"]

OPTIMIZERS: dict[type[OptimizerSpec], ModuleType] = {PaperSGD: paper_sgd, AdamW: adamw}


def make_optimizer(experiment: Experiment, steps_per_epoch: int) -> optax.GradientTransformation:
    """Return the optimizer of an experiment, for parameters that nest to any depth.

    Args:
        experiment: its optimizer, `max_epochs` and the tower's last layer are used.
        steps_per_epoch: updates in an epoch.

    Returns:
        A transformation. Its `init` raises UserError if the rules do not fit the parameters.
    """
    spec, last_layer = experiment.optimizer, experiment.network.tower.last_layer
    inner = OPTIMIZERS[type(spec)].make(spec, steps_per_epoch, experiment.max_epochs, last_layer)
    return averaging(inner, spec.average) if spec.average else inner


def rates(experiment: Experiment, epoch: int, steps_per_epoch: int) -> dict[str, Array | float]:
    """Return the learning rates and momenta at the end of `epoch`, counted from 0, by the names that are logged."""
    spec, last_layer = experiment.optimizer, experiment.network.tower.last_layer
    return OPTIMIZERS[type(spec)].rates(spec, epoch, steps_per_epoch, experiment.max_epochs, last_layer)


def penalty(params: Any, spec: OptimizerSpec) -> Array:
    """Return the penalty [] on the parameters that the optimizer minimises with the loss."""
    return OPTIMIZERS[type(spec)].penalty(params, spec)


def rates_of(spec: OptimizerSpec) -> dict[str, Array]:
    """Return the fields that are factors in an update, float32 [] by dotted name: the inputs of a training program."""
    names = OPTIMIZERS[type(spec)].INPUTS
    return {name: jnp.float32(value) for name, value in leaves(spec) if name in names or name.startswith("layers.")}


def with_rates(spec: OptimizerSpec, rates: Mapping[str, Array]) -> OptimizerSpec:
    """Return the spec with those fields replaced by `rates`, which may be traced."""
    for name, value in rates.items():
        spec = with_value(spec, name, value)
    return spec
