"""Services with a tiny network, in this process or behind a real socket, and picture files to send."""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
from tiny_model import IMAGES, make_model

from siamese_jax.gallery import Enrolment, Gallery, images
from siamese_jax.pretrained import Model
from siamese_jax.serve import Limits, listen, make_app
from siamese_jax.serve.server import make_server

MODEL = make_model()


def png(index: int) -> bytes:
    """The image with an index, as a file."""
    return images.to_png(IMAGES[index])


def pixels(*indices: int) -> np.ndarray:
    """What the network sees of these files."""
    return np.stack([MODEL.read(png(index)) for index in indices])


def enrolled(place: object, *indices: int) -> str:
    """A gallery with these images, each of the class "c0", "c1", …."""
    with Gallery.open(str(place), MODEL, create=True) as gallery:
        gallery.enrol([Enrolment(f"c{index // 20}", *pixels(index), b"", f"{index}.png") for index in indices])
    return str(place)


class Held(Model):
    """A network that embeds nothing until its gate is open."""

    def __init__(self) -> None:
        super().__init__(**{field.name: getattr(MODEL, field.name) for field in dataclasses.fields(Model)})
        object.__setattr__(self, "gate", threading.Event())
        object.__setattr__(self, "begun", threading.Event())

    def embed(self, images: np.ndarray, batch: int | None = None) -> np.ndarray:
        """Wait for the gate."""
        self.begun.set()
        assert self.gate.wait(60)
        return super().embed(images, batch)


def wait_for(client: httpx.Client, status: str) -> None:
    """Wait until a service says this."""
    until = time.monotonic() + 60
    while client.get("/health").json()["status"] != status:
        assert time.monotonic() < until
        time.sleep(0.01)


@contextlib.contextmanager
def client_of(
    model: Model = MODEL,
    gallery: str | None = None,
    status: str = "ready",
    limits: Limits | None = None,
    **options: Any,
) -> Iterator[httpx.Client]:
    """A client of a service in this process, behind a real socket, that has this status."""
    app, listening = make_app(model, gallery, limits=limits, **options), listen("127.0.0.1", 0)
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = make_server(app, limits or Limits())
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        with httpx.Client(base_url=address, timeout=60) as client:
            client.app = app
            wait_for(client, status)
            yield client
    finally:
        server.should_exit = True
        thread.join()
