"""Spaces: the fields that a search varies, and the values that each may take, written as FIELD=SPACE.

optimizer.layers.conv1.learning_rate=log:1e-4..1e-1     a range, evenly in its logarithm
network.conv2.filters=16..256:16                        a range, in steps
optimizer.decay=0.9..1                                  a range
network.energy=weighted_l1,cosine                       choices
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from siamese_jax import specs
from siamese_jax.errors import UserError, did_you_mean
from siamese_jax.specs import Experiment

UNSEARCHED = {*specs.DESCRIPTION, "method", "max_epochs", "patience", "checkpoint_minutes", "log_steps"}
"""Fields that describe an experiment, change its method, or limit its budget."""
UNSEARCHED |= {"data.drawer_split", "data.validation_pairs", "data.test_pairs", "start_from"}
UNSEARCHED |= {f"data.{name}" for name in ("path", "table", "author", "split", "split_seed", "words", "polarity")}
UNSEARCHED |= {"data.validation_groups", "data.test_groups"}
"""Fields that would change the objective, like those of `evaluation` (except how supports are combined)."""


class Range(NamedTuple):
    """Numbers from `low` to `high`: all of them, or in steps from `low`, or evenly in their logarithm."""

    field: str
    low: float
    high: float
    step: float | None = None
    log: bool = False

    @property
    def values(self) -> tuple[Any, ...]:
        """The values of a range with steps; empty for a range without steps."""
        if self.step is None:
            return ()
        steps = (self.high - self.low) / self.step * (1 + 1e-12)  # with a tolerance for rounding
        # Rounded: 0.1 + 2 * 0.1 is not 0.3, and would lie beyond the end of the range.
        return tuple(round(self.low + place * self.step, 12) for place in range(1 + math.floor(steps)))


class Choices(NamedTuple):
    """Choices, in the order in which they were given."""

    field: str
    values: tuple[Any, ...]


Space = Range | Choices


def parse(texts: Iterable[str], experiment: Experiment) -> list[Space]:
    """Return the spaces that are given as FIELD=SPACE, each checked at its ends.

    UserError for a field that the experiment does not have, or that is given twice; for a space that is none, is empty,
    or has an end that no run could use.
    """
    spaces: list[Space] = []
    for text in texts:
        field, equals, space = text.partition("=")
        if not equals:
            raise UserError(f"--search={text} is not FIELD=SPACE: write --search=optimizer.decay=0.9..1, for example")
        registered = _registered(field, experiment)
        if field in {other.field for other in spaces}:
            raise UserError(f"--search={field} is given twice: leave one of them out")
        spaces.append(_parse(field, space, registered))
        ends = (spaces[-1].low, spaces[-1].high) if isinstance(spaces[-1], Range) else spaces[-1].values
        for value in ends:
            specs.check(specs.with_value(experiment, field, value))
    return spaces


def grid(spaces: Sequence[Space]) -> list[dict[str, Any]]:
    """Return all combinations of the spaces' values, the last field fastest; UserError for an endless one."""
    points: list[dict[str, Any]] = [{}]
    for space in spaces:
        if isinstance(space, Range) and not space.values:
            raise UserError(
                f"--search={space.field} has infinitely many values, which a grid cannot hold: give it steps "
                f"({space.low:g}..{space.high:g}:STEP) or choices (A,B,C), or take another --sampler"
            )
        points = [{**point, space.field: value} for point in points for value in space.values]
    return points


def point_of(spaces: Sequence[Space], experiment: Experiment) -> dict[str, Any] | None:
    """Return the experiment's own values of the searched fields; None where one of them is outside its space."""
    fields = dict(specs.leaves(experiment))
    point = {space.field: fields[space.field] for space in spaces}
    return point if all(_holds(space, point[space.field]) for space in spaces) else None


def text_of(space: Space) -> str:
    """Return FIELD=SPACE, which `parse` reads."""
    if isinstance(space, Choices):
        return f"{space.field}={','.join(map(str, space.values))}"
    step = "" if space.step is None else f":{space.step}"
    return f"{space.field}={'log:' if space.log else ''}{space.low}..{space.high}{step}"


def _holds(space: Space, value: Any) -> bool:
    if isinstance(space, Choices) or space.values:
        return value in space.values
    return space.low <= value <= space.high


def _registered(field: str, experiment: Experiment) -> Any:
    fields = {name: value for name, value in specs.leaves(experiment) if _can_be_searched(name)}
    if field not in fields:
        hint = did_you_mean(field, fields)
        raise UserError(f"--search={field} is not a field of {experiment.name} to search{': ' * bool(hint)}{hint}")
    return fields[field]


def _can_be_searched(field: str) -> bool:
    return field not in UNSEARCHED and (not field.startswith("evaluation.") or field == "evaluation.combine")


def _parse(field: str, text: str, registered: Any) -> Space:
    kind, where = type(registered), f"--search={field}={text}"
    log, body = text.startswith("log:"), text.removeprefix("log:")
    if ".." not in body:
        if log:
            raise UserError(f"{where} is no range: write log:LOW..HIGH")
        return _choices(field, body, kind, where)
    if kind not in (int, float):
        raise UserError(f"{where} is a range of something that is no number: give choices, separated by commas")
    ends, colon, step = body.partition(":")
    low, _, high = ends.partition("..")
    low, high = _value(low, kind, where), _value(high, kind, where)
    step = _value(step, kind, where) if colon else None
    if not low < high:
        raise UserError(f"{where} is empty: write LOW..HIGH with LOW below HIGH; one value is a flag of its own")
    if log and (low <= 0 or step is not None):
        raise UserError(f"{where} cannot be even in its logarithm: begin above 0, and leave steps out")
    if step is not None and not 0 < step <= high - low:
        raise UserError(f"{where} has no such step: take one above 0, and at most {high - low:g}")
    if kind is int and step is None and not log:
        step = 1
    return Range(field, low, high, step, log)


def _choices(field: str, text: str, kind: type, where: str) -> Choices:
    values = tuple(_value(part, kind, where) for part in text.split(","))
    if len(set(values)) < len(values):
        raise UserError(f"{where} has a value twice: leave one of them out")
    return Choices(field, values)


def _value(text: str, kind: type, where: str) -> Any:
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.strip().lower()]
        if not text.strip():
            raise ValueError
        value = kind(text.strip())
    except (ValueError, KeyError):
        kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}
        raise UserError(f"{where}: {text!r} is not {kinds[kind]}, as {where.split('=')[1]} is") from None
    if kind is float and not math.isfinite(value):
        raise UserError(f"{where}: {text!r} is not finite")
    return value
