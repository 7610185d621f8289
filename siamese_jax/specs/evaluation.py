"""How a network is evaluated."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class EvalSpec:
    """How a network is judged (paper, sections 4.2 and 4.3)."""

    n_way: int = 20
    k_shot: int = 1
    combine: Literal["mean_score", "best_score", "mean_embedding"] = "mean_score"
    """What a class of several supports scores: the mean or the best of their logits, or the logit of their mean
    embedding."""
    validation_trials: int = 320
    random_trials: int = 10_000
    mnist: bool = True
    """Whether trials of MNIST digits are measured as well, which takes MNIST's archives, or a download of 12 MB."""
    views: int = 1
    """From 2: each image is also embedded as the mean over so many views, itself and affine distortions of it, and what
    that reaches is reported apart."""
    embed_batch: int = 100
    """Images embedded at a time; a matter of memory, not of results."""
