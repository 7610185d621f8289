"""What an experiment is: frozen dataclasses of plain values, no defaults hidden anywhere else.

Every number that decides a result is a field here, so it is printed, written to
`experiment.json` and can be overridden by its dotted name
(`--optimizer.layers.conv1.learning_rate=0.02`). Lengths are pixels, angles degrees, rates per step.
"Paper" is Koch, Zemel and Salakhutdinov (2015).
"""

import dataclasses
import math
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


class UserError(ValueError):
    """A mistake the user can mend: its text says what is wrong, where, and what to do."""


@dataclass(frozen=True)
class DataSpec:
    """Which images, split how, and how many pairs are drawn from them."""

    name: Literal["omniglot", "glyphs"] = "omniglot"
    background: Literal["all", "small1", "small2"] = "all"
    """Training alphabets: all 30 of the background set, or one of the two sets of 5 released beside it (Lake et al.
    2015)."""
    downsample: int = 1
    """Side of the square blocks that are averaged into one pixel: 3 makes 105×105 into 35×35."""
    drawer_split: Literal["paper", "official"] = "paper"
    """`paper`: train on drawers 1-12, validate on 13-16, test on 17-20. `official`: train on 9-20,
    validate on 5-8, test on 1-4, so that no drawer of the official one-shot runs is trained on."""
    train_pairs: int = 150_000
    validation_pairs: int = 10_000
    test_pairs: int = 10_000
    different_drawers: bool = True
    """Whether the two images of a "different" pair come from two drawers, as those of a "same" pair
    must; then who drew says nothing about the answer. The paper leaves it open."""
    redraw: bool = False
    """False: one fixed set of pairs, each as it is and in `distort.copies` distorted copies, seen again each
    epoch, as in the paper. True: an epoch is `train_pairs` pairs never seen before, as many of them
    distorted as in a fixed set."""


@dataclass(frozen=True)
class DistortSpec:
    """Affine distortions of the training pairs (paper, section 4.3). Ranges are symmetric."""

    copies: int = 8
    """Distorted copies added to each undistorted pair; 0 switches distortions off."""
    probability: float = 0.5
    """Of each of the seven components, on its own, to be included."""
    rotation: float = 10.0
    """Degrees either way."""
    shear: float = 0.3
    scale: float = 0.2
    """Scales are 1 ± this."""
    translation: float = 2.0
    """Pixels of the image that is trained on, either way."""


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
    tower: Literal["convolutional", "dense"] = "convolutional"
    """`convolutional`: conv1 to conv4, then fc. `dense`: two hidden layers of ReLUs, then fc; no convolution."""
    hidden: int = 1024
    """Units of each hidden layer of a dense tower."""
    units: int = 4096
    """Sigmoid units of the fully connected layer: the length of an embedding."""
    energy: Literal["weighted_l1", "euclidean", "cosine"] = "weighted_l1"
    """The distance of two embeddings: with a learned weight a unit, or a learned scale."""
    initialiser: Literal["paper", "scaled"] = "scaled"
    """`paper`: section 3.2. `scaled`: variances by fan-in, so that no sigmoid starts saturated."""
    compute_dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the twin's convolutions and matrix products, and of what lies between them. Parameters, their gradients and
    updates, embeddings and the loss are float32 with either."""

    @property
    def convs(self) -> Mapping[str, ConvSpec]:
        """The convolutions in order, by name; a dense tower has none."""
        if self.tower == "dense":
            return {}
        return {"conv1": self.conv1, "conv2": self.conv2, "conv3": self.conv3, "conv4": self.conv4}

    @property
    def hidden_layers(self) -> tuple[str, ...]:
        """The hidden layers between the convolutions and fc, by name."""
        return ("dense1", "dense2") if self.tower == "dense" else ()


@dataclass(frozen=True)
class LossSpec:
    """What training minimises, beside the penalty of the optimizer's rules."""

    name: Literal["cross_entropy", "contrastive", "triplet"] = "cross_entropy"
    """`cross_entropy` of p(same), the paper's. `contrastive`: Hadsell, Chopra and LeCun (2006). `triplet`: Schroff,
    Kalenichenko and Philbin (2015), where half of a batch's pairs are "same", and share an image each with the rest."""
    margin: float = 1.0
    """The distance that the latter two ask of "different" pairs."""


