"""A run that never was: its experiment and its results, for tests of what is reported."""

import dataclasses

from example_results import OFFICIAL, RESULTS, WITHIN

from siamese_jax.report import PAPER
from siamese_jax.results import Card, OneShotResult, RunResults
from siamese_jax.specs import LayerSpec, PaperSGD, with_value

__all__ = [
    "BASELINE_PARTS", "OFFICIAL", "RESULTS", "SMALL", "WITHIN", "changed", "line_with", "one_shot", "with_data",
]  # fmt: skip

SMALL = dataclasses.replace(
    with_value(with_value(PAPER, "data.downsample", 3), "network.conv1.size", 5),
    name="omniglot_20way_small",
    summary="The paper's task at 35×35",
    optimizer=PaperSGD(layers={"conv1": LayerSpec(0.02, 0.9, 2e-4), "out": LayerSpec(0.03, 0.9, 0.0)}),
)
BASELINE_PARTS = {"training": None, "verification": None, "decisions": None, "one_shot": {}}
"""What differs in the results of untrained baselines."""


def changed(**parts) -> RunResults:
    """The results with some fields replaced."""
    return dataclasses.replace(RESULTS, **parts)


def with_data(**parts) -> RunResults:
    """The results with some fields of their data replaced."""
    return changed(data=dataclasses.replace(RESULTS.data, **parts))


def one_shot(like: OneShotResult = OFFICIAL, **parts) -> OneShotResult:
    """A one-shot result with some fields, of its own or of its card, replaced."""
    of_card = {name: parts.pop(name) for name in list(parts) if name in Card.__dataclass_fields__}
    return dataclasses.replace(like, **parts, card=dataclasses.replace(like.card, **of_card))


def line_with(text, *words):
    (line,) = [line for line in text.splitlines() if all(word in line for word in words)]
    return line
