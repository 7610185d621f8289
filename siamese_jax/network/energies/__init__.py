"""Energies: modules that compare two embeddings [D], symmetrically, and give the logit [] of "same". One file each.

An energy is any Linen module that is built from its spec and the name of an initialiser. Its parameters may nest to any
depth. Two methods are optional. `distance(left, right)` -> [], for the contrastive and the triplet loss.
`contributions(left, right)` -> ([D], []), where the logit is a sum over units: their terms and the rest.
"""

from collections.abc import Callable

import flax.linen as nn

from siamese_jax.network.energies.cosine import CosineEnergy
from siamese_jax.network.energies.euclidean import EuclideanEnergy
from siamese_jax.network.energies.l1_distance import L1DistanceEnergy
from siamese_jax.network.energies.weighted_l1 import WeightedL1Energy
from siamese_jax.specs import Cosine, Energy, Euclidean, L1Distance, WeightedL1

ENERGIES: dict[type[Energy], Callable[..., nn.Module]] = {
    WeightedL1: WeightedL1Energy,
    L1Distance: L1DistanceEnergy,
    Euclidean: EuclideanEnergy,
    Cosine: CosineEnergy,
}
"""What builds the module from (spec, initialiser), by the type of the spec. Add an entry for an energy of your own."""
