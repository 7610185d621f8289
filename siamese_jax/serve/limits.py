"""How much a service takes on."""

from dataclasses import dataclass

from siamese_jax.pretrained import MANY


@dataclass(frozen=True)
class Limits:
    """Bounds on sizes, counts and times. What exceeds them is refused with a status and a sentence.

    Attributes:
      body_bytes: In the body of one request (413).
      pictures: In one request (400).
      pixels: In one picture, checked before it is decoded (400).
      requests: That are read or answered at the same time (503).
      pending_bytes: In all bodies that are in memory at the same time (503).
      connections: That are open at the same time (503).
      header_seconds: To send the header of a request; then the connection is closed.
      body_seconds: To send the body of a request (408).
      request_seconds: To answer a request (503).
      stop_seconds: To answer what was accepted, when the service stops.
      batch: Pictures that are embedded together.
      wait_seconds: How long a picture waits for others that are being read, to be embedded with them.
    """

    body_bytes: int = 20_000_000
    pictures: int = 32
    pixels: int = 25_000_000
    requests: int = 256
    pending_bytes: int = 256_000_000
    connections: int = 1024
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    request_seconds: float = 60.0
    stop_seconds: float = 30.0
    batch: int = MANY
    wait_seconds: float = 0.002
