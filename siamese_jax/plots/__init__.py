"""The pictures of a report: how training went, how good the network is, what it confuses and what it has learned.

Each picture is a function of arrays and results that returns a matplotlib Figure. `save` writes it as PNG. Matplotlib
is imported when a picture is made, because the import is slow. Pyplot and its global state are not used.
"""

from siamese_jax.plots.accuracy import comparison_figure, groups_figure, n_way_figure
from siamese_jax.plots.decisions import reliability_figure
from siamese_jax.plots.ladder import ladder_figure
from siamese_jax.plots.network import distortions_figure, filters_figure, units_figure
from siamese_jax.plots.style import save
from siamese_jax.plots.training import training_figure
from siamese_jax.plots.trials import Confused, HardTrial, confused_figure, hardest_figure, trial_figure
from siamese_jax.plots.verification import roc_figure

__all__ = [
    "Confused",
    "HardTrial",
    "comparison_figure",
    "confused_figure",
    "distortions_figure",
    "filters_figure",
    "groups_figure",
    "hardest_figure",
    "ladder_figure",
    "n_way_figure",
    "reliability_figure",
    "roc_figure",
    "save",
    "training_figure",
    "trial_figure",
    "units_figure",
]
