"""What an experiment is: frozen dataclasses of plain values, no defaults hidden anywhere else.

Every number that decides a result is a field here, so it is printed, written to
`experiment.json` and can be overridden by its dotted name
(`--optimizer.layers.conv1.learning_rate=0.02`). Lengths are pixels, angles degrees, rates per step.
"Paper" is Koch, Zemel and Salakhutdinov (2015).
"""

from siamese_jax.specs.data import SIDE, DataSpec, DistortSpec
from siamese_jax.specs.evaluation import EvalSpec
from siamese_jax.specs.experiment import DESCRIPTION, Experiment, completed
from siamese_jax.specs.fields import check, leaves, with_value
from siamese_jax.specs.network import ConvSpec, NetSpec
from siamese_jax.specs.training import LayerSpec, LossSpec, OptimizerSpec

__all__ = [
    "DESCRIPTION",
    "SIDE",
    "ConvSpec",
    "DataSpec",
    "DistortSpec",
    "EvalSpec",
    "Experiment",
    "LayerSpec",
    "LossSpec",
    "NetSpec",
    "OptimizerSpec",
    "check",
    "completed",
    "leaves",
    "with_value",
]
