"""An experiment: all of its specs."""

from dataclasses import dataclass, field
from typing import Literal

from siamese_jax.specs.data import DataSpec, DistortSpec, Omniglot
from siamese_jax.specs.evaluation import EvalSpec
from siamese_jax.specs.fields import OrZero
from siamese_jax.specs.network import NetSpec
from siamese_jax.specs.training import CrossEntropy, LossSpec, OptimizerSpec, PaperSGD

DESCRIPTION = ("name", "summary", "cost_cpu", "cost_gpu", "expected")
"""The fields of an experiment that describe it and do not change its result."""


@dataclass(frozen=True)
class Experiment:
    """One experiment: everything that determines its result, and what to expect of it."""

    name: str
    summary: str
    cost_cpu: str
    cost_gpu: str
    expected: str
    method: Literal["siamese", "baselines"] = "siamese"
    """`siamese`: train and evaluate a network. `baselines`: evaluate untrained baselines."""
    data: DataSpec = field(default_factory=Omniglot)
    distort: DistortSpec = field(default_factory=DistortSpec)
    network: NetSpec = field(default_factory=NetSpec)
    loss: LossSpec = field(default_factory=CrossEntropy)
    optimizer: OptimizerSpec = field(default_factory=PaperSGD)
    evaluation: EvalSpec = field(default_factory=EvalSpec)
    start_from: str = ""
    """Fine-tuning: the trained network to start from, "best" or the folder of a run. Empty: random parameters."""
    seed: OrZero = 0
    batch_size: int = 128
    """Pairs in a batch; the size of a grid batch is set in `data`."""
    max_epochs: int = 200
    patience: int = 20
    """Training stops after so many epochs without an improvement of one-shot accuracy on validation."""
    checkpoint_minutes: float = 10.0
    """Longest training time between two checkpoints. The end of every epoch has one, too."""
    log_steps: int = 50
    """Steps that one line of metrics.jsonl averages over."""
