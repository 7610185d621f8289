"""Tables of what was measured above what was published. Each row says which of the two it is."""

from collections.abc import Iterable, Mapping

from siamese_jax.published import ELSEWHERE, OF_FIVE, TABLE_1, TABLE_2, TABLE_3
from siamese_jax.report.tables import interval, percent, table
from siamese_jax.results import DataDescription, OneShot, OneShotResult, VerificationResult
from siamese_jax.specs import Experiment

Rows = Iterable[tuple[str, OneShotResult]]
"""Who was measured, and the result."""

MNIST = ("mnist_10way", "mnist_10way_10000")
"""The protocols of table 3: 400 trials, as in the paper, and 10,000."""


def table_1(experiment: Experiment, test: VerificationResult) -> str:
    """Return the paper's table 1 with a row for this run.

    Args:
      experiment: Says which column and which row the run belongs to.
      test: Verification on the test set.
    """
    copies = experiment.distort.copies
    cell = f"**{percent(test.accuracy)}** ({interval(test.ci95)}, {test.pairs:,} test pairs)"
    cells = [cell, "–"] if copies == 0 else ["–", cell if copies == 8 else f"{cell} with {copies} copies"]
    published = [[f"{n:,}", f"{none:.2f}", f"{eight:.2f}", "published"] for n, (none, eight) in TABLE_1.items()]
    pairs = f"{experiment.data.train_pairs:,}{', new ones each epoch' if experiment.data.redraw else ''}"
    if experiment.loss.of_grids:
        pairs = "all of each batch"
    this = [f"**this run**: {pairs}", *cells, "**measured**"]
    return table(["training pairs", "no distortions", "8 distorted copies", ""], [this, *published])


def published_on_official_runs(five_alphabets: bool) -> dict[str, tuple[float, str]]:
    """Return who -> (accuracy in per cent, its source), the best first.

    Args:
      five_alphabets: Whether to add what was published for training on five alphabets.
    """
    paper = {who: (figure, "published") for who, figure in TABLE_2.items()}
    others = ELSEWHERE | (OF_FIVE if five_alphabets else {})
    elsewhere = {who: (figure, f"published elsewhere: {source}") for who, (figure, source) in others.items()}
    return dict(sorted((paper | elsewhere).items(), key=lambda row: -row[1][0]))


def table_2(measured: Rows, five_alphabets: bool = False) -> str:
    """Return the paper's table 2 below what was measured on the official runs.

    Args:
      measured: Who was measured, and the result.
      five_alphabets: Whether to add what was published for training on five alphabets.
    """
    return _one_shot_table("20-way, within alphabet", measured, published_on_official_runs(five_alphabets))


def table_3(measured: Rows) -> str:
    """Return the paper's table 3 below what was measured on MNIST."""
    return _one_shot_table("MNIST, 10-way", measured, {who: (f, "published") for who, f in TABLE_3.items()})


def small_background(data: DataDescription) -> bool:
    """Return whether a run was trained on one of the background sets of five alphabets."""
    return data.background != "all"


def on_mnist(who: str, one_shot: OneShot) -> list[tuple[str, OneShotResult]]:
    """Return the rows of table 3 for one set of results; `who` was measured."""
    return [(who, one_shot[name]) for name in MNIST if name in one_shot]


def _one_shot_table(task: str, measured: Rows, published: Mapping[str, tuple[float, str]]) -> str:
    ours = [
        [who, f"**{percent(part.accuracy)}**", interval(part.ci95), f"{part.card.trials:,}", "**measured**"]
        for who, part in measured
    ]
    theirs = [[who, f"{figure:.1f}", "–", "–", source] for who, (figure, source) in published.items()]
    return table([task, "accuracy (%)", "95 % interval (%)", "trials", ""], [*ours, *theirs])
