"""Fine-tuning: the parameters of a trained network as the start of another training."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jax import Array

from siamese_jax.errors import UserError

Params = Mapping[str, Any]


def adapted(trained: Params, fresh: Params) -> tuple[dict[str, Any], list[str]]:
    """Return parameters to start from: those of a trained network where they fit, else fresh ones.

    A kernel that differs in its input channels alone is adapted. From grey to colour, each colour gets a third of the
    grey kernel; from colour to grey, the kernels of the colours are added. So a grey picture gives the same features
    before and after.

    Args:
      trained: parameters of the trained network.
      fresh: parameters of the new network, sampled at random.

    Returns:
      The parameters, and the paths of those that are fresh.

    Raises:
      UserError: no kernel fits.
    """
    new: list[str] = []
    params = _adapted(trained, fresh, "", new)
    if not any(path.endswith("kernel") for path in _paths(fresh) if path not in new):
        raise UserError(
            "no layer of the trained network fits this one: take the tower that it was trained with, for example "
            "--network.tower=residual, with the same filters"
        )
    return params, new


def _adapted(trained: Any, fresh: Params, path: str, new: list[str]) -> dict[str, Any]:
    params = {}
    for name, part in fresh.items():
        of_trained, where = trained.get(name) if isinstance(trained, Mapping) else None, f"{path}/{name}".lstrip("/")
        if isinstance(part, Mapping):
            params[name] = _adapted(of_trained, part, where, new)
            continue
        params[name] = None if isinstance(of_trained, Mapping | None) else _fitted(jnp.asarray(of_trained), part.shape)
        if params[name] is None:
            params[name] = part
            new.append(where)
    return params


def _fitted(array: Array, shape: tuple[int, ...]) -> Array | None:
    """Return a copy of an array in another shape; None where that is not possible."""
    if array.shape == shape:
        return jnp.copy(array)
    if len(shape) != 4 or (array.shape[:2], array.shape[3:]) != (shape[:2], shape[3:]):
        return None
    if array.shape[2] == 1:
        return jnp.repeat(array, shape[2], axis=2) / shape[2]
    return array.sum(axis=2, keepdims=True) if shape[2] == 1 else None


def _paths(params: Params) -> list[str]:
    return [
        f"{name}/{below}" if below else name
        for name, part in params.items()
        for below in (_paths(part) if isinstance(part, Mapping) else [""])
    ]
