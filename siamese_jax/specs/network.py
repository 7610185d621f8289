"""The network: a tower, which embeds an image, and an energy, which compares two embeddings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from siamese_jax.errors import UserError
from siamese_jax.specs.fields import Variant

Shape = tuple[int, int, int]
"""Rows, columns and channels of an image."""

GROUP = 8
"""Channels in a group of group normalisation."""


class Tower(Variant):
    """What embeds one image [H, W, C] as a vector [D].

    A new tower is a subclass: a frozen dataclass with a `name` and its own fields, and an entry in
    `siamese_jax.network.towers.TOWERS` with the Linen module that it describes.
    """

    variants: ClassVar[dict[str, type["Tower"]]] = {}
    beside = True
    last_layer: ClassVar[str | None] = None
    """Path of the dense layer that gives the embedding, for example `head/dense`; `optimizer.fc_rate` is for it."""

    @property
    def ends_in_sigmoid(self) -> bool:
        """Whether each unit of an embedding is the sigmoid of something."""
        return False

    def check(self, shape: Shape) -> None:
        """Raise UserError if the tower cannot embed images of this shape."""


@dataclass(frozen=True, kw_only=True)
class FcTower(Tower):
    """A tower that ends in one fully connected layer, `fc`."""

    last_layer = "fc"
    units: int = 4096
    """Units of the fully connected layer: the length of an embedding."""
    head: Literal["sigmoid", "linear"] = "sigmoid"
    """What is applied to those units."""
    compute_dtype: Literal["float32", "bfloat16"] = "float32"
    """Dtype of the tower's convolutions and matrix products, and of what lies between them. Parameters, gradients,
    updates, embeddings and the loss are float32 with either."""

    @property
    def ends_in_sigmoid(self) -> bool:
        """Whether each unit of an embedding is a sigmoid."""
        return self.head == "sigmoid"


@dataclass(frozen=True)
class ConvSpec:
    """One convolution (stride 1, no padding), then ReLU, then optionally a 2×2 max-pool of stride 2."""

    filters: int
    size: int
    pool: bool


@dataclass(frozen=True)
class Conv(FcTower):
    """The paper's tower: four convolutions, then `fc` (paper, section 3.1 and figure 4)."""

    name = "convolutional"
    conv1: ConvSpec = ConvSpec(64, 10, pool=True)
    conv2: ConvSpec = ConvSpec(128, 7, pool=True)
    conv3: ConvSpec = ConvSpec(128, 4, pool=True)
    conv4: ConvSpec = ConvSpec(256, 4, pool=False)

    @property
    def convs(self) -> Mapping[str, ConvSpec]:
        """The convolutions in order, by name."""
        return {"conv1": self.conv1, "conv2": self.conv2, "conv3": self.conv3, "conv4": self.conv4}

    def sides(self, side: int) -> dict[str, int]:
        """Return the side of each convolution's output for an image of `side` × `side`; UserError if one is empty."""
        sides = {}
        for name, conv in self.convs.items():
            after = side - conv.size + 1
            after = after // 2 if conv.pool else after
            if after < 1:
                raise UserError(
                    f"network.{name}.size={conv.size} leaves no pixels of its {side}×{side} input"
                    f"{' after the 2×2 pool' if conv.pool else ''}: take a smaller filter, fewer pools or larger images"
                )
            sides[name] = side = after
        return sides

    def check(self, shape: Shape) -> None:
        """Raise UserError if a convolution has no pixels left."""
        self.sides(min(shape[:2]))


@dataclass(frozen=True)
class Dense(FcTower):
    """Two hidden layers of ReLUs, then `fc`; no convolution."""

    name = "dense"
    hidden: int = 1024
    """Units of each hidden layer."""


@dataclass(frozen=True)
class Residual(FcTower):
    """A 3×3 convolution and a pool, then stages, then `fc` (He et al. 2016).

    A stage is two 3×3 convolutions with a skip connection, and a pool. From the second on, each stage has twice the
    filters of the stage before.
    """

    name = "residual"
    width: int = 32
    """Filters of the first stage."""
    stages: int = 3
    """Number of stages; each halves the side of the image."""
    normalisation: Literal["none", "group", "layer"] = "group"
    """After each convolution: over groups of 8 channels (Wu and He 2018) or over all of them, always within one image,
    so that an embedding is a function of one image."""

    @property
    def filters(self) -> tuple[int, ...]:
        """Filters of each stage."""
        return tuple(self.width * 2**stage for stage in range(self.stages))

    def sides(self, side: int) -> dict[str, int]:
        """Return the side of each stage's output for an image of `side` × `side`."""
        return {f"stage{stage}": side >> (stage + 1) for stage in range(1, self.stages + 1)}

    def check(self, shape: Shape) -> None:
        """Raise UserError if the last stage has no pixels left, or the channels do not divide into groups."""
        side = min(shape[:2])
        if self.normalisation == "group" and self.width % GROUP:
            raise UserError(
                f"network.width={self.width} must be a multiple of {GROUP}, the channels of a group: "
                f"take {GROUP * (self.width // GROUP + 1)}, or network.normalisation=layer"
            )
        if min(self.sides(side).values()) < 1:
            raise UserError(
                f"network.stages={self.stages} leaves no pixels of a {side}×{side} image: take fewer, or larger images"
            )


class Energy(Variant):
    """What compares two embeddings [D]: a symmetric function to the logit of "same".

    A new energy is a subclass: a frozen dataclass with a `name` and its own fields, and an entry in
    `siamese_jax.network.energies.ENERGIES` with the Linen module that it describes.
    """

    variants: ClassVar[dict[str, type["Energy"]]] = {}
    beside = True


@dataclass(frozen=True)
class WeightedL1(Energy):
    """The L1 distance with a learned weight per unit (paper, section 3.1)."""

    name = "weighted_l1"


@dataclass(frozen=True)
class L1Distance(Energy):
    """The L1 distance with a learned weight per unit that is never negative, so that an index by L1 is exact."""

    name = "l1_distance"


@dataclass(frozen=True)
class Euclidean(Energy):
    """The Euclidean distance with a learned scale."""

    name = "euclidean"


@dataclass(frozen=True)
class Cosine(Energy):
    """The cosine distance with a learned scale."""

    name = "cosine"


@dataclass(frozen=True)
class NetSpec:
    """A tower and an energy."""

    tower: Tower = field(default_factory=Conv)
    """`convolutional`: `Conv`. `dense`: `Dense`. `residual`: `Residual`."""
    energy: Energy = field(default_factory=WeightedL1)
    """`weighted_l1`: `WeightedL1`. `l1_distance`: `L1Distance`. `euclidean`: `Euclidean`. `cosine`: `Cosine`."""
    initialiser: Literal["paper", "scaled"] = "scaled"
    """Initial parameters. `paper`: section 3.2. `scaled`: variances by fan-in, so that no sigmoid starts saturated."""
