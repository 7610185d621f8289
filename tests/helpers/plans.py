"""Plans of searches over the tiny experiment, for tests and for the processes that they start."""

from tiny import make_dataset, make_experiment

from siamese_jax.sampling.splits import split
from siamese_jax.search.plan import Plan, checked
from siamese_jax.search.space import parse

BASE = make_experiment()
SETS = {name: part for name, part in split(make_dataset(), "paper").items() if name != "test"}


def make_grid_plan(search, trials=0, **changes) -> Plan:
    """A plan that tries every point of a grid, unless `changes` say otherwise."""
    return checked(Plan("tiny", BASE, parse(search, BASE), trials, **{"sampler": "grid", "pruner": "none", **changes}))
