"""The verb `serve`: its request, its help, and its flags."""

import os
from dataclasses import dataclass, field
from typing import Any, ClassVar

from absl import flags

from siamese_jax.command import places
from siamese_jax.command.verb import Verb, VerbRequest, network_of
from siamese_jax.errors import UserError

TOKEN = "SIAMESE_JAX_TOKEN"
"""The variable of the environment that may hold the token: all users of a machine can see the flags of a process."""

SERVE = f"""Answer requests over HTTP, and show a page on which visitors draw.

  siamese-jax serve --gallery=mine.gallery

  --gallery=FILE      where pictures are enrolled, which is made if it is not there; or postgresql://USER@HOST/DB.
                      Without it pictures are embedded and compared only
  --read_only         refuse to enrol and to remove pictures
  --port=8000         0 takes any free one
  --host=127.0.0.1    by default this machine only; 0.0.0.0 listens to all networks
  --token=SECRET      requests must send it: Authorization: Bearer SECRET. Better set it in the environment, as
                      {TOKEN}, where other users of the machine cannot see it
  --checkpoint=best   the network: best comes with the package; or the folder of a run
  --json              print JSON for programs when the service has ended

The page is at /, the description of all requests at /docs, and Prometheus reads /metrics.
SIGINT (Ctrl-C) and SIGTERM end the service after it has answered what it has accepted.
"""


@dataclass(frozen=True, kw_only=True)
class Serve(VerbRequest):
    """Answer requests over HTTP."""

    writes: ClassVar[bool] = True
    checkpoint: str
    gallery: str | None
    read_only: bool
    host: str
    port: int
    token: str | None = field(repr=False)


def _define_serve(values: flags.FlagValues) -> None:
    flags.DEFINE_string("checkpoint", "best", "The network.", flag_values=values)
    flags.DEFINE_string("gallery", None, "The gallery.", flag_values=values)
    flags.DEFINE_bool("read_only", False, "Refuse changes of the gallery.", flag_values=values)
    flags.DEFINE_string("host", "127.0.0.1", "Where to listen.", flag_values=values)
    flags.DEFINE_integer("port", 8000, "Where to listen.", 0, 65535, flag_values=values)
    flags.DEFINE_string("token", None, "The token.", flag_values=values)


def _serve(words: list[str], values: Any) -> Serve:
    if words:
        raise UserError(f"serve takes flags only, not {words[0]!r}: for example siamese-jax serve --gallery=FILE")
    token = os.environ.get(TOKEN) if values.token is None else values.token
    if token is not None and not (token.isascii() and token.isprintable() and token.strip() == token != ""):
        raise UserError("the token is empty, or a header of HTTP cannot carry it: use letters and digits")
    return Serve(
        checkpoint=network_of(values),
        gallery=None if values.gallery is None else places.gallery("--gallery", values.gallery),
        read_only=values.read_only,
        host=values.host,
        port=values.port,
        token=token,
        json=values.json,
    )


SERVE_VERBS = {"serve": Verb(SERVE, _define_serve, _serve)}
