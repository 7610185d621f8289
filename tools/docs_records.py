"""The records behind the figures in README.md and docs/: what was measured, published and shipped.

docs/runs.jsonl has runs with their commit, docs/earlier_figures.json has figures whose reports were not kept.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from record_runs import read_runs

from siamese_jax.experiments import find
from siamese_jax.pretrained import read
from siamese_jax.report.tables import interval
from siamese_jax.results import RunResults

ROOT = Path(__file__).parent.parent
PAPER_NETWORK = "omniglot_20way_paper_n_way"
"""The experiment that trains the paper's network on whole alphabets."""


@cache
def earlier() -> dict[str, Any]:
    """Returns the figures without a record."""
    return json.loads((ROOT / "docs" / "earlier_figures.json").read_text())


@cache
def card() -> RunResults:
    """Return the results in the model card of the network that comes with the package."""
    return read("best").card.results


@cache
def runs() -> dict[str, list[dict[str, Any]]]:
    """Returns the recorded runs by name: that of the experiment, or of the flag file without its ending."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for row in read_runs():
        name = Path(row["flagfile"]).stem if "flagfile" in row else find(row["experiment"]).name
        by_name.setdefault(name, []).append(row)
    return by_name


def accuracies(name: str, protocol: str = "official_runs", part: str = "one_shot") -> list[float]:
    """Returns the accuracies in [0, 1] of the recorded runs of that name, by seed."""
    return [row[part][protocol]["accuracy"] for row in runs()[name]]


def interval_of(row: Mapping[str, Any], key: str = "ci95") -> str:
    """Return an interval of a record in per cent; a dash where it has none."""
    return interval(row.get(key))


def mean(values: list[float]) -> float:
    """Returns the mean."""
    return sum(values) / len(values)
