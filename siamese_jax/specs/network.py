"""The network: its tower and its energy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ConvSpec:
    """One convolution, stride 1, no padding, then ReLU, then perhaps a 2×2 max-pool of stride 2."""

    filters: int
    size: int
    pool: bool


@dataclass(frozen=True)
class NetSpec:
    """The twin and its energy (paper, section 3.1 and figure 4)."""

    conv1: ConvSpec = ConvSpec(64, 10, pool=True)
    conv2: ConvSpec = ConvSpec(128, 7, pool=True)
    conv3: ConvSpec = ConvSpec(128, 4, pool=True)
    conv4: ConvSpec = ConvSpec(256, 4, pool=False)
    tower: Literal["convolutional", "dense", "residual"] = "convolutional"
    """`convolutional`: conv1 to conv4, then fc. `dense`: two hidden layers of ReLUs, then fc; no convolution.
    `residual`: a 3×3 convolution, then stages of two with a way around them (He et al. 2016), then fc; every stage ends
    in a pool, and doubles the filters of the one before."""
    hidden: int = 1024
    """Units of each hidden layer of a dense tower."""
    width: int = 32
    """Filters of a residual tower's first stage."""
    stages: int = 3
    """Of a residual tower, each of which halves the side."""
    normalisation: Literal["none", "group", "layer"] = "group"
    """After each convolution of a residual tower: over groups of 8 channels (Wu and He 2018) or over all of them,
    within one image, so that a twin stays a function of one image."""
    units: int = 4096
    """Units of the fully connected layer: the length of an embedding."""
    head: Literal["sigmoid", "linear"] = "sigmoid"
    """What those units are."""
    energy: Literal["weighted_l1", "euclidean", "cosine"] = "weighted_l1"
    """The distance of two embeddings: with a learned weight a unit, or a learned scale."""
    initialiser: Literal["paper", "scaled"] = "scaled"
    """`paper`: section 3.2. `scaled`: variances by fan-in, so that no sigmoid starts saturated."""
    compute_dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the twin's convolutions and matrix products, and of what lies between them. Parameters, their gradients and
    updates, embeddings and the loss are float32 with either."""

    @property
    def convs(self) -> Mapping[str, ConvSpec]:
        """The paper's convolutions in order, by name; another tower has none of them."""
        if self.tower != "convolutional":
            return {}
        return {"conv1": self.conv1, "conv2": self.conv2, "conv3": self.conv3, "conv4": self.conv4}

    @property
    def hidden_layers(self) -> tuple[str, ...]:
        """The hidden layers between the convolutions and fc, by name."""
        return ("dense1", "dense2") if self.tower == "dense" else ()
