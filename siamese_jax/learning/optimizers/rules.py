"""Rules by path: which parameters a rule applies to."""

from collections.abc import Iterable
from typing import Any

import jax

from siamese_jax.errors import UserError


def path_of(path: tuple[Any, ...]) -> str:
    """Return the path of a parameter as text, "stage1a/kernel" for example."""
    return "/".join(key.key for key in path)


def layer_of(path: tuple[Any, ...]) -> str:
    """Return the path of a parameter's layer; a parameter that is in no layer is one of its own."""
    return path_of(path[:-1]) or path_of(path)


def is_below(path: str, layer: str) -> bool:
    """Return whether a parameter belongs to the layer at a path, or to a part of that layer."""
    return f"{path}/".startswith(f"{layer}/")


def assign(params: Any, rules: Iterable[str]) -> Any:
    """Return a tree like `params` with the name of each parameter's rule.

    Args:
        params: parameters, nested dicts of arrays of any depth.
        rules: the names of the rules: paths of layers.

    Raises:
        UserError: unless every parameter has exactly one rule and every rule a parameter.
    """
    rules, paths = list(rules), [path for path, _ in jax.tree.leaves_with_path(params)]
    found = {path_of(path): [rule for rule in rules if is_below(path_of(path), rule)] for path in paths}
    missing = sorted({layer_of(path) for path in paths if not found[path_of(path)]})
    unused = sorted(set(rules) - {rule for of in found.values() for rule in of})
    if missing or unused:
        raise UserError(
            f"optimizer.layers must name the network's layers: missing {missing}, unused {unused}; take an experiment "
            "that is registered with this network.tower (--list shows all), or --optimizer.name=adamw"
        )
    twice = next((path for path, of in found.items() if len(of) > 1), None)
    if twice:
        raise UserError(f"optimizer.layers has two rules for {twice}, {found[twice]}: leave one of them out")
    return jax.tree.map_with_path(lambda path, _: found[path_of(path)][0], params)
