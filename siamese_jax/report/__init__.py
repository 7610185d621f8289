"""results.json for programs, report.md and report.html for people: what was run, what came out, beside what others had.

"Paper" is Koch, Zemel and Salakhutdinov (2015). Accuracies are fractions in [0, 1] in `results`, per cent in the text,
and never without their trials and 95 % interval. Markdown is the one source; the page is made from it.
"""

from siamese_jax.report.beside import published_on_official_runs, small_background
from siamese_jax.report.departures import DIFFERENCES, PAPER, choices, differences
from siamese_jax.report.html import page
from siamese_jax.report.pictures import COMPARISON_PICTURES, PICTURES
from siamese_jax.report.published import ELSEWHERE, SMALL_BACKGROUNDS, TABLE_1, TABLE_2, TABLE_3
from siamese_jax.report.sections import report
from siamese_jax.report.side_by_side import Contestant, Paired, Run, comparison, contestants
from siamese_jax.report.written import write_comparison, write_report, write_results

__all__ = [
    "COMPARISON_PICTURES",
    "DIFFERENCES",
    "ELSEWHERE",
    "PAPER",
    "PICTURES",
    "SMALL_BACKGROUNDS",
    "TABLE_1",
    "TABLE_2",
    "TABLE_3",
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
    "write_results",
]
