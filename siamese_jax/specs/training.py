"""Training: the loss that it minimises, and the optimizer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from siamese_jax.specs.fields import BelowOne, OrZero, Share, Variant


class LossSpec(Variant):
    """What training minimises, apart from the optimizer's penalty."""

    variants: ClassVar[dict[str, type["LossSpec"]]] = {}
    of_grids: ClassVar[bool] = False
    """Whether batches are grids (`data.batch_alphabets` and so on) instead of `batch_size` pairs. The images of a grid
    are embedded once and then compared with each other."""
    of_distances: ClassVar[bool] = False
    """Whether it trains distances instead of p(same)."""


@dataclass(frozen=True)
class CrossEntropy(LossSpec):
    """Cross-entropy of p(same), the paper's loss."""

    name = "cross_entropy"


@dataclass(frozen=True)
class Contrastive(LossSpec):
    """Squared distances of "same" pairs, and squared shortfalls from a margin of others (Hadsell et al. 2006)."""

    name = "contrastive"
    of_distances = True
    margin: float = 1.0
    """The distance that "different" pairs should have."""


@dataclass(frozen=True)
class Triplet(LossSpec):
    """Distances that differ by a margin (Schroff et al. 2015).

    The two images of a "same" pair should be closer to each other than those of a "different" pair, by a margin. The
    two pairs share one image.
    """

    name = "triplet"
    of_distances = True
    margin: float = 1.0
    """The difference that the two distances should have."""


@dataclass(frozen=True)
class AllPairs(LossSpec):
    """Cross-entropy of p(same) of every pair in a grid; "same" and "different" pairs weigh half each."""

    name = "all_pairs"
    of_grids = True


@dataclass(frozen=True)
class NWay(LossSpec):
    """N-way softmax loss: each image of a grid chooses its character among the images of one other drawer."""

    name = "n_way"
    of_grids = True


@dataclass(frozen=True)
class LayerSpec:
    """What the paper sets per layer (section 3.2): the learning rate η, the final momentum μ, and the penalty λ."""

    learning_rate: float
    momentum: Share
    l2: float


@dataclass(frozen=True, kw_only=True)
class OptimizerSpec(Variant):
    """How parameters are updated."""

    variants: ClassVar[dict[str, type["OptimizerSpec"]]] = {}
    average: BelowOne = 0.0
    """Decay per step of the running mean of the weights (Polyak and Juditsky 1992). The mean is validated, kept and
    evaluated in place of the weights; 0 switches it off."""

    @property
    def over_all_epochs(self) -> bool:
        """Whether a rate depends on `max_epochs`; if so, a finished run cannot be extended."""
        return False


@dataclass(frozen=True)
class PaperSGD(OptimizerSpec):
    """Stochastic gradient descent with momentum and one rule per layer (paper, section 3.2)."""

    name = "paper"
    layers: Mapping[str, LayerSpec] = field(default_factory=dict)
    """The rules. A rule is named by the path of a layer, with "/" between its parts. It applies to all parameters below
    that path. Every parameter needs exactly one rule, and every rule a parameter."""
    decay: Share = 0.99
    """Factor on every learning rate, once per epoch."""
    initial_momentum: Share = 0.5
    momentum_epochs: OrZero = 10
    """Epochs over which momentum rises from `initial_momentum` to that of each layer. The paper does not say."""
    l2_on_biases: bool = False
    """Whether the penalty includes biases. The paper does not say."""


@dataclass(frozen=True)
class AdamW(OptimizerSpec):
    """AdamW (Loshchilov and Hutter 2019), with one rule for all layers, apart from `fc_rate`."""

    name = "adamw"
    rate: float = 2e-3
    """The highest learning rate."""
    fc_rate: float = 1.0
    """Multiplies the rate in the tower's last layer, `fc`. Use a value below 1 if a sigmoid layer with thousands of
    inputs saturates."""
    schedule: Literal["constant", "cosine", "one_cycle"] = "one_cycle"
    """How the rate changes over all `max_epochs`: `cosine` falls to zero, `one_cycle` rises first (Smith and Topin
    2019)."""
    warmup: BelowOne = 0.25
    """The share of all steps in which `one_cycle` rises."""
    weight_decay: float = 1e-2
    """On kernels only."""
    clip: float = 0.0
    """Largest norm of the gradient; a larger gradient is scaled down to it. 0 switches it off."""

    @property
    def over_all_epochs(self) -> bool:
        """Whether a rate depends on `max_epochs`; if so, a finished run cannot be extended."""
        return self.schedule != "constant"
