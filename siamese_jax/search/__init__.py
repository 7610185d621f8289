"""Search: fields of an experiment are searched on validation, by one worker or many. The winner is measured on test.

Optuna is the engine. It is imported when a search is run.
"""

from siamese_jax.search.plan import PRUNERS, SAMPLERS, Plan, checked, make_plan
from siamese_jax.search.space import parse

__all__ = ["PRUNERS", "SAMPLERS", "Plan", "checked", "make_plan", "parse"]
