"""The page that needs no server: its size, its speed in Chromium and Node, and how far it is from JAX.

The network is `best`. Its page embeds the images of 400 one-shot trials in Chromium and in Node, and scores the trials.
They are Lake's official trials with `--archives`, else trials of glyphs. The page gets the images as they are stored;
browser/parity_test.py compares how pages of the pad are read.

`open_s` is the time from opening the file, on disk, to a page that can be used. `embed_ms` is the time for one image,
the mean over all of them after one that is not counted. Both browser and Node use one thread.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _timing
import numpy as np

import siamese_jax
from siamese_jax import data
from siamese_jax.pages import draw_page
from siamese_jax.records import Episodes

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NODE = Path(__file__).parent.parent / "browser" / "page.mjs"
IN_CHROMIUM = """async (images) => {
  const facts = JSON.parse(ofPage("facts")), arrays = arraysOf(facts.shapes, await unpacked(ofPage("weights")));
  const embed = makeNetwork(facts, arrays), given = images.map((image) => Uint8Array.from(image));
  embed(given[0]);
  const begun = performance.now(), embeddings = given.map((image) => [...embed(image)]);
  return {embeddings, milliseconds: (performance.now() - begun) / given.length};
}"""


def main(flags: argparse.Namespace) -> None:
    """Measure, and write the record."""
    model = siamese_jax.load_pretrained("best")
    began = time.perf_counter()
    page = draw_page(model, None)
    record: dict[str, Any] = {"name": "page", "make_s": time.perf_counter() - began, "bytes": len(page.encode())}
    images, runs = trials(model, flags)
    used, places = np.unique(np.concatenate([runs.support[..., 0], runs.query], axis=1), return_inverse=True)
    pixels = images[used]
    exact = model.embed(pixels)
    support, query = np.split(places.reshape(len(runs.support), -1), [runs.support.shape[1]], axis=1)
    lists = pixels.reshape(len(pixels), -1).tolist()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "draw.html"
        path.write_text(page, encoding="utf-8")
        found = in_node(path, images=lists)
        record["node"] = compared(model, exact, found, support, query, runs.answer, path)
        record["chromium"] = in_chromium(path, lists, flags.repeats)
        embeddings = record["chromium"].pop("embeddings")
        record["chromium"]["embedding_difference"] = difference(embeddings, exact)
    _timing.write(record | {"data": flags.data or ("omniglot" if flags.archives else "glyphs")}
                  | {"device": _timing.device()}, flags.output)  # fmt: skip


def trials(model: siamese_jax.Model, flags: argparse.Namespace) -> tuple[np.ndarray, Episodes]:
    """Return the images of a data set at the network's size, and its episodes of official runs."""
    dataset = data.load(_timing.chosen_data(model.experiment.data, flags), flags.data_dir, flags.archives)
    return np.asarray(dataset.images.images), dataset.episodes


def compared(
    model: siamese_jax.Model,
    exact: np.ndarray,
    found: dict[str, Any],
    support: np.ndarray,
    query: np.ndarray,
    answer: np.ndarray,
    path: Path,
) -> dict[str, Any]:
    """Score every trial with the page's own embeddings and energy, and with the package; return how they differ."""
    ours = np.asarray(found["embeddings"], np.float32)
    scores, wanted = [], []
    for supports, queries in zip(support, query, strict=True):
        names = [str(row) for row in supports.tolist()]
        asked = in_node(path, queries=ours[queries].tolist(), classes=ours[supports].tolist(), of=names)
        scores.append(asked["scores"])
        wanted.append(model.scores(exact[queries], exact[supports]))
    page, jax = np.asarray(scores), np.asarray(wanted)
    return {
        "embed_ms": found["milliseconds"],
        "trials": int(answer.size),
        "embedding_difference": difference(ours, exact),
        "score_difference": difference(page, jax),
        "same_choices": int((page.argmax(-1) == jax.argmax(-1)).sum()),
        "accuracy": float((page.argmax(-1) == np.asarray(answer)).mean()),
    }


def in_node(path: Path, **request: Any) -> dict[str, Any]:
    """Ask Node what the scripts of the page compute."""
    done = subprocess.run(["node", NODE, path], input=json.dumps(request), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def in_chromium(path: Path, images: list[list[int]], repeats: int) -> dict[str, Any]:
    """Open the page some times, then embed the images."""
    from playwright.sync_api import sync_playwright  # for developers only: the options can be shown without it

    with sync_playwright() as playwright:
        unsafe = ["--no-sandbox"] if os.getuid() == 0 else []  # Chromium's sandbox does not start for root
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=unsafe)
        opened = [seconds_to_open(browser, path) for _ in range(repeats)]
        page = browser.new_page()
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-ready]")
        found = page.evaluate(IN_CHROMIUM, images)
        version = browser.version
        browser.close()
    return {
        "version": version,
        "open_s": statistics.median(opened),
        "embed_ms": found["milliseconds"],
        "embeddings": found["embeddings"],
    }


def seconds_to_open(browser: "Browser", path: Path) -> float:
    """Return the time until the page can be used."""
    page = browser.new_page()
    began = time.perf_counter()
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-ready]")
    seconds = time.perf_counter() - began
    page.close()
    return seconds


def difference(ours: Any, theirs: np.ndarray) -> float:
    """Return the largest absolute difference."""
    return float(np.abs(np.asarray(ours, np.float64) - theirs).max())


def parse(args: list[str] | None = None) -> argparse.Namespace:
    """Read the flags."""
    parser = _timing.make_parser(__doc__)
    _timing.add_data_flags(parser)
    return parser.parse_args(args)


if __name__ == "__main__":
    main(parse())
