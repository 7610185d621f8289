"""A network and a gallery that answer many requests at the same time."""

import asyncio
import io
import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from siamese_jax.errors import UserError
from siamese_jax.gallery import Gallery, answers
from siamese_jax.pretrained import FEW, MANY, Model
from siamese_jax.serve.batcher import Batcher
from siamese_jax.serve.bodies import Fields, Upload
from siamese_jax.serve.limits import Limits
from siamese_jax.serve.refusals import Refusal, busy
from siamese_jax.storage.image_files import Picture, read_picture

LOG = logging.getLogger("siamese_jax.serve")
CALLS = 4
"""Calls of a gallery that wait for its disk or its database at the same time."""

T = TypeVar("T")


class Service:
    """Reads pictures in some threads, embeds them in one, and asks the gallery in others; the event loop only waits.

    Attributes:
      model: The network.
      limits: What it takes on.
      gallery: Where pictures are looked up; None if there is none.
      status: "starting", "ready" or "failed".
      batcher: Embeds pictures.
    """

    def __init__(self, model: Model, gallery: str | None, may_enrol: bool, limits: Limits, seen: Callable[[int], None]):
        """Open the gallery.

        Args:
          model: The network.
          gallery: The path of a gallery, or the address of a database. It is made if it is not there and may change.
          may_enrol: Whether it may change.
          limits: What the service takes on.
          seen: Is called with the number of pictures in each batch.

        Raises:
          UserError: The gallery cannot be opened.
        """
        self.model, self.limits, self.status = model, limits, "starting"
        self._reading = 0  # requests whose pictures are read; only the event loop changes it
        self.gallery = self._writer = None
        if gallery is not None:
            # A writer waits for writers of other processes; readers must not wait for it.
            self._writer = Gallery.open(gallery, model, create=True) if may_enrol else None
            self.gallery = Gallery.open(gallery, model)
        self.batcher = Batcher(self._embed, limits.batch, limits.wait_seconds, lambda: self._reading > 0, seen)
        self._readers = ThreadPoolExecutor(os.cpu_count(), "reader")
        self._callers = ThreadPoolExecutor(CALLS, "gallery")

    @property
    def may_enrol(self) -> bool:
        """Whether the gallery may be changed."""
        return self._writer is not None

    def check_ready(self) -> None:
        """Raise Refusal unless requests can be answered."""
        if self.status != "ready":
            raise busy("the service is starting: try again in some seconds")

    def check_gallery(self) -> Gallery:
        """Return the gallery; Refusal if there is none."""
        if self.gallery is None:
            raise Refusal(404, "this service has no gallery: start it with --gallery=FILE")
        return self.gallery

    def check_may_enrol(self) -> Gallery:
        """Return the gallery that may be changed; Refusal if there is none."""
        self.check_gallery()
        if self._writer is None:
            raise Refusal(403, "the gallery of this service may only be read: start it without --read_only")
        return self._writer

    async def start(self) -> None:
        """Compile every program, then be ready."""
        model = self.model
        try:
            for count in (1, FEW, MANY):
                images = np.zeros((count, model.side, model.side, model.channels), np.uint8)
                embeddings = await self.embed(images)
            await self._call(self._callers, lambda: self._start_scores(embeddings))
        except Exception:
            self.status = "failed"
            LOG.exception("the service cannot answer")
        else:
            self.status = "ready"

    def _embed(self, images: np.ndarray) -> np.ndarray:
        """Embed images, with little filling: on a CPU an image that fills a batch costs as much as another."""
        count = len(images)
        return self.model.embed(images, 1 if count == 1 else FEW if count <= MANY - 2 * FEW else MANY)

    def _start_scores(self, embeddings: np.ndarray) -> None:
        self.model.scores(embeddings[:1], embeddings[:1])
        if self.gallery is not None and self.gallery.classes():
            self.gallery.identify(embeddings[:1])
            self.gallery.identify(embeddings)

    async def read(self, uploads: Sequence[Upload], fields: Fields) -> tuple[list[Picture], list[list[str]]]:
        """Return pictures and the remarks on each; UserError if one cannot be read."""

        def read() -> tuple[list[Picture], list[list[str]]]:
            pictures = [self._picture(upload, fields) for upload in uploads]
            return pictures, answers.remarks(pictures, self.model)

        self._reading += 1
        try:
            return await self._call(self._readers, read)
        finally:
            self._reading -= 1

    async def embed(self, images: np.ndarray) -> np.ndarray:
        """Return the embeddings of uint8 [N, side, side, C], float32 [N, D], together with those of other requests."""
        return await asyncio.wrap_future(self.batcher.submit(images))

    async def compute(self, call: Callable[[], T]) -> T:
        """Return what a short computation returns."""
        return await self._call(self._readers, call)

    async def search(self, call: Callable[[Gallery], T]) -> T:
        """Return what a call that reads the gallery returns."""
        return await self._in_gallery(self.check_gallery(), call)

    async def change(self, call: Callable[[Gallery], T]) -> T:
        """Return what a call that changes the gallery returns."""
        return await self._in_gallery(self.check_may_enrol(), call)

    def close(self) -> None:
        """Finish what was begun, and close the gallery."""
        self._readers.shutdown()
        self.batcher.close()
        self._callers.shutdown()
        for gallery in (self.gallery, self._writer):
            if gallery is not None:
                gallery.close()

    def _picture(self, upload: Upload, fields: Fields) -> Picture:
        file = io.BytesIO(upload.content)
        file.name = upload.name
        model = self.model
        fit, polarity = fields.fit or model.fit, fields.polarity or model.polarity
        return read_picture(file, model.side, model.channels, fit, polarity, self.limits.pixels)

    async def _in_gallery(self, gallery: Gallery, call: Callable[[Gallery], T]) -> T:
        try:
            return await self._call(self._callers, lambda: call(gallery))
        except UserError as error:
            cause = error.__cause__
            if isinstance(cause, OSError | sqlite3.Error) or type(cause).__module__.startswith("psycopg"):
                LOG.error("%s", error)
                raise busy("the gallery cannot be used now: the log of the service says why") from error
            raise UserError(str(error).replace(gallery.place, "the gallery")) from error  # its path is not for visitors

    async def _call(self, pool: ThreadPoolExecutor, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, call)
