"""A plan of a search: a base experiment, the fields that are searched, how, and with which budget."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from siamese_jax import specs
from siamese_jax.errors import UserError
from siamese_jax.search.space import Space, grid, parse, text_of
from siamese_jax.specs import Experiment

SAMPLERS = ("bayesian", "random", "grid")
PRUNERS = ("median", "hyperband", "none")
TRIALS = 20
"""Candidates, unless a grid or the user says how many."""


class Plan(NamedTuple):
    """A search. Each candidate trains `base` with the fields in `spaces` changed.

    Attributes:
      name: of the study.
      base: the experiment. The winner is trained for its full length.
      spaces: the fields that are searched, and the values they may take.
      trials: candidates in all, over all workers.
      sampler: how candidates are chosen: one of SAMPLERS.
      multivariate: whether the Bayesian sampler looks at fields together.
      pruner: how candidates are ended early: one of PRUNERS.
      trial_epochs: longest training of a candidate, in epochs; 0 is no bound.
      trial_minutes: the same in minutes.
      population: candidates of equal shape that are trained as one program.
      winner_seeds: the winner is trained and measured on test with each of these seeds.
    """

    name: str
    base: Experiment
    spaces: list[Space]
    trials: int
    sampler: str = "bayesian"
    multivariate: bool = True
    pruner: str = "median"
    trial_epochs: int = 0
    trial_minutes: float = 0.0
    population: int = 1
    winner_seeds: tuple[int, ...] = ()

    @property
    def trial_base(self) -> Experiment:
        """The base, for as many epochs as a candidate may take."""
        epochs = min(self.base.max_epochs, self.trial_epochs or self.base.max_epochs)
        return dataclasses.replace(self.base, max_epochs=epochs)

    def experiment(self, values: Mapping[str, Any], base: Experiment | None = None) -> Experiment:
        """Return the experiment of a candidate with these values by field; UserError where no run could use them."""
        experiment = specs.with_values(base or self.trial_base, values)
        specs.check(experiment)
        return experiment


def checked(plan: Plan) -> Plan:
    """Return the plan with its number of candidates filled in; UserError where it cannot be carried out.

    The spaces were checked when they were read (see `space.parse`).
    """
    if plan.base.method != "siamese":
        raise UserError(f"--experiment={plan.base.name} trains no network: there is nothing to search")
    if plan.base.start_from:
        raise UserError("a search starts from random weights: leave --start_from out")
    points = len(grid(plan.spaces)) if plan.sampler == "grid" else 0
    trials = plan.trials or points or TRIALS
    if points and trials > points:
        raise UserError(f"--trials={trials} is more than the grid has: {points} combinations; leave --trials out")
    for name in ("trials", "trial_epochs", "trial_minutes"):
        if not getattr(plan, name) >= 0:
            raise UserError(f"--{name}={getattr(plan, name)} is out of range: take 0 for no bound, or a number above 0")
    if plan.population < 1:
        raise UserError(f"--population={plan.population} is out of range: take 1 or more")
    return plan._replace(trials=trials)


def described(plan: Plan) -> dict[str, Any]:
    """Return what two workers must agree on to share a study, as JSON values by name."""
    fields = {name: value for name, value in specs.leaves(plan.base) if name not in specs.DESCRIPTION}
    return {
        "experiment": plan.base.name,
        **fields,
        "search": [text_of(space) for space in plan.spaces],
        "sampler": plan.sampler,
        "multivariate": plan.multivariate,
        "pruner": plan.pruner,
        "trial_epochs": plan.trial_epochs,
        "trial_minutes": plan.trial_minutes,
    }


def make_plan(name: str, base: Experiment, spaces: Sequence[str], trials: int = 0, **how: Any) -> Plan:
    """Return a checked plan.

    Args:
      name: of the study.
      base: the experiment whose fields are searched.
      spaces: each is FIELD=SPACE, for example "optimizer.rate=log:1e-4..1e-1" (see `search.space`).
      trials: candidates in all; 0 is 20, or the whole grid.
      **how: other fields of `Plan`.

    Raises:
      UserError: a field or a space cannot be used.
    """
    return checked(Plan(name, base, parse(spaces, base), trials, **how))
