"""Plans of searches over the tiny experiment, for tests and for the processes that they start."""

from tiny import make_dataset, make_experiment

from siamese_jax.sampling.splits import split
from siamese_jax.search.plan import Plan, checked
from siamese_jax.search.space import parse
from siamese_jax.search.study import Study

BASE = make_experiment()
SETS = {name: part for name, part in split(make_dataset(), "paper").items() if name != "test"}


SPACES = ["optimizer.decay=0.5..1", "optimizer.layers.fc.learning_rate=log:1e-3..1e-1"]


def make_plan(trials=4, search=SPACES, **changes) -> Plan:
    """A Bayesian search of two rates, unless `changes` say otherwise."""
    return checked(Plan("tiny", BASE, parse(search, BASE), trials, **changes))


def run_all(study: Study, accuracy=lambda params: params["optimizer.decay"]) -> list[dict]:
    """Runs what is asked for; returns the values of each trial."""
    drawn = []
    while not study.done:
        for trial in study.ask(1):
            drawn.append(trial.params)
            study.report(trial, 1, accuracy(trial.params))
            study.complete(trial, accuracy(trial.params))
    return drawn


def make_grid_plan(search, trials=0, **changes) -> Plan:
    """A plan that tries every point of a grid, unless `changes` say otherwise."""
    return checked(Plan("tiny", BASE, parse(search, BASE), trials, **{"sampler": "grid", "pruner": "none", **changes}))
