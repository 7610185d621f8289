"""What was measured, as results.json and a model card hold it: frozen dataclasses, written and read strictly.

Accuracies, rates and intervals are fractions in [0, 1]. Intervals are 95 % intervals, lower bound first. Each field has
its meaning, unit and range in its metadata, from which docs/results.md is generated.
"""

import dataclasses
import itertools
import math
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from siamese_jax.errors import UserError

FORMAT = 2
"""Version of results.json and card.json. Raise it whenever a field changes: files of another format are refused."""

FPIR = 0.1
"""The false-positive identification rate that answers have, unless another one is asked for."""

Interval = tuple[float, float]
LARGEST = {int: 1e15, float: 1e300}
"""No number is larger: a larger one is a mistake, and cannot be computed with. Thresholds of a network that learned
nothing may be large."""
_RANGE = re.compile(r"(\d+) (?:or more|to (\d+))(?:;|$)")
"""The range of numbers in the metadata of a field."""
Ending = Literal["max_epochs", "patience", "not finished"]
T = TypeVar("T")


def about(meaning: str, unit: str = "", values: str = "", **default: Any) -> Any:
    """Returns a dataclass field that is documented by its meaning, unit and range."""
    return field(metadata={"meaning": meaning, "unit": unit, "values": values}, **default)


def share(meaning: str) -> Any:
    """Returns a documented field that is a fraction."""
    return about(meaning, values="0 to 1")


def count(meaning: str, unit: str = "") -> Any:
    """Returns a documented field that counts."""
    return about(meaning, unit, "0 or more")


@dataclass(frozen=True, kw_only=True)
class SetDescription:
    """One of the sets that a data set is split into."""

    groups: tuple[str, ...] = about("Names of its groups.")
    classes: int = count("Its classes.")
    authors: tuple[int, ...] = about("Numbers of the authors of its images.", values="empty: unknown")
    images: int = count("Its images.")


@dataclass(frozen=True, kw_only=True)
class Words:
    """What the data source calls a group, a class and an author, in the singular."""

    group: str = about("A group.", values="for Omniglot `alphabet`")
    class_: str = about("A class.", values="for Omniglot `character`")
    author: str = about("An author.", values="for Omniglot `drawer`")


