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

from siamese_jax.errors import UserError


@dataclass(frozen=True)
class DataSpec:
    """Which images, split how, and how many pairs are drawn from them."""

    name: Literal["omniglot", "glyphs"] = "omniglot"
    background: Literal["all", "small1", "small2"] = "all"
    """Training alphabets: all 30 of the background set, or one of the two sets of 5 released beside it (Lake et al.
    2015)."""
    downsample: int = 1
    """Side of the square blocks that are averaged into one pixel: 3 makes 105×105 into 35×35."""
    side: int = 0
    """Side that images are resized to by area averages, where no block of whole pixels gives it; 0: as they are."""
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
    batch_alphabets: int = 2
    """A grid batch, for the losses `all_pairs` and `n_way`: alphabets, of each so many characters, of each so many
    drawers; the images of an alphabet are all compared with each other."""
    batch_characters: int = 20
    """An alphabet of fewer characters shows all it has."""
    batch_drawers: int = 4
    epoch_steps: int = 100
    """Steps from one validation to the next in training on grid batches, which have no pass over a set."""
    rotations: bool = False
    """Whether an alphabet of a grid batch is turned by a multiple of 90°, drawn anew each time: it is another then."""

    @property
    def image_side(self) -> int:
        """Rows and columns of the images that are trained on."""
        return self.side or SIDE // self.downsample


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
    elastic: float = 0.0
    """Standard deviation, in those pixels, of a smooth random displacement of each point (Simard, Steinkraus and Platt
    2003), included with `probability` like the components; 0 switches it off."""
    elastic_scale: int = 8
    """Pixels between the points that are displaced independently; those between follow smoothly."""


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
    """Pairs of a batch; a grid batch has its own measures in `data`."""
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

MAY_BE_ZERO = {"copies", "momentum_epochs", "seed", "side"}
AT_MOST_ONE = {"probability", "momentum", "initial_momentum", "decay"}
BELOW_ONE = {"scale", "shear", "average", "warmup"}
"""Beyond the first two a distorted image would be folded over; the others are shares that leave something."""


def leaves(spec: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields (dotted name, value) of every plain value in a spec, in the order of declaration."""
    for name, value in _items(spec):
        if dataclasses.is_dataclass(value) or isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def completed(written: Mapping[str, Any]) -> dict[str, Any]:
    """Returns fields that were written by dotted name, with those that are newer: a default is what was done before."""
    by_default = dict(leaves(Experiment(**dict.fromkeys(DESCRIPTION, ""))))
    return {name: value for name, value in by_default.items() if name not in DESCRIPTION} | dict(written)


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
