"""A service over HTTP: embed, verify and identify pictures, and keep a gallery. Needs the extra `serve`."""

from siamese_jax.serve.app import make_app
from siamese_jax.serve.limits import Limits
from siamese_jax.serve.server import listen, serve

__all__ = ["Limits", "listen", "make_app", "serve"]