@dataclass(frozen=True, kw_only=True)
class DataDescription:
    """What the network was trained, validated and tested on."""

    name: str = about("The data source: the field `data.name`.", values="`omniglot`, `glyphs`")
    background: str = about(
        "Omniglot's background set: the field `data.background`.", values="`all`, `small1`, `small2`"
    )
    image_side: int = about("Height and width of an image.", "pixels", "1 or more")
    split: str = about(
        "How authors are split: the field `data.drawer_split`.", values="`paper`, `official`; `none`: not by authors"
    )
    words: Words = about("The source's words.")
    sets: dict[str, SetDescription] = about("The sets by name.", values="`train`, `validation`, `test`")

    def misfit(self) -> str:
        """Return what does not fit together, "" if all does."""
        return "" if self.sets.keys() == {"train", "validation", "test"} else "sets are not train, validation and test"


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The software and the machine. The same ones, with the same command, give the same bits.

    Files of earlier versions lack the fields that have a default.
    """

    siamese_jax: str = about("Version of this package.")
    jax: str = about("Version of JAX.")
    python: str = about("Version of Python.")
    backend: str = about("JAX's backend.", values="`cpu`, `gpu`, `tpu`")
    device: str = about("Kind of device, as JAX names it.")
    devices: int = about("Devices that JAX used.", values="1 or more")
    cores: int = about("CPU cores that the process could use.", values="1 or more")
    x64: bool = about("Whether JAX computed with 64-bit numbers.")
    jaxlib: str = about("Version of jaxlib, which holds XLA.", values="empty: not recorded", default="")
    processor: str = about("Model of the processor.", values="empty: not recorded", default="")
    machine_cores: int | None = about("CPU cores of the machine.", values="null: not recorded", default=None)
    settings: dict[str, str] = about(
        "Settings of JAX and XLA that decide bits and are not at their defaults, by name.", default_factory=dict
    )


@dataclass(frozen=True, kw_only=True)
class TrainingSummary:
    """How training went."""

    epochs: int = count("Epochs done.")
    steps: int = count("Steps done.")
    seconds: float = about("Time of training, with validation, compilation and checkpoints.", "s", "0 or more")
    best_epoch: int = about("Epoch whose parameters were kept and measured.", values="0 or more; 0: before training")
    best_validation_accuracy: float = share("One-shot accuracy of that epoch on the validation trials.")
    pairs_per_second: float | None = about("Speed of training, without compilation.", "pairs/s", "null: not timed")
    stopped_by: Ending = about("Why training ended.")


@dataclass(frozen=True, kw_only=True)
class Card:
    """The trials that a one-shot result was measured on, and what the network had seen before."""

    protocol: str = about("How the trials were sampled, in words.")
    n_way: int = about("Classes of a trial.", values="2 or more")
    k_shot: int = about("Supports of each class.", values="1 or more")
    combine: str | None = about(
        "How the scores of several supports are combined: the field `evaluation.combine`.", values="null: `k_shot` is 1"
    )
    trials: int = about("Number of trials.", values="1 or more")
    groups: tuple[str, ...] = about("Groups that the images come from.")
    authors: tuple[int, ...] = about("Authors of the images.", values="empty: unknown")
    seed: int | None = about("Seed that the trials were sampled with.", values="null: released with the data")
    trials_id: str = about("Digest of the trials. Equal digests mean equal trials.", values="32 hexadecimal digits")
    views: int = about("Views whose embeddings are averaged (test-time augmentation).", values="1: the image alone")
    seen: tuple[str, ...] = about(
        "How the sets of `data` were used before: `trained` on train, `chosen` on validation."
    )

    @property
    def task(self) -> str:
        """The task in words, as "20-way 1-shot"."""
        return f"{self.n_way}-way {self.k_shot}-shot"


@dataclass(frozen=True, kw_only=True)
class GroupResult:
    """One-shot accuracy on the trials of one group."""

    trials: int = about("Number of trials.", values="1 or more")
    correct: float = count("Sum of the trials' credit.")
    accuracy: float = share("Mean credit.")


@dataclass(frozen=True, kw_only=True)
class OneShotResult:
    """One-shot accuracy under one protocol.

    A trial's credit is 1 if the right class has the highest score alone, 1/m if m classes share it, else 0.
    """

    accuracy: float = share("Mean credit of the trials.")
    correct: float = count("Sum of the trials' credit. Ties may leave a fraction.")
    ties: int = count("Trials whose highest score several classes share.")
    ci95: Interval = share("Interval of the accuracy for other trials: bootstrap over episodes.")
    ci95_by_group: Interval | None = about(
        "Interval of the accuracy for other groups: bootstrap over groups.", values="0 to 1; null: one group only"
    )
    by_group: dict[str, GroupResult] = about("Results by the name of the query's group.")
    authors_seen_in_training: tuple[int, ...] = about("Authors of these images who also made training images.")
    warnings: tuple[str, ...] = about("What a reader should know about these trials.")
    card: Card = about("The trials, and what the network had seen.")


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """Verification at a threshold that was chosen on validation for a given false-accept rate."""

    false_accept_rate: float = share("Rate that the threshold was chosen for.")
    measured_false_accept_rate: float = share("Share of different pairs called same, on this set.")
    measured_false_accept_rate_ci95: Interval = share("Its interval: bootstrap over groups.")
    true_accept_rate: float = share("Share of same pairs called same, on this set.")
    true_accept_rate_ci95: Interval = share("Its interval: bootstrap over groups.")
    false_reject_rate: float = share("Share of same pairs called different, on this set.")
    threshold: float | None = about("A pair is called same from this logit on.", "logit", "null: no pair is")


@dataclass(frozen=True, kw_only=True)
class Roc:
    """Points of the ROC curve, from the strictest threshold to the laxest; both lists have the same length."""

    false_accept_rate: tuple[float, ...] = share("Share of different pairs called same.")
    true_accept_rate: tuple[float, ...] = share("Share of same pairs called same.")

    def misfit(self) -> str:
        """Return what does not fit together, "" if all does."""
        return _of_one_length("false_accept_rate", self.false_accept_rate, self.true_accept_rate)


@dataclass(frozen=True, kw_only=True)
class VerificationResult:
    """Verification of one set: do two images show one class? Intervals are by bootstrap over groups."""

    pairs: int = about("Number of pairs.", values="1 or more")
    threshold: float = about("A pair is called same from this logit on. It is the best one on validation.", "logit")
    accuracy: float = share("Share of pairs called right at the threshold.")
    ci95: Interval = share("Interval of the accuracy.")
    auc: float = share("Area under the ROC curve.")
    auc_ci95: Interval = share("Its interval.")
    equal_error_rate: float = share("Rate where false accepts and false rejects are equally frequent.")
    equal_error_rate_ci95: Interval = share("Its interval.")
    operating_points: tuple[OperatingPoint, ...] = about("Verification at given false-accept rates.")
    roc: Roc = about("The ROC curve, thinned to at most 200 points.")


@dataclass(frozen=True, kw_only=True)
class Verification:
    """Verification of both sets with the thresholds that were chosen on validation."""

    validation: VerificationResult = about("On the pairs that the thresholds were chosen on.")
    test: VerificationResult = about("On the test pairs.")


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """A reliability diagram: probabilities beside what happened, in bins of equal width without the empty ones."""

    counts: tuple[float, ...] = count("Probabilities in each bin.")
    probabilities: tuple[float, ...] = share("Their mean.")
    shares: tuple[float, ...] = share("Share of them whose event happened.")

    def misfit(self) -> str:
        """Return what does not fit together, "" if all does."""
        return _of_one_length("counts", self.counts, self.probabilities, self.shares)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How far probabilities are from what happens."""

    expected_calibration_error: float = share("Mean distance of probability and share over the bins.")
    ci95: Interval = share("Its interval: bootstrap over groups.")
    brier_score: float = share("Mean squared difference of probability and event.")
    reliability: Reliability = about("The reliability diagram.")


