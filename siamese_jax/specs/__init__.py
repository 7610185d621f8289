"""What an experiment is: frozen dataclasses of plain values, with all defaults.

Every number that determines a result is a field here. It is printed, written to `experiment.json`, and can be changed
by its dotted name (`--optimizer.layers.conv1.learning_rate=0.02`). Lengths are in pixels, angles in degrees, rates per
step. "Paper" means Koch, Zemel and Salakhutdinov (2015).

A field can hold one of several specs (see `Variant`): `network.tower=residual` selects `Residual`, whose fields then
stand beside it, such as `network.width`. Fields of other towers do not exist in that experiment.
"""

from siamese_jax.specs.data import SIDE, Characters, DataSpec, DistortSpec, Folder, Glyphs, InMemory, Omniglot
from siamese_jax.specs.evaluation import EvalSpec
from siamese_jax.specs.experiment import DESCRIPTION, Experiment
from siamese_jax.specs.fields import (
    Variant,
    check,
    every_field,
    from_nested,
    leaves,
    tags_of,
    to_nested,
    with_value,
    with_values,
)
from siamese_jax.specs.network import (
    Conv,
    ConvSpec,
    Cosine,
    Dense,
    Energy,
    Euclidean,
    FcTower,
    L1Distance,
    NetSpec,
    Residual,
    Tower,
    WeightedL1,
)
from siamese_jax.specs.training import (
    AdamW,
    AllPairs,
    Contrastive,
    CrossEntropy,
    LayerSpec,
    LossSpec,
    NWay,
    OptimizerSpec,
    PaperSGD,
    Triplet,
)

__all__ = [
    "DESCRIPTION",
    "SIDE",
    "AdamW",
    "AllPairs",
    "Characters",
    "Contrastive",
    "Conv",
    "ConvSpec",
    "Cosine",
    "CrossEntropy",
    "DataSpec",
    "Dense",
    "DistortSpec",
    "Energy",
    "Euclidean",
    "EvalSpec",
    "Experiment",
    "FcTower",
    "Folder",
    "Glyphs",
    "InMemory",
    "L1Distance",
    "LayerSpec",
    "LossSpec",
    "NWay",
    "NetSpec",
    "Omniglot",
    "OptimizerSpec",
    "PaperSGD",
    "Residual",
    "Tower",
    "Triplet",
    "Variant",
    "WeightedL1",
    "check",
    "every_field",
    "from_nested",
    "leaves",
    "tags_of",
    "to_nested",
    "with_value",
    "with_values",
]
