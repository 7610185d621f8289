"""What a sweep is: a base experiment, what is searched, how, and with which budget."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from siamese_jax import specs
from siamese_jax.errors import UserError
from siamese_jax.search.space import Space, grid, text_of
from siamese_jax.specs import Experiment

SAMPLERS = ("bayesian", "random", "grid")
PRUNERS = ("median", "hyperband", "none")
TRIALS = 20
"""Unless a grid says how many, or the user does."""


class Plan(NamedTuple):
    """A sweep. `base` is trained by every trial but for what `spaces` vary, and by the winner for as long as it says.

    A trial trains for at most `trial_epochs` and `trial_minutes`, whichever is over first; 0 is no such bound. Up to
    `population` trials of equal shape are trained as one program. The winner is trained with each of `winner_seeds`.
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
        """The experiment of a trial before anything is varied: the base, for as many epochs as a trial may take."""
        epochs = min(self.base.max_epochs, self.trial_epochs or self.base.max_epochs)
        return dataclasses.replace(self.base, max_epochs=epochs)

    def experiment(self, values: Mapping[str, Any], base: Experiment | None = None) -> Experiment:
        """Returns the experiment of a trial with these values by field; UserError where no run could use them."""
        experiment = base or self.trial_base
        for field, value in values.items():
            experiment = specs.with_value(experiment, field, value)
        specs.check(experiment)
        return experiment


def checked(plan: Plan) -> Plan:
    """Returns the plan, with as many trials as a grid has where none are asked for; UserError for what cannot be done.

    Fields were checked when they were read (see `space.parse`).
    """
    if plan.base.method != "siamese":
        raise UserError(f"--experiment={plan.base.name} trains nothing: there is nothing to search")
    points = len(grid(plan.spaces)) if plan.sampler == "grid" else 0
    trials = plan.trials or points or TRIALS
    if points and trials > points:
        raise UserError(f"--trials={trials} is more than the grid has: {points} combinations; leave --trials out")
    for name in ("trials", "trial_epochs", "trial_minutes"):
        if not getattr(plan, name) >= 0:
            raise UserError(f"--{name}={getattr(plan, name)} is out of range: take a number above 0")
    if plan.population < 1:
        raise UserError(f"--population={plan.population} is out of range: take 1 or more")
    return plan._replace(trials=trials)


def described(plan: Plan) -> dict[str, Any]:
    """Returns what two workers must agree on to share a study, as JSON values by name."""
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
