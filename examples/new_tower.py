"""Add a tower of your own: a small vision transformer, with nested modules and its own fields. Nothing is edited.

    python examples/new_tower.py [--steps=200] [--workdir=DIR] [--data_dir=DIR]

A tower is a spec and a Linen module. The spec is a frozen dataclass of plain values: its fields become fields of the
experiment, `network.patch` and so on, which are checked and written to experiment.json. The module embeds one image,
[H, W, C] in [0, 1] -> [D]. Its parameters may nest to any depth. The entry in TOWERS connects the two.
"""

import argparse
import tempfile
from dataclasses import dataclass

import flax.linen as nn
import jax

import siamese_jax
from siamese_jax.network.towers import TOWERS
from siamese_jax.specs import Tower, with_values


@dataclass(frozen=True)
class ViT(Tower):
    """A vision transformer (Dosovitskiy et al. 2021): patches, positions, blocks, the mean over patches, one layer."""

    name = "vit"
    last_layer = "head"
    """The path of the layer that `optimizer.fc_rate` is for."""
    patch: int = 7
    width: int = 64
    depth: int = 2
    heads: int = 4
    units: int = 64

    def check(self, shape: tuple[int, int, int]) -> None:
        """Raise UserError if patches do not tile an image [H, W, C]."""
        if shape[0] % self.patch or shape[1] % self.patch:
            raise siamese_jax.UserError(f"network.patch={self.patch} does not divide the sides of {shape[:2]}: take 7")


class Block(nn.Module):
    """Attention and a hidden layer, each with a skip connection: [T, D] -> [T, D]."""

    heads: int

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        attention = nn.MultiHeadDotProductAttention(self.heads, name="attention")
        tokens = tokens + attention(nn.LayerNorm(name="before_attention")(tokens))
        width = tokens.shape[-1]
        hidden = nn.relu(nn.Dense(2 * width, name="widen")(nn.LayerNorm(name="before_hidden")(tokens)))
        self.sow("relus", "hidden", hidden)  # reports ask how many of these are always 0
        return tokens + nn.Dense(width, name="narrow")(hidden)


class VisionTransformer(nn.Module):
    """The module of a `ViT`."""

    spec: ViT
    initialiser: str  # `network.initialiser`; this tower ignores it

    @nn.compact
    def __call__(self, image: jax.Array) -> jax.Array:
        vit = self.spec
        patches = nn.Conv(vit.width, (vit.patch, vit.patch), (vit.patch, vit.patch), name="patches")(image)
        tokens = patches.reshape(-1, vit.width)
        tokens = tokens + self.param("positions", nn.initializers.normal(0.02), tokens.shape)
        for number in range(vit.depth):
            tokens = Block(vit.heads, name=f"block{number}")(tokens)
        return nn.Dense(vit.units, name="head")(nn.LayerNorm(name="norm")(tokens).mean(axis=0))


TOWERS[ViT] = VisionTransformer


def main() -> None:
    """Train on the package's own glyphs at 28×28, and print the one-shot accuracy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200, help="updates (default: 200)")
    parser.add_argument("--workdir", help="where everything is written (default: a temporary folder)")
    parser.add_argument("--data_dir", help="where prepared data are kept (default: TFDS's own folder)")
    flags = parser.parse_args()
    changes = {
        "network.tower": "vit", "network.depth": 2, "optimizer.name": "adamw", "loss.name": "n_way",
        "data.downsample": 1, "data.side": 28, "data.epoch_steps": flags.steps, "max_epochs": 1,
    }  # fmt: skip
    experiment = with_values(siamese_jax.find("glyphs_20way"), changes)
    workdir = flags.workdir or tempfile.mkdtemp(prefix="new_tower_")
    run = siamese_jax.train(experiment, workdir, data_dir=flags.data_dir)
    print(f"20-way one-shot accuracy on validation: {run.training.best_validation_accuracy:.1%} (chance level 5 %)")


if __name__ == "__main__":
    main()
