"""Sweeps: the fields of an experiment searched on validation, by one worker or many, and the winner measured on test.

Optuna is the engine; it is imported when a sweep is run.
"""

from siamese_jax.search.plan import PRUNERS, SAMPLERS, Plan, checked
from siamese_jax.search.space import parse

__all__ = ["PRUNERS", "SAMPLERS", "Plan", "checked", "parse"]
