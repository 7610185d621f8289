"""Prints docs/results.md, the schema of results.json and card.json, from the dataclasses of siamese_jax/results.py.

python tools/results_page.py > docs/results.md
"""

import dataclasses
import typing

from siamese_jax import results
from siamese_jax.report.tables import table

OF_RESULTS = (
    results.RunResults,
    results.DataDescription,
    results.SetDescription,
    results.Words,
    results.Environment,
    results.TrainingSummary,
    results.OneShotResult,
    results.GroupResult,
    results.Card,
    results.Verification,
    results.VerificationResult,
    results.OperatingPoint,
    results.Roc,
    results.Decisions,
    results.PairDecisions,
    results.Calibration,
    results.Reliability,
    results.GalleryDecisions,
    results.OpenSetResult,
    results.PredictionSetResult,
    results.Familiarity,
)

HEAD = f"""# The files of results

`results.json` holds everything that a run measured. It is one `RunResults` object in JSON, of format {results.FORMAT}.
A file of another format is refused: measure the run again with `--mode=evaluate`.

In Python the same objects are frozen dataclasses of `siamese_jax.results`. Accuracies, rates and intervals are
fractions in [0, 1]. Intervals are 95 % intervals, lower bound first.

`trials.npz` beside it holds the credit of each trial, float32 [episodes, queries], under the protocol's name, or
`BASELINE.PROTOCOL`.

A packaged network has a `card.json`: one `ModelCard` object, described last.

This page is generated from `siamese_jax/results.py` by `tools/results_page.py`.
"""


def page() -> str:
    """Returns the page as Markdown."""
    return "\n".join([HEAD, *map(_section, (*OF_RESULTS, results.ModelCard))])


def _section(kind: type) -> str:
    kinds = typing.get_type_hints(kind)
    rows = [
        [
            f"`{field.name}`",
            results.type_in_words(kinds[field.name]),
            field.metadata["unit"] or "–",
            field.metadata["values"] or "–",
            field.metadata["meaning"],
        ]
        for field in dataclasses.fields(kind)
    ]
    about = "\n".join(line.strip() for line in kind.__doc__.strip().splitlines())
    return f"## {kind.__name__}\n\n{about}\n\n{table(['field', 'type', 'unit', 'values', 'meaning'], rows)}\n"


if __name__ == "__main__":
    print(page(), end="")
