"""Networks with random parameters, quickly: they are neither sampled by JAX nor trained."""

from dataclasses import replace
from typing import Any

import jax
import numpy as np
from tiny_model import EXPERIMENT, card

from siamese_jax.network.siamese import init_params
from siamese_jax.pretrained import Model
from siamese_jax.specs import EvalSpec


def random_model(combine: str = EvalSpec.combine, shape: tuple[int, int, int] | None = None, **network: Any) -> Model:
    """Return a tiny network for images of `make_dataset`; no bias is 0 and no scale is 1.

    Args:
      combine: How several supports are combined.
      shape: Of its images, if they are others.
      network: Fields of the network that differ from those of EXPERIMENT.
    """
    spec = replace(EXPERIMENT.network, **network)
    shape = shape or EXPERIMENT.data.image_shape
    shapes = jax.eval_shape(lambda: init_params(jax.random.key(0), spec, shape))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda one: rng.normal(0, 0.3, one.shape).astype(np.float32), shapes)
    evaluation = replace(EXPERIMENT.evaluation, combine=combine)
    return Model(replace(EXPERIMENT, network=spec, evaluation=evaluation), params, card())
