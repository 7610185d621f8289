"""Pictures of several requests are embedded together, and each request gets its own embeddings."""

import threading
from concurrent.futures import CancelledError

import numpy as np
import pytest
from services import MODEL
from tiny_model import IMAGES

from siamese_jax.serve.batcher import Batcher


class Embed:
    """Embeds when the gate is open, and remembers how many images there were at a time."""

    def __init__(self):
        self.gate, self.begun, self.sizes = threading.Event(), threading.Event(), []

    def __call__(self, images):
        self.sizes.append(len(images))
        self.begun.set()
        assert self.gate.wait(30)
        if images.max() == 255:
            raise ValueError("white")
        return images.reshape(len(images), -1)[:, :1].astype(np.float32)


def images(*values: int) -> np.ndarray:
    return np.array(values, np.uint8).reshape(-1, 1, 1, 1)


@pytest.fixture
def embed():
    return Embed()


@pytest.fixture
def batcher(embed):
    batcher = Batcher(embed, 4, 0.0, lambda: True, lambda count: None)
    yield batcher
    embed.gate.set()
    batcher.close()


def held(batcher, embed):
    """A first job that is being embedded, so that others wait."""
    first = batcher.submit(images(9))
    assert embed.begun.wait(30)
    return first


def test_what_arrives_while_a_batch_is_embedded_becomes_the_next_one(batcher, embed):
    first = held(batcher, embed)
    jobs = [batcher.submit(images(1, 2)), batcher.submit(images(3)), batcher.submit(images(4, 5))]
    assert batcher.waiting == 5
    embed.gate.set()
    assert first.result(30).tolist() == [[9]]
    assert [job.result(30).ravel().tolist() for job in jobs] == [[1, 2], [3], [4, 5]]
    assert embed.sizes == [1, 3, 2]  # four fit, and a job is not divided


def test_a_job_that_is_larger_than_a_batch_is_embedded_alone(batcher, embed):
    held(batcher, embed)
    job, after = batcher.submit(images(*range(6))), batcher.submit(images(7))
    embed.gate.set()
    assert job.result(30).ravel().tolist() == list(range(6))
    assert after.result(30).tolist() == [[7]]
    assert embed.sizes == [1, 6, 1]


def test_a_moment_is_waited_for_others_that_are_coming(embed):
    embed.gate.set()
    batcher = Batcher(embed, 2, 30.0, lambda: True, lambda count: None)
    one, two = batcher.submit(images(1)), batcher.submit(images(2))
    assert [one.result(20).tolist(), two.result(20).tolist()] == [[[1]], [[2]]]
    assert embed.sizes == [2]
    batcher.close()


def test_nothing_is_waited_for_if_nothing_is_coming(embed):
    embed.gate.set()
    batcher = Batcher(embed, 2, 30.0, lambda: False, lambda count: None)
    assert batcher.submit(images(1)).result(20).tolist() == [[1]]
    batcher.close()


def test_an_error_is_that_of_its_batch_only(batcher, embed):
    held(batcher, embed)
    wrong = batcher.submit(images(255, 1, 1, 1))
    right = batcher.submit(images(1))
    embed.gate.set()
    with pytest.raises(ValueError, match="white"):
        wrong.result(30)
    assert right.result(30).tolist() == [[1]]


def test_a_job_that_was_cancelled_is_not_embedded(batcher, embed):
    held(batcher, embed)
    cancelled = batcher.submit(images(1))
    assert cancelled.cancel()
    embed.gate.set()
    assert batcher.submit(images(2)).result(30).tolist() == [[2]]
    assert sum(embed.sizes) == 2
    with pytest.raises(CancelledError):
        cancelled.result(30)


def test_closing_embeds_what_was_submitted_and_refuses_more(embed):
    batcher = Batcher(embed, 4, 30.0, lambda: True, lambda count: None)
    jobs = [batcher.submit(images(value)) for value in range(3)]
    embed.gate.set()
    batcher.close()
    assert [job.result(0).ravel().tolist() for job in jobs] == [[0], [1], [2]]
    with pytest.raises(RuntimeError, match="closed"):
        batcher.submit(images(1))


def test_embeddings_are_those_of_the_network_whatever_they_are_embedded_with():
    batcher = Batcher(MODEL.embed, 32, 0.05, lambda: True, lambda count: None)
    jobs = [batcher.submit(IMAGES[first : first + 3]) for first in range(0, 30, 3)]
    together = np.concatenate([job.result(60) for job in jobs])
    batcher.close()
    alone = np.concatenate([MODEL.embed(IMAGES[first : first + 3]) for first in range(0, 30, 3)])
    np.testing.assert_allclose(together, alone, atol=1e-5)