@dataclass(frozen=True)
class LayerSpec:
    """What the paper sets per layer (section 3.2): η, the μ its momentum rises to, and λ."""

    learning_rate: float
    momentum: float
    l2: float


@dataclass(frozen=True)
class OptimizerSpec:
    """SGD with momentum and a rule per layer (paper, section 3.2)."""

    layers: Mapping[str, LayerSpec] = field(default_factory=dict)
    """One rule for each layer (conv1-conv4 or dense1-dense2, fc, out); a missing or unused rule is an error."""
    decay: float = 0.99
    """Factor on every learning rate, once an epoch."""
    initial_momentum: float = 0.5
    momentum_epochs: int = 10
    """Epochs over which momentum rises from `initial_momentum` to each layer's. The paper leaves it open."""
    l2_on_biases: bool = False
    """Whether the penalty covers biases, too. The paper leaves it open."""


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
    embed_batch: int = 100
    """Images embedded at a time; a matter of memory, not of results."""


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
    data: DataSpec = DataSpec()
    distort: DistortSpec = DistortSpec()
    network: NetSpec = NetSpec()
    loss: LossSpec = LossSpec()
    optimizer: OptimizerSpec = OptimizerSpec()
    evaluation: EvalSpec = EvalSpec()
    seed: int = 0
    batch_size: int = 128
    max_epochs: int = 200
    patience: int = 20
    """Epochs without a gain in validation one-shot accuracy after which training stops."""
    checkpoint_minutes: float = 10.0
    """Longest training time between two checkpoints; one is always made at the end of an epoch."""
    log_steps: int = 50
    """Steps that one line of metrics.jsonl averages over."""


SIDE = 105
"""Rows and columns of a drawing as published, in pixels; every data set here has the same."""

DESCRIPTION = ("name", "summary", "cost_cpu", "cost_gpu", "expected")
"""The fields of an Experiment that describe it and decide nothing."""

MAY_BE_ZERO = {"copies", "momentum_epochs", "seed"}
AT_MOST_ONE = {"probability", "momentum", "initial_momentum", "decay"}
BELOW_ONE = {"scale", "shear"}
"""Beyond these a distorted image would be folded over."""


def leaves(spec: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields (dotted name, value) of every plain value in a spec, in the order of declaration."""
    for name, value in _items(spec):
        if dataclasses.is_dataclass(value) or isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def with_value(spec: Any, name: str, value: Any) -> Any:
    """Returns `spec` with the field at the dotted `name` replaced; KeyError where there is none."""
    head, _, rest = name.partition(".")
    fields = dict(_items(spec))
    if rest:
        value = with_value(fields[head], rest, value)
    elif head not in fields:
        raise KeyError(name)
    return {**fields, head: value} if isinstance(spec, Mapping) else dataclasses.replace(spec, **{head: value})


def check(spec: Any, prefix: str = "") -> None:
    """Raises UserError for the first field whose value no run could use: not finite, out of range, not a choice."""
    hints = {} if isinstance(spec, Mapping) else typing.get_type_hints(type(spec))
    for name, value in _items(spec):
        where = f"{prefix}{name}={value}"
        choices = typing.get_args(hints.get(name)) if typing.get_origin(hints.get(name)) is Literal else ()
        if choices and value not in choices:
            raise UserError(f"{where} is not a choice: take one of {', '.join(choices)}")
        if dataclasses.is_dataclass(value) or isinstance(value, Mapping):
            check(value, f"{prefix}{name}.")
        elif isinstance(value, float) and not (math.isfinite(value) and value >= 0):
            raise UserError(f"{where} is out of range: take a finite number, not negative")
        elif type(value) is int and not (0 if name in MAY_BE_ZERO else 1) <= value < 2**31:
            raise UserError(f"{where} is out of range: take {0 if name in MAY_BE_ZERO else 1} to {2**31 - 1}")
        elif (name in AT_MOST_ONE and value > 1) or (name in BELOW_ONE and value >= 1):
            raise UserError(
                f"{where} is out of range: take a number from 0 to {'1' if name in AT_MOST_ONE else 'below 1'}"
            )


def _items(spec: Any) -> list[tuple[str, Any]]:
    if isinstance(spec, Mapping):
        return list(spec.items())
    return [(field.name, getattr(spec, field.name)) for field in dataclasses.fields(spec)]
