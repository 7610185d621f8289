"""Fields of specs by dotted name: list, replace, check, write and read them.

A spec is a frozen dataclass. A field of a spec holds a plain value (bool, int, float or str), another spec, a mapping
from names to specs, or a variant: one of several specs.

Each plain value below a spec has a dotted name, such as `data.train_pairs`; these values are the leaves of the spec.
A variant has one more leaf, its tag: the name of the variant, such as `network.tower`.
"""

import dataclasses
import fnmatch
import math
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from siamese_jax.errors import UserError, did_you_mean

LARGEST = math.ldexp(1.0, 1023)
"""No number of a field is larger."""


class Variant:
    """One of several specs that a field can hold: a member of a tagged union.

    A direct subclass is a union; it declares `variants`. Its subclasses are frozen dataclasses; each that declares a
    `name` is a member. The name is the value of the tag.
    """

    name: ClassVar[str]
    variants: ClassVar[dict[str, type["Variant"]]]
    """The members by name. A subclass adds itself."""
    beside: ClassVar[bool] = False
    """The dotted names of a field f that holds the union. True: the tag is `f`, and the member's fields have names
    beside it. False: the tag is `f.name`, and the member's fields are `f.FIELD`."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "name" in vars(cls):
            cls.variants[cls.name] = cls


class Within(NamedTuple):
    """The range of a number: `low` and `high` belong to it; `high` does not if `open`."""

    low: float
    high: float
    open: bool = False

    def holds(self, value: float) -> bool:
        """Return whether the value is finite and in the range."""
        finite = abs(value) <= LARGEST  # a whole number may be larger than any float
        return finite and self.low <= value and (value < self.high if self.open else value <= self.high)

    def __str__(self) -> str:
        if self.high == math.inf:
            return "a finite number, not negative"
        return f"a number from {self.low} to {'below ' if self.open else ''}{self.high}"


OrZero = Annotated[int, Within(0, 2**31 - 1)]
Share = Annotated[float, Within(0, 1)]
BelowOne = Annotated[float, Within(0, 1, open=True)]
BOUNDS = {int: Within(1, 2**31 - 1), float: Within(0, math.inf)}
"""The ranges of numbers whose type is not annotated with a range."""

KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}


class Declared(NamedTuple):
    """A leaf that a spec can have.

    Attributes:
        kind: the type of its value.
        given_by: the tags that give it, each with the value that does. Empty: every spec of the type has it.
        is_tag: whether it is a tag.
    """

    kind: type
    given_by: tuple[tuple[str, str], ...] = ()
    is_tag: bool = False


def leaves(spec: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, value) of every leaf of a spec, each tag before the fields of its member."""
    if isinstance(spec, Variant) and not spec.beside:
        yield f"{prefix}name", spec.name
    for name, value in _items(spec):
        if isinstance(value, Variant) and value.beside:
            yield prefix + name, value.name
            yield from leaves(value, prefix)
        elif _is_spec(value):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def every_field(kind: type, prefix: str = "") -> dict[str, Declared]:
    """Return all leaves that specs of a type can have, by dotted name; `*` stands for any name in a mapping."""
    found: dict[str, Declared] = {}
    for name, hint in _hints(kind).items():
        plain = _without_annotation(hint)
        if _is_union(plain):
            tag, below = (prefix + name, prefix) if plain.beside else (f"{prefix}{name}.name", f"{prefix}{name}.")
            found[tag] = Declared(str, is_tag=True)
            for variant in plain.variants.values():
                for field, declared in every_field(variant, below).items():
                    before = found[field].given_by if field in found else ()
                    given_by = before + (declared.given_by or ((tag, variant.name),))
                    found[field] = declared._replace(given_by=given_by)
        elif isinstance(plain, type) and dataclasses.is_dataclass(plain):
            found |= every_field(plain, f"{prefix}{name}.")
        elif typing.get_origin(plain) is Mapping:
            found |= every_field(typing.get_args(plain)[1], f"{prefix}{name}.*.")
        else:
            found[prefix + name] = Declared(_kind(plain))
    return found


def tags_of(kind: type) -> list[str]:
    """Return the dotted names of the tags of specs of a type."""
    return [name for name, declared in every_field(kind).items() if declared.is_tag]