@dataclass(frozen=True, kw_only=True)
class PairDecisions:
    """p(same) of a pair: the sigmoid of slope · score + intercept, for a prior of one half (Platt scaling)."""

    slope: float = about("Slope, fitted on validation.", "1/logit")
    intercept: float = about("Intercept, fitted on validation.")
    threshold: float | None = about("Score from which p(same) is one half or more.", "logit", "null: there is none")
    pairs: int = about("Number of test pairs.", values="1 or more")
    before: Calibration = about("The sigmoid of the score as a probability, on test pairs.")
    after: Calibration = about("p(same), on test pairs.")
    false_match_rate: float = share("Share of different test pairs at or above the threshold (FMR).")
    false_non_match_rate: float = share("Share of same test pairs below the threshold (FNMR).")


@dataclass(frozen=True, kw_only=True)
class OpenSetResult:
    """Identification that may answer "unknown", at a threshold chosen on validation, measured on test.

    The terms are those of ISO/IEC 19795-1:2021.
    """

    fpir: float = share("False-positive identification rate that the threshold was chosen for.")
    threshold: float | None = about(
        "A query is accepted if its best score is at or above it.", "logit", "null: no query is accepted"
    )
    measured_fpir: float = share("Share of test queries of classes that are not enrolled which are accepted.")
    measured_fpir_ci95: Interval = share("Its interval at this threshold: bootstrap over the groups of test.")
    chosen_again_ci95: Interval = share(
        "Its interval where the threshold is chosen again in each resample: bootstrap over the groups of both sets."
    )
    dir: float = share(
        "Detection and identification rate: share of test queries of enrolled classes which are accepted with the "
        "right class first. It is 1 minus FNIR(N, R = 1, threshold)."
    )
    dir_ci95: Interval = share("Its interval: bootstrap over groups.")


@dataclass(frozen=True, kw_only=True)
class PredictionSetResult:
    """Sets of classes that hold the right one as often as asked (split conformal prediction), measured on test."""

    coverage: float = share("Coverage that the gap was chosen for on validation.")
    gap: float | None = about(
        "A set holds the classes whose score is at most this far below the best one.", "logit", "null: all classes"
    )
    measured_coverage: float = share("Share of test queries of enrolled classes whose set holds the right class.")
    measured_coverage_ci95: Interval = share("Its interval: bootstrap over groups.")
    mean_size: float = about("Mean number of classes in a set.", values="1 or more")


@dataclass(frozen=True, kw_only=True)
class GalleryDecisions:
    """Decisions in galleries of one size, with one image per enrolled class.

    All classes of a gallery, enrolled or not, come from one group, or from as few neighbouring groups as have enough.
    """

    classes: int = about("Enrolled classes, N.", values="2 or more")
    known: int = about("Test queries of enrolled classes.", values="1 or more")
    unknown: int = about("Test queries of other classes.", values="1 or more")
    temperature: float = about(
        "The probability of a class is the softmax of the scores divided by it. Fitted on validation.", "logit"
    )
    before: Calibration = about("Without the temperature: the probability of the best class, on test.")
    after: Calibration = about("With the temperature: the probability of the best class, on test.")
    open_set: tuple[OpenSetResult, ...] = about("Thresholds for identification.")
    prediction_sets: tuple[PredictionSetResult, ...] = about("Sets that hold the right class.")

    def misfit(self) -> str:
        """Return what does not fit together, "" if all does."""
        if self.temperature <= 0:
            return f"temperature is {self.temperature}, not positive"
        return _rising("open_set.fpir", [0.0, *(one.fpir for one in self.open_set)])


