"""Damage to what JSON holds: one part replaced by a value of each kind, removed, or added."""

import copy
import random
from collections.abc import Iterator
from typing import Any

KINDS = (
    None, True, False, 0, -1, 3, 10**400, 2**70, 0.5, -0.5, 1e308, float("nan"), float("inf"), "", "x", "\x1b[31m",
    "\ud800",
    "![x](/etc/hostname)", "9" * 300, [], [1], [[]], {}, {"a": 1}, {"": {"": None}},
)  # fmt: skip


def mutations(value: Any, number: int, seed: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield damaged copies of a value, each with a few words on what was done; the same ones for a seed."""
    rng, places = random.Random(seed), list(_places(value))
    for _ in range(number):
        place = rng.choice(places)
        how = rng.choice(("replace", "replace", "replace", "remove", "add"))
        damaged = copy.deepcopy(value)
        at = damaged
        for name in place[:-1]:
            at = at[name]
        name, new = place[-1], rng.choice(KINDS)
        if how == "remove":
            del at[name]
        elif how == "replace":
            at[name] = new
        elif isinstance(at, dict):
            at[rng.choice(("extra", "a.b", "", "format"))] = new
        else:
            at.append(new)
        yield f"{how} {'.'.join(map(str, place))} {new!r:.40}", damaged


def _places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    if isinstance(value, dict | list):
        for name, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*path, name)
            yield from _places(part, (*path, name))