def with_values(spec: Any, values: Mapping[str, Any]) -> Any:
    """Return `spec` with several leaves replaced.

    Names that choose a variant, such as `network.tower`, are set first, so that the order of `values` does not matter.

    Args:
        spec: any spec.
        values: new values by dotted name.

    Raises:
        UserError: see `with_value`.
    """
    tags = tags_of(type(spec))
    for name in sorted(values, key=lambda name: name not in tags):
        spec = with_value(spec, name, values[name])
    return spec


def with_value(spec: Any, name: str, value: Any) -> Any:
    """Return `spec` with one leaf replaced.

    A new value of a tag replaces the variant. The new variant has its defaults, and the old one's values of the fields
    that both have.

    Args:
        spec: any spec.
        name: the dotted name of a leaf.
        value: its new value. The value of a field is not checked here; see `check`.

    Raises:
        UserError: if `spec` has no such leaf, or the value of a tag does not exist.
    """
    try:
        return _replaced(spec, name, value)
    except _NoSuchVariant as error:
        raise UserError(f"{name}={value} is not a choice: take one of {error}") from None
    except KeyError:
        raise UserError(_explain_missing(spec, name)) from None


def check(spec: Any, prefix: str = "") -> None:
    """Raise UserError for the first leaf that no run can use: of another type, not finite, out of range, no choice."""
    if not prefix:
        _check_names(spec)
    hints = {} if isinstance(spec, Mapping) else _hints(type(spec))
    for name, value in _items(spec):
        if isinstance(value, Variant) and value.beside:
            check(value, prefix)
        elif _is_spec(value):
            check(value, f"{prefix}{name}.")
        else:
            _check_value(hints[name], value, prefix + name)


def to_nested(spec: Any) -> dict[str, Any]:
    """Return the leaves of a spec as nested dicts, as they are written to JSON."""
    nested: dict[str, Any] = {}
    for name, value in leaves(spec):
        *parents, last = name.split(".")
        at = nested
        for parent in parents:
            at = at.setdefault(parent, {})
        at[last] = value
    return nested


def from_nested(kind: type, nested: Mapping[str, Any]) -> Any:
    """Return the spec that `to_nested` wrote.

    Args:
        kind: the type of the spec.
        nested: all of its leaves and no others.

    Raises:
        UserError: if a leaf is missing, unknown, or no run can use its value.
    """
    values = dict(_written(nested))
    spec = _built(kind, values, "")
    if values:
        raise UserError(_explain_missing(spec, next(iter(values))))
    return spec


