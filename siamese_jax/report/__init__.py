"""Reports: report.md and report.html from results, metrics and pictures, beside what was published.

Nothing is measured here. "The paper" is Koch, Zemel and Salakhutdinov (2015). Results hold fractions in [0, 1]; the
text shows per cent, each accuracy with its trials and 95 % interval. The page is made from the Markdown.
"""

from siamese_jax.report.beside import published_on_official_runs, small_background
from siamese_jax.report.departures import DIFFERENCES, PAPER, choices, differences
from siamese_jax.report.html import page
from siamese_jax.report.pictures import COMPARISON_PICTURES, PICTURES
from siamese_jax.report.sections import report
from siamese_jax.report.side_by_side import Contestant, Paired, Run, comparison, contestants
from siamese_jax.report.written import write_comparison, write_report

__all__ = [
    "COMPARISON_PICTURES",
    "DIFFERENCES",
    "PAPER",
    "PICTURES",
    "Contestant",
    "Paired",
    "Run",
    "choices",
    "comparison",
    "contestants",
    "differences",
    "page",
    "published_on_official_runs",
    "report",
    "small_background",
    "write_comparison",
    "write_report",
]
