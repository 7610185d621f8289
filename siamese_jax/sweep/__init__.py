"""Sweeps: the fields of an experiment searched on validation, by one worker or many, and the winner measured on test.

Optuna is the engine; it is imported when a sweep is run.
"""

from siamese_jax.sweep.plan import PRUNERS, SAMPLERS, Plan, checked
from siamese_jax.sweep.space import parse

__all__ = ["PRUNERS", "SAMPLERS", "Plan", "checked", "parse"]
