"""An experiment: all of its specs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from siamese_jax.specs.data import DataSpec, DistortSpec
from siamese_jax.specs.evaluation import EvalSpec
from siamese_jax.specs.fields import leaves
from siamese_jax.specs.network import NetSpec
from siamese_jax.specs.training import LossSpec, OptimizerSpec


@dataclass(frozen=True)
class Experiment:
    """One experiment: everything that decides its result, and what to expect of it."""

    name: str
    summary: str
    cost_cpu: str
    cost_gpu: str
    expected: str
    method: Literal["siamese", "baselines"] = "siamese"
    """`siamese`: a network is trained and measured. `baselines`: comparisons that learn nothing are."""
    data: DataSpec = field(default_factory=DataSpec)
    distort: DistortSpec = field(default_factory=DistortSpec)
    network: NetSpec = field(default_factory=NetSpec)
    loss: LossSpec = field(default_factory=LossSpec)
    optimizer: OptimizerSpec = field(default_factory=OptimizerSpec)
    evaluation: EvalSpec = field(default_factory=EvalSpec)
    seed: int = 0
    batch_size: int = 128
    """Pairs of a batch; a grid batch has its own measures in `data`."""
    max_epochs: int = 200
    patience: int = 20
    """Epochs without a gain in validation one-shot accuracy after which training stops."""
    checkpoint_minutes: float = 10.0
    """Longest training time between two checkpoints; one is always made at the end of an epoch."""
    log_steps: int = 50
    """Steps that one line of metrics.jsonl averages over."""


DESCRIPTION = ("name", "summary", "cost_cpu", "cost_gpu", "expected")
"""The fields of an Experiment that describe it and decide nothing."""


def completed(written: Mapping[str, Any]) -> dict[str, Any]:
    """Returns fields that were written by dotted name, with those that are newer: a default is what was done before."""
    by_default = dict(leaves(Experiment(**dict.fromkeys(DESCRIPTION, ""))))
    return {name: value for name, value in by_default.items() if name not in DESCRIPTION} | dict(written)
