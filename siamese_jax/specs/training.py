"""What training minimises, and how."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class LossSpec:
    """What training minimises, beside the penalty of the optimizer's rules."""

    name: Literal["cross_entropy", "contrastive", "triplet", "all_pairs", "n_way"] = "cross_entropy"
    """`cross_entropy` of p(same), the paper's. `contrastive`: Hadsell, Chopra and LeCun (2006). `triplet`: Schroff,
    Kalenichenko and Philbin (2015), where half of a batch's pairs are "same", and share an image each with the rest.
    Two losses of grid batches, whose images are embedded once and then compared with each other: `all_pairs`,
    cross-entropy of p(same) of every pair, "same" and "different" weighted half and half; `n_way`, cross-entropy of
    choosing each image's character among the images of one other drawer."""
    margin: float = 1.0
    """The distance that `contrastive` and `triplet` ask of "different" pairs."""

    @property
    def of_grids(self) -> bool:
        """Whether it is of grid batches, `DataSpec.batch_alphabets` and so on, instead of `Experiment.batch_size`."""
        return self.name in ("all_pairs", "n_way")


@dataclass(frozen=True)
class LayerSpec:
    """What the paper sets per layer (section 3.2): η, the μ its momentum rises to, and λ."""

    learning_rate: float
    momentum: float
    l2: float


@dataclass(frozen=True)
class OptimizerSpec:
    """SGD with momentum and a rule per layer (paper, section 3.2), or AdamW, with one rule for all but fc's rate."""

    layers: Mapping[str, LayerSpec] = field(default_factory=dict)
    """One rule for each layer (conv1-conv4 or dense1-dense2, fc, out); a missing or unused rule is an error.
    None for `adamw`."""
    decay: float = 0.99
    """Factor on every learning rate, once an epoch."""
    initial_momentum: float = 0.5
    momentum_epochs: int = 10
    """Epochs over which momentum rises from `initial_momentum` to each layer's. The paper leaves it open."""
    l2_on_biases: bool = False
    """Whether the penalty covers biases, too. The paper leaves it open."""
    name: Literal["paper", "adamw"] = "paper"
    """`paper`: the fields before this one. `adamw`: Loshchilov and Hutter (2019), those after this one."""
    rate: float = 2e-3
    """The highest learning rate of AdamW."""
    fc_rate: float = 1.0
    """Factor on it in fc, where a step moves a unit by up to the sum of its inputs times the rate."""
    schedule: Literal["constant", "cosine", "one_cycle"] = "one_cycle"
    """Of AdamW's rate, over all `max_epochs`: `cosine` falls to zero, `one_cycle` rises first (Smith and
    Topin 2019)."""
    warmup: float = 0.25
    """The share of all steps in which `one_cycle` rises."""
    weight_decay: float = 1e-2
    """AdamW's, on the kernels of layers alone."""
    clip: float = 0.0
    """The norm that AdamW's gradient is cut down to; 0 leaves it."""
    average: float = 0.0
    """Decay, a step, of the running mean of the weights (Polyak and Juditsky 1992) that is validated, kept and
    measured in place of the weights themselves; 0 does without."""

    @property
    def over_all_epochs(self) -> bool:
        """Whether a rate depends on `max_epochs`, so that no run can be taken further than it was meant to go."""
        return self.name == "adamw" and self.schedule != "constant"
