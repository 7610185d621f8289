"""siamese_jax: one-shot learning with siamese networks in JAX, after Koch, Zemel and Salakhutdinov (2015)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from siamese_jax.pretrained import Model

__version__ = "0.1.0"


def load_pretrained(name: str) -> "Model":
    """Returns a trained network that comes with the package, or that of a folder (see `siamese_jax.pretrained`)."""
    from siamese_jax.pretrained import load  # JAX is heavy

    return load(name)