@dataclass(frozen=True, kw_only=True)
class Familiarity:
    """When an image is unlike those of validation: by the Mahalanobis distance of three statistics of its pixels.

    They are the mean value, the share of grey pixels, and the mean difference of neighbouring pixels.
    """

    mean: tuple[float, ...] = about("Means of the statistics on validation.", values="3 numbers")
    precision: tuple[tuple[float, ...], ...] = about("The inverse of their covariance.", values="3 × 3 numbers")
    threshold: float | None = about("An image is unlike them above this distance.", values="null: no image is")
    false_alarm_rate: float = share("Rate that the threshold was chosen for on validation.")
    measured_false_alarm_rate: float = share("Share of test images above it.")
    measured_false_alarm_rate_ci95: Interval = share("Its interval: bootstrap over groups.")
    detected: dict[str, float] = about("Share of made-up images above it, by kind.", values="0 to 1")

    def misfit(self) -> str:
        """Return what does not fit together, "" if all does."""
        if [len(self.mean), *map(len, self.precision)] != [3, 3, 3, 3]:
            return "mean and precision are not 3 and 3 × 3 numbers"
        return ""


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """Decisions one can act on: everything was fitted on validation, and measured on test."""

    pairs: PairDecisions = about("Probabilities that two images show one class.")
    galleries: tuple[GalleryDecisions, ...] = about("Decisions by the size of the gallery, rising.")
    familiarity: Familiarity = about("When to warn of an image.")

    def misfit(self) -> str:
        """Return what does not fit together, "" if all does."""
        rates = {tuple(rule.fpir for rule in one.open_set) for one in self.galleries}
        coverages = {tuple(rule.coverage for rule in one.prediction_sets) for one in self.galleries}
        if len(rates) > 1 or len(coverages) > 1:
            return "galleries have different fpir or coverage"
        return _rising("galleries.classes", [one.classes for one in self.galleries])


OneShot = Mapping[str, OneShotResult]
"""One-shot results by protocol."""


@dataclass(frozen=True, kw_only=True)
class RunResults:
    """Everything that was measured in one run."""

    format: int = about("Version of this format.", values=str(FORMAT), default=FORMAT)
    experiment: str = about("Name of the experiment. Its fields are in experiment.json.")
    seed: int = about("Seed of the experiment.", values="0 or more")
    command: str = about("Command that repeats the run.", values="empty: the experiment is not registered")
    data: DataDescription = about("The data.")
    environment: Environment = about("Software and machine.")
    training: TrainingSummary | None = about("How training went.", values="null: untrained baselines")
    verification: Verification | None = about("Verification.", values="null: untrained baselines")
    decisions: Decisions | None = about(
        "Calibrated and open-set decisions.", values="null: untrained baselines, or not measured"
    )
    one_shot: dict[str, OneShotResult] = about("One-shot results of the network, by protocol.")
    one_shot_views: dict[str, OneShotResult] = about("The same with test-time augmentation, by protocol.")
    baselines: dict[str, dict[str, OneShotResult]] = about(
        "One-shot results of untrained baselines, by baseline and protocol."
    )
    not_measured: dict[str, str] = about("Why a protocol was not measured, by protocol.")


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """The card of a packaged network: what it is, how it was made, and what it reaches."""

    format: int = about("Version of this format.", values=str(FORMAT), default=FORMAT)
    name: str = about("Name of the network, as `--checkpoint` takes it.")
    summary: str = about("What it is, in one line.")
    licence: str = about("Licence of its parameters, and of the data it was trained on.")
    commit: str = about("Commit of the code that trained it.")
    results: RunResults = about("What was measured.")


def plural(word: str) -> str:
    """Return the plural of one of `Words`."""
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith("s") else f"{word}s"


def to_json(value: Any) -> dict[str, Any]:
    """Returns one of the dataclasses of this module as plain dicts, lists and numbers."""
    return dataclasses.asdict(value)