def _written(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, value) of all that nested mappings hold; an empty mapping is a value, which no leaf has."""
    for name, value in nested.items():
        if "." in name:
            raise UserError(f"{prefix}{name:.80} is not a field")
        if isinstance(value, Mapping) and value:
            yield from _written(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


class _NoSuchVariant(Exception):
    pass


def _built(kind: type, values: dict[str, Any], prefix: str) -> Any:
    """Build a spec from its leaves, which are removed from `values`."""
    if _is_union(kind) and not kind.beside:
        kind = _member(kind, values, f"{prefix}name")
    arguments = {}
    for name, hint in _hints(kind).items():
        plain, where = _without_annotation(hint), prefix + name
        if _is_union(plain) and plain.beside:
            arguments[name] = _built(_member(plain, values, where), values, prefix)
        elif isinstance(plain, type) and (dataclasses.is_dataclass(plain) or _is_union(plain)):
            arguments[name] = _built(plain, values, f"{where}.")
        elif typing.get_origin(plain) is Mapping:
            keys = dict.fromkeys(
                field.removeprefix(f"{where}.").split(".")[0] for field in values if field.startswith(f"{where}.")
            )
            of = typing.get_args(plain)[1]
            arguments[name] = {key: _built(of, values, f"{where}.{key}.") for key in keys}
        else:
            arguments[name] = _taken(values, where)
            _check_value(hint, arguments[name], where)
    return kind(**arguments)


def _member(union: type[Variant], values: dict[str, Any], tag: str) -> type[Variant]:
    name = _taken(values, tag)
    if not isinstance(name, str) or name not in union.variants:
        raise UserError(f"{tag}={_short(name)} is not a choice: take one of {', '.join(union.variants)}")
    return union.variants[name]


def _taken(values: dict[str, Any], name: str) -> Any:
    if name not in values:
        raise UserError(f"{name} is missing")
    return values.pop(name)


def _replaced(spec: Any, name: str, value: Any) -> Any:
    """Return `spec` with one leaf replaced; KeyError if there is none."""
    if isinstance(spec, Variant) and not spec.beside and name == "name":
        return _switched(spec, value)
    head, _, rest = name.partition(".")
    fields = dict(_items(spec))
    if head not in fields:
        head = next((field for field in fields if _stands_beside(fields[field], head)), None)
        if head is None:
            raise KeyError(name)
        new = _replaced(fields[head], name, value)
    elif isinstance(fields[head], Variant) and fields[head].beside and not rest:
        new = _switched(fields[head], value)
    elif rest and _is_spec(fields[head]) and not getattr(fields[head], "beside", False):
        new = _replaced(fields[head], rest, value)
    elif not rest and not _is_spec(fields[head]):
        new = value
    else:
        raise KeyError(name)
    fields[head] = new
    return fields if isinstance(spec, Mapping) else type(spec)(**fields)


def _stands_beside(member: Any, name: str) -> bool:
    """Return whether a value is a member of a union with a field of that name, which stands beside its tag."""
    return isinstance(member, Variant) and member.beside and name in _hints(type(member))


def _switched(old: Variant, name: str) -> Variant:
    """Return the member of that name, with the old one's values of the fields that both have."""
    if name not in old.variants:
        raise _NoSuchVariant(", ".join(old.variants))
    new, values = old.variants[name], dict(_items(old))
    return new(**{field: values[field] for field in _hints(new) if field in values})


def _explain_missing(spec: Any, name: str) -> str:
    """Return why a spec has no leaf of that name, and what to do."""
    own = dict(leaves(spec))
    declared = next((d for pattern, d in every_field(type(spec)).items() if fnmatch.fnmatchcase(name, pattern)), None)
    given_by = declared.given_by if declared else ()
    if given_by and own.get(given_by[0][0]) not in [value for _, value in given_by]:
        tag = given_by[0][0]
        needed = " or ".join(value for _, value in given_by)
        return f"{name} is a field of {tag}={needed}, but {tag} is {own.get(tag)}: leave it out, or set {tag}"
    hint = did_you_mean(name[:200], own)
    return f"{name:.80} is not a field{': ' * bool(hint)}{hint}"


def _check_names(spec: Any) -> None:
    names = [name for name, _ in leaves(spec)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(f"{twice} is a field of two members: rename one of them")


def _check_value(hint: Any, value: Any, name: str) -> None:
    plain, where = _without_annotation(hint), f"{name}={_short(value)}"
    kind, choices = _kind(plain), typing.get_args(plain) if typing.get_origin(plain) is Literal else ()
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise UserError(f"{where} must be {KINDS[kind]}")
    if choices and value not in choices:
        raise UserError(f"{where} is not a choice: take one of {', '.join(choices)}")
    if kind in BOUNDS:
        bounds = next((note for note in getattr(hint, "__metadata__", ()) if isinstance(note, Within)), BOUNDS[kind])
        if not bounds.holds(value):
            raise UserError(f"{where} is out of range: take {bounds}")


def _short(value: Any) -> str:
    """Return a value as a message shows it."""
    return f"{value!s:.80}"


def _items(spec: Any) -> list[tuple[str, Any]]:
    if isinstance(spec, Mapping):
        return list(spec.items())
    return [(field.name, getattr(spec, field.name)) for field in dataclasses.fields(spec)]


def _hints(kind: type) -> dict[str, Any]:
    """Return the types of the fields of a dataclass, in order."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _is_spec(value: Any) -> bool:
    return dataclasses.is_dataclass(value) or isinstance(value, Mapping)


def _is_union(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Variant)


def _without_annotation(hint: Any) -> Any:
    return typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint


def _kind(plain: Any) -> type:
    """Return the plain type of a field: all choices are words."""
    return str if typing.get_origin(plain) is Literal else plain
