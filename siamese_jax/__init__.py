"""siamese_jax: one-shot learning with siamese networks in JAX, after Koch, Zemel and Salakhutdinov (2015)."""

__version__ = "0.1.0"