def from_json(kind: type[T], value: object, where: str, advice: str) -> T:
    """Returns a dataclass from what JSON holds of it.

    Args:
      kind: One of the dataclasses of this module.
      value: What `json.loads` returned.
      where: The file, for the error message.
      advice: What to do about a file that does not fit, for the error message.

    Raises:
      UserError: If the file has another format, or a field is missing, unknown or of another type.
    """
    try:
        return _read(kind, value, "")
    except _MisfitError as misfit:
        raise UserError(f"{where} does not fit this version: {misfit}; {advice}") from None


class _MisfitError(Exception):
    """Says which part does not fit, and why."""


def type_in_words(kind: Any) -> str:
    """Returns what JSON holds for a field's type: "[number, …] or null"."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return kind.__name__
    if origin is types.UnionType:
        return f"{type_in_words(parts[0])} or null"
    if origin is dict:
        return f"{{name: {type_in_words(parts[1])}}}"
    if origin is tuple:
        return f"[{', '.join('…' if part is ... else type_in_words(part) for part in parts)}]"
    if origin is Literal:
        return " or ".join(f'"{part}"' for part in parts)
    return {float: "number", int: "whole number", str: "text", bool: "true or false"}[kind]


def _read(kind: Any, value: Any, path: str) -> Any:
    """Returns `value`, which JSON holds at `path`, as `kind`."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
        return _read_fields(kind, value, path)
    if origin is types.UnionType:
        return None if value is None else _read(parts[0], value, path)
    if origin is dict and isinstance(value, Mapping):
        return {name: _read(parts[1], part, f"{path}.{name}") for name, part in value.items()}
    if origin is tuple and isinstance(value, list):
        kinds = parts[:1] * len(value) if parts[1] is ... else parts
        if len(kinds) == len(value):
            found = tuple(_read(of_part, part, path) for of_part, part in zip(kinds, value, strict=True))
            if kind == Interval and found[0] > found[1]:
                raise _MisfitError(f"{_shown(path)} is {value}, and its first number is the larger one")
            return found
    if origin is Literal and value in parts:
        return value
    if kind in (int, float) and (type(value) is int or type(value) is kind):
        number: Any = value
        if abs(number) <= LARGEST[kind]:
            return kind(number)
    if kind in (str, bool) and type(value) is kind:
        return value
    raise _MisfitError(f"{_shown(path)} is {value!r:.60}, not {type_in_words(kind)}")


def _read_fields(kind: Any, value: Mapping[str, Any], path: str) -> Any:
    kinds = typing.get_type_hints(kind)
    if "format" in kinds and value.get("format") != FORMAT:
        raise _MisfitError(f"its format is {value.get('format')}, not {FORMAT}")
    optional = {one.name for one in dataclasses.fields(kind) if one.default_factory is not dataclasses.MISSING}
    optional |= {one.name for one in dataclasses.fields(kind) if one.default is not dataclasses.MISSING}
    for name in sorted((kinds.keys() ^ value.keys()) - (optional - value.keys())):
        raise _MisfitError(f"{_shown(f'{path}.{name}')} is {'missing' if name in kinds else 'unknown'}")
    found = kind(**{name: _read(kinds[name], part, f"{path}.{name}") for name, part in value.items()})
    for one in dataclasses.fields(kind):
        _check_range(one.metadata["values"], getattr(found, one.name), f"{path}.{one.name}")
    if misfit := getattr(found, "misfit", str)():
        raise _MisfitError(f"{_shown(path)}.{misfit}" if path else misfit)
    return found


def _check_range(values: str, found: Any, path: str) -> None:
    """Raise _MisfitError unless all numbers of a field are in the range that its metadata says in words."""
    bounds = _RANGE.match(values)
    if bounds is None:
        return
    low, high = float(bounds[1]), float(bounds[2] or math.inf)
    for number in _numbers(found):
        if not low <= number <= high:
            raise _MisfitError(f"{_shown(path)} is {number}, not {bounds[0].rstrip(';')}")


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, int | float):
        yield value
    elif isinstance(value, tuple | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _numbers(part)


def _of_one_length(name: str, *lists: Sequence[float]) -> str:
    return "" if len(set(map(len, lists))) == 1 else f"{name} and what belongs to it differ in length"


def _rising(name: str, numbers: Sequence[float]) -> str:
    rising = bool(numbers) and all(one < other for one, other in itertools.pairwise(numbers))
    return "" if rising else f"{name} does not rise"


def _shown(path: str) -> str:
    """Return the name of a field for a sentence: names of groups and protocols in it may be of any length."""
    return (path[1:] or "it") if len(path) <= 150 else f"{path[1:80]}…{path[-60:]}"
