"""Fields of specs by dotted name: listing, replacing and checking them."""

import dataclasses
import math
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from siamese_jax.errors import UserError

MAY_BE_ZERO = {"copies", "momentum_epochs", "seed", "side"}
AT_MOST_ONE = {"probability", "momentum", "initial_momentum", "decay"}
BELOW_ONE = {"scale", "shear", "average", "warmup"}
"""Beyond the first two a distorted image would be folded over; the others are shares that leave something."""


def leaves(spec: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields (dotted name, value) of every plain value in a spec, in the order of declaration."""
    for name, value in _items(spec):
        if dataclasses.is_dataclass(value) or isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def with_value(spec: Any, name: str, value: Any) -> Any:
    """Returns `spec` with the field at the dotted `name` replaced; KeyError where there is none."""
    head, _, rest = name.partition(".")
    fields = dict(_items(spec))
    if rest:
        value = with_value(fields[head], rest, value)
    elif head not in fields:
        raise KeyError(name)
    return {**fields, head: value} if isinstance(spec, Mapping) else dataclasses.replace(spec, **{head: value})


def check(spec: Any, prefix: str = "") -> None:
    """Raises UserError for the first field whose value no run could use: not finite, out of range, not a choice."""
    hints = {} if isinstance(spec, Mapping) else typing.get_type_hints(type(spec))
    for name, value in _items(spec):
        where = f"{prefix}{name}={value}"
        choices = typing.get_args(hints.get(name)) if typing.get_origin(hints.get(name)) is Literal else ()
        if choices and value not in choices:
            raise UserError(f"{where} is not a choice: take one of {', '.join(choices)}")
        if dataclasses.is_dataclass(value) or isinstance(value, Mapping):
            check(value, f"{prefix}{name}.")
        elif isinstance(value, float) and not (math.isfinite(value) and value >= 0):
            raise UserError(f"{where} is out of range: take a finite number, not negative")
        elif type(value) is int and not (0 if name in MAY_BE_ZERO else 1) <= value < 2**31:
            raise UserError(f"{where} is out of range: take {0 if name in MAY_BE_ZERO else 1} to {2**31 - 1}")
        elif (name in AT_MOST_ONE and value > 1) or (name in BELOW_ONE and value >= 1):
            raise UserError(
                f"{where} is out of range: take a number from 0 to {'1' if name in AT_MOST_ONE else 'below 1'}"
            )


def _items(spec: Any) -> list[tuple[str, Any]]:
    if isinstance(spec, Mapping):
        return list(spec.items())
    return [(field.name, getattr(spec, field.name)) for field in dataclasses.fields(spec)]
