"""Pictures of several requests are embedded together: a batch of 32 takes little longer than one of 4."""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

import numpy as np


class Job(NamedTuple):
    """Images of one request, uint8 [N, side, side, C], and what will be their embeddings, float32 [N, D]."""

    images: np.ndarray
    embeddings: "Future[np.ndarray]"


class Batcher:
    """Embeds the images of all requests in one thread of its own.

    It takes what is there, in the order of arrival, and waits a moment if more is coming. While it embeds, the next
    batch gathers. A job is never divided.
    """

    def __init__(
        self,
        embed: Callable[[np.ndarray], np.ndarray],
        most: int,
        wait: float,
        coming: Callable[[], bool],
        seen: Callable[[int], None],
    ):
        """Start the thread.

        Args:
          embed: uint8 [N, side, side, C] -> float32 [N, D], as `Model.embed`.
          most: Images that are embedded together, unless one job has more.
          wait: Seconds that the first job waits for others, at most.
          coming: Returns whether other jobs are about to be submitted.
          seen: Is called with the number of images in each batch.
        """
        self._embed, self._most, self._wait, self._coming, self._seen = embed, most, wait, coming, seen
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    def submit(self, images: np.ndarray) -> "Future[np.ndarray]":
        """Return what will be the embeddings of images. It can be called in any thread.

        Raises:
          RuntimeError: The batcher is closed.
        """
        job = Job(images, Future())
        with self._changed:
            if self._closed:
                raise RuntimeError("the batcher is closed")
            self._jobs.append(job)
            self._changed.notify()
        return job.embeddings

    @property
    def waiting(self) -> int:
        """Images that wait to be embedded."""
        with self._changed:
            return self._count()

    def close(self) -> None:
        """Embed what was submitted, then end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _count(self) -> int:
        return sum(len(job.images) for job in self._jobs)

    def _run(self) -> None:
        while jobs := self._next():
            images = np.concatenate([job.images for job in jobs])
            self._seen(len(images))
            try:
                embeddings = self._embed(images)
            except Exception as error:
                for job in jobs:
                    job.embeddings.set_exception(error)
                continue
            parts = np.split(embeddings, np.cumsum([len(job.images) for job in jobs])[:-1])
            for job, part in zip(jobs, parts, strict=True):
                job.embeddings.set_result(part)

    def _next(self) -> list[Job]:
        """Wait for the next batch; return no jobs when all are done and the batcher is closed."""
        with self._changed:
            while not self._jobs and not self._closed:
                self._changed.wait()
            end = time.monotonic() + self._wait
            while self._count() < self._most and self._coming() and not self._closed:
                if (left := end - time.monotonic()) <= 0:
                    break
                self._changed.wait(left)
            jobs, count = [], 0
            while self._jobs and (not jobs or count + len(self._jobs[0].images) <= self._most):
                job = self._jobs.popleft()
                if job.embeddings.set_running_or_notify_cancel():
                    jobs.append(job)
                    count += len(job.images)
        # All jobs of a batch may have been cancelled.
        return jobs or (self._next() if self._jobs or not self._closed else [])
