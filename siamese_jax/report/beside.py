"""What was measured, in one table with what was published, each row saying which it is."""

from collections.abc import Iterable, Mapping
from typing import Any

from siamese_jax.report.published import ELSEWHERE, SMALL_BACKGROUNDS, TABLE_1, TABLE_2, TABLE_3
from siamese_jax.report.tables import interval, percent, table
from siamese_jax.specs import Experiment

Rows = Iterable[tuple[str, Mapping[str, Any]]]
"""Who, and the one-shot result that was measured."""

MNIST = ("mnist_10way", "mnist_10way_10000")
"""The protocols of table 3, of 400 trials as in the paper and of 10,000."""


def table_1(experiment: Experiment, test: Mapping[str, Any]) -> str:
    """Returns the paper's table 1 with this run's verification of the test set in the column where it belongs."""
    copies = experiment.distort.copies
    cell = f"**{percent(test['accuracy'])}** ({interval(test)}, {test['pairs']:,} test pairs)"
    cells = [cell, "–"] if copies == 0 else ["–", cell if copies == 8 else f"{cell} with {copies} copies"]
    published = [[f"{n:,}", f"{none:.2f}", f"{eight:.2f}", "published"] for n, (none, eight) in TABLE_1.items()]
    pairs = f"{experiment.data.train_pairs:,}{' new ones an epoch' if experiment.data.redraw else ''}"
    if experiment.loss.of_grids:
        pairs = "all of each batch"
    this = [f"**this run**: {pairs}", *cells, "**measured**"]
    return table(["training pairs", "no distortions", "8 distorted copies", ""], [this, *published])


def published_on_official_runs(five_alphabets: bool) -> dict[str, tuple[float, str]]:
    """Returns who -> (accuracy in per cent, its source), the best first."""
    paper = {who: (figure, "published") for who, figure in TABLE_2.items()}
    others = ELSEWHERE | (SMALL_BACKGROUNDS if five_alphabets else {})
    elsewhere = {who: (figure, f"published elsewhere: {source}") for who, (figure, source) in others.items()}
    return dict(sorted((paper | elsewhere).items(), key=lambda row: -row[1][0]))


def table_2(measured: Rows, five_alphabets: bool = False) -> str:
    """Returns the paper's table 2 under what was measured on the official runs.

    `five_alphabets` adds what was published for a training set of five alphabets.
    """
    return _one_shot_table("20-way, within alphabet", measured, published_on_official_runs(five_alphabets))


def table_3(measured: Rows) -> str:
    """Returns the paper's table 3 under what was measured on MNIST."""
    return _one_shot_table("MNIST, 10-way", measured, {who: (f, "published") for who, f in TABLE_3.items()})


def small_background(data: Mapping[str, Any]) -> bool:
    """Whether a run trained on five alphabets; `data` is that of its results. Older ones do not say: they had all."""
    return data.get("background", "all") != "all"


def on_mnist(who: str, one_shot: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """Returns the rows that someone's results have for table 3."""
    return [(who, one_shot[name]) for name in MNIST if name in one_shot]


def _one_shot_table(task: str, measured: Rows, published: Mapping[str, tuple[float, str]]) -> str:
    ours = [
        [who, f"**{percent(part['accuracy'])}**", interval(part), f"{part['trials']:,}", "**measured**"]
        for who, part in measured
    ]
    theirs = [[who, f"{figure:.1f}", "–", "–", source] for who, (figure, source) in published.items()]
    return table([task, "accuracy (%)", "95 % interval (%)", "trials", ""], [*ours, *theirs])
