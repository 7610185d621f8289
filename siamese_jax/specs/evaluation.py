"""How a trained network is evaluated."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class EvalSpec:
    """One-shot trials and how they are scored (paper, sections 4.2 and 4.3)."""

    n_way: int = 20
    k_shot: int = 1
    combine: Literal["mean_score", "best_score", "mean_embedding"] = "mean_score"
    """The score of a class with several supports: the mean or the best of their logits, or the logit of their mean
    embedding."""
    validation_trials: int = 320
    random_trials: int = 10_000
    mnist: bool = True
    """Whether to evaluate trials of MNIST digits, too. They need MNIST's archives, or a download of 12 MB."""
    baseline: bool = False
    """Whether to measure nearest neighbour on pixels on the random trials, beside the network."""
    views: int = 1
    """Test-time augmentation, from 2: embeddings are also averaged over the image and `views` - 1 distorted copies.
    These results are reported separately."""
    embed_batch: int = 100
    """Images embedded at a time. It changes the memory that is used, not the results."""
