"""The library in threads, in forked workers, and imported again. Spawned workers are in the fault campaign."""

import importlib
import multiprocessing
import pickle
import sys
import threading

import numpy as np
import pytest
from PIL import Image, ImageDraw
from tiny_model import IMAGES, make_model

import siamese_jax
from siamese_jax import data, devices, pretrained
from siamese_jax.environment import check_settings

MODEL = make_model()
PICKLED = pickle.dumps(MODEL)


def picture() -> Image.Image:
    page = Image.new("L", (60, 60), 255)
    ImageDraw.Draw(page).line([(5, 5), (50, 50)], fill=0, width=3)
    return page


def tried(call) -> object:
    """Returns what a call returns, or its error in words."""
    try:
        return call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


CALLS = {
    "read_image": lambda: siamese_jax.read_image(picture(), 48, 1).tobytes(),
    "read": lambda: MODEL.read(picture()).tobytes(),
    "unpickle": lambda: pickle.loads(PICKLED).read(picture()).tobytes(),
    "embed": lambda: MODEL.embed(IMAGES[:3]),
    "embed_pickled": lambda: pickle.loads(PICKLED).embed(IMAGES[:3]),
    "scores": lambda: MODEL.scores(np.zeros((1, 8)), np.zeros((1, 8))),
    "load": lambda: siamese_jax.load_pretrained("best"),
    "train": check_settings,
}


@pytest.fixture(scope="module")
def forked() -> dict[str, object]:
    """What each call came to in a worker that was forked after JAX had started."""
    MODEL.embed(IMAGES[:1])

    def work(said) -> None:
        said.put({name: tried(call) for name, call in CALLS.items()})

    fork = multiprocessing.get_context("fork")
    said = fork.SimpleQueue()
    process = fork.Process(target=work, args=(said,))
    process.start()
    process.join(60)
    hangs = process.exitcode is None
    process.kill()
    assert not hangs
    return said.get()


pytestmark = pytest.mark.filterwarnings("ignore:.*fork")


@pytest.mark.parametrize("name", ["read_image", "read", "unpickle"])
def test_a_worker_that_was_forked_after_jax_had_started_reads_images(forked, name):
    assert forked[name] == CALLS[name]()


@pytest.mark.parametrize("name", ["embed", "embed_pickled", "scores", "load", "train"])
def test_a_worker_that_was_forked_after_jax_had_started_says_so_instead_of_waiting_forever(forked, name):
    assert forked[name].startswith("UserError: this process was forked after JAX had started")
    assert "multiprocessing.get_context('spawn')" in forked[name]
    assert devices.can_run()  # here


def test_threads_embed_at_the_same_time():
    alone = {count: MODEL.embed(IMAGES[:count]) for count in range(1, 9)}
    found = {}
    threads = [
        threading.Thread(target=lambda count=count: found.update({count: MODEL.embed(IMAGES[:count])}))
        for count in alone
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for count, embeddings in alone.items():
        np.testing.assert_array_equal(found[count], embeddings)


@pytest.mark.parametrize("name", ["omniglot", "mnist", "glyphs"])
def test_a_source_can_be_imported_again_as_notebooks_and_servers_do_after_a_change(monkeypatch, name):
    before = importlib.import_module(f"siamese_jax.data.{name}")
    monkeypatch.setattr(data, name, before)  # restored afterwards
    monkeypatch.delitem(sys.modules, f"siamese_jax.data.{name}")
    assert importlib.import_module(f"siamese_jax.data.{name}") is not before


def test_few_programs_serve_any_number_of_images_and_examples():
    embeddings = MODEL.embed(IMAGES[:40])
    before = pretrained._embed._cache_size(), pretrained._score._cache_size()
    for count in range(1, 40):
        MODEL.embed(IMAGES[:count])
        MODEL.embed(IMAGES[:count], batch=count)
        MODEL.scores(embeddings[:1], np.repeat(embeddings[:3, None], count, axis=1))
        MODEL.scores(embeddings[:5], np.repeat(embeddings[:5, None], count, axis=1))
    assert pretrained._embed._cache_size() - before[0] <= 7  # 1, 2, 4, … 64 images
    assert pretrained._score._cache_size() - before[1] <= 16  # up to 256 supports, for one query and for several


def test_a_model_that_is_restored_where_jax_cannot_run_keeps_its_parameters(monkeypatch):
    monkeypatch.setattr(devices, "_forked_too_late", True)
    restored = pickle.loads(PICKLED)
    monkeypatch.undo()
    np.testing.assert_array_equal(restored.embed(IMAGES[:3]), MODEL.embed(IMAGES[:3]))
