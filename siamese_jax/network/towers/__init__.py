"""Towers: modules that embed one image, [H, W, C] in [0, 1] -> [D], float32. There is one file per tower.

A tower is any Linen module that is built from its spec and the name of an initialiser. Its parameters may nest to any
depth. Files, the rules of optimizers and metrics name them by path. No part of a tower may be called "out": the energy
has that name.

Layers whose outputs pass a ReLU can report them, for the share of filters that are always 0:
`self.sow("relus", "output", features)` in a layer, or another name than "output" for what belongs to no layer.
"""

from collections.abc import Callable

import flax.linen as nn

from siamese_jax.network.towers.conv import ConvTower
from siamese_jax.network.towers.dense import DenseTower
from siamese_jax.network.towers.residual import ResidualTower
from siamese_jax.specs import Conv, Dense, Residual, Tower

TOWERS: dict[type[Tower], Callable[..., nn.Module]] = {
    Conv: ConvTower,
    Dense: DenseTower,
    Residual: ResidualTower,
}
"""What builds the module from (spec, initialiser), by the type of the spec. Add an entry for a tower of your own."""
