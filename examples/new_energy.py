"""Add an energy of your own: a bilinear form, which is not a sum over the units of an embedding. Nothing is edited.

    python examples/new_energy.py [--steps=200] [--workdir=DIR] [--data_dir=DIR]

An energy is a spec and a Linen module. The spec is a frozen dataclass of plain values: its fields become fields of the
experiment, here `network.rank`. The module compares two embeddings [D] and gives the logit [] of "same"; the order of
the two must not matter. Its parameters may nest to any depth. The entry in ENERGIES connects the two.

This energy has no `distance`, so the contrastive and the triplet loss cannot use it, and no `contributions`, so reports
leave out the picture of units.
"""

import argparse
import tempfile
from dataclasses import dataclass

import flax.linen as nn
import jax

import siamese_jax
from siamese_jax.network.energies import ENERGIES
from siamese_jax.specs import Energy, with_values


@dataclass(frozen=True)
class Bilinear(Energy):
    """logit = (U left) · (U right) + bias, with a learned matrix U [rank, D]."""

    name = "bilinear"
    rank: int = 32


class BilinearEnergy(nn.Module):
    """The module of a `Bilinear`."""

    spec: Bilinear
    initialiser: str  # `network.initialiser`; this energy ignores it

    @nn.compact
    def __call__(self, left: jax.Array, right: jax.Array) -> jax.Array:
        project = nn.Dense(self.spec.rank, use_bias=False, name="project")
        bias = self.param("bias", nn.initializers.zeros, (1,))
        return project(left) @ project(right) + bias[0]


ENERGIES[Bilinear] = BilinearEnergy


def main() -> None:
    """Train on the package's own glyphs at 28×28, and print the one-shot accuracy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200, help="updates (default: 200)")
    parser.add_argument("--workdir", help="where everything is written (default: a temporary folder)")
    parser.add_argument("--data_dir", help="where prepared data are kept (default: TFDS's own folder)")
    flags = parser.parse_args()
    changes = {
        "network.energy": "bilinear", "network.rank": 16, "network.tower": "residual", "network.width": 8,
        "network.head": "linear", "network.units": 64, "optimizer.name": "adamw", "loss.name": "n_way",
        "data.downsample": 1, "data.side": 28, "data.epoch_steps": flags.steps, "max_epochs": 1,
    }  # fmt: skip
    experiment = with_values(siamese_jax.find("glyphs_20way"), changes)
    workdir = flags.workdir or tempfile.mkdtemp(prefix="new_energy_")
    run = siamese_jax.train(experiment, workdir, data_dir=flags.data_dir)
    print(f"20-way one-shot accuracy on validation: {run.training.best_validation_accuracy:.1%} (chance level 5 %)")


if __name__ == "__main__":
    main()
