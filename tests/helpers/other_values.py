"""Another value for a field: for tests of what depends on which field."""

from typing import Any

from siamese_jax.specs import Variant, leaves, with_value

UNIONS = {union.__name__: union for union in Variant.__subclasses__()}
TAGS = {"data.name": "DataSpec", "network.tower": "Tower", "network.energy": "Energy", "loss.name": "LossSpec"}
TAGS |= {"optimizer.name": "OptimizerSpec"}
CHOICES = {"data.drawer_split": ("paper", "official")}


def with_another_value(experiment: Any, name: str) -> Any:
    """Return the experiment with another value in one field."""
    value = dict(leaves(experiment))[name]
    choices = UNIONS[TAGS[name]].variants if name in TAGS else CHOICES.get(name, ())
    if choices:
        return with_value(experiment, name, next(choice for choice in choices if choice != value))
    other = {bool: lambda v: not v, str: lambda v: v + "!", int: lambda v: v + 1, float: lambda v: v + 1}
    return with_value(experiment, name, other[type(value)](value))
