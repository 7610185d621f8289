"""Galleries of 1,000, 100,000 and 1,000,000 pictures: time to enrol and to identify, recall, and memory.

A file is scanned exactly; with `--database=URL` the same pictures also go into PostgreSQL with pgvector's index. Every
point is a process of its own, so that its peak memory is its own. The network is `best`.

Embeddings are those of glyphs, varied: a random image's embedding plus the difference between those of two other images
of one class. So new pictures lie as far apart as pictures of one class do. Each is a class of its own. A query is an
enrolled embedding, varied in the same way. Recall is the share of queries for which the best match is that of the exact
scan. `embed_s` is the time to embed one image. No other time contains it, except `enrol_s`.

`fill_s` is the time to store all pictures: in calls of 10,000 in a file, by COPY in PostgreSQL, which then builds its
index. `enrol_s` is the time to enrol one more picture when all others are there. If the index takes longer than
`--index_seconds`, the point ends there.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import _timing
import numpy as np

import siamese_jax
from siamese_jax import data
from siamese_jax.gallery import Enrolment, Gallery, images, store
from siamese_jax.gallery.gallery import about
from siamese_jax.gallery.records import Row
from siamese_jax.gallery.sqlite import SqliteStore
from siamese_jax.specs import with_value

SIZES = (1_000, 100_000, 1_000_000)
TOGETHER = 10_000
"""Pictures that are made at a time."""
GLYPHS = "glyphs.npz"
"""The file with the embeddings that are varied."""


def main(flags: argparse.Namespace) -> None:
    """Measure a point, or start a process for each and write them all."""
    if flags.point:
        kind, size = flags.point.split(":")
        print(json.dumps(measure(kind, int(size), flags)))
        return
    with tempfile.TemporaryDirectory() as folder:
        record = {"name": "gallery", "embed_s": embed_glyphs(Path(folder)), "points": list(measured(flags, folder))}
    _timing.write(record | {"queries": flags.queries, "device": _timing.device()}, flags.output)


def measured(flags: argparse.Namespace, folder: str) -> Iterator[dict[str, Any]]:
    """Yield the points, each measured by a process of its own, and print them."""
    given = {**vars(flags), "folder": folder}
    shared = [f"--{name}={value}" for name, value in given.items() if name not in ("point", "output") and value]
    for size in (size for size in SIZES if size <= flags.largest):
        for kind in ("file", "database") if flags.database else ("file",):
            point = {"kind": kind, "size": size, "load_at_start": os.getloadavg()[0]}
            command = [sys.executable, __file__, f"--point={kind}:{size}", *shared]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
            point |= json.loads(done.stdout) if not done.returncode else {"exit_code": done.returncode}
            print(json.dumps({name: value for name, value in point.items() if name != "seconds"}), flush=True)
            yield point


def measure(kind: str, size: int, flags: argparse.Namespace) -> dict[str, Any]:
    """Fill a gallery in this process, and time it."""
    model, folder = siamese_jax.load_pretrained("best"), Path(flags.folder)
    pictures, truth = Pictures(folder, size, (model.side, model.side, model.channels)), folder / f"{size}.json"
    queries = pictures.queries(flags.queries)
    if kind == "file":
        location, more = folder / f"{size}.gallery", {}
        SqliteStore.create(location, about(model))
        keeper = SqliteStore(location)
        began = time.perf_counter()
        for rows in pictures.rows():
            keeper.add(about(model), rows)
        more["fill_s"] = time.perf_counter() - began
        keeper.close()
        more["disk_mb"] = location.stat().st_size / 1e6
    else:
        location, more = flags.database, fill_database(model, pictures, flags)
        if not more["index_s"]:
            return more | {"peak_mb": peak()}
    with Gallery.open(location, model) as gallery:
        began = time.perf_counter()
        gallery.identify(queries[:1])
        first = time.perf_counter() - began
        gallery.identify(queries[:8])  # compiles
        began = time.perf_counter()
        best = [answer.matches[0].class_name for answer in gallery.identify(queries)]
        each = (time.perf_counter() - began) / len(queries)
        if kind == "file":
            truth.write_text(json.dumps(best))
        exact = json.loads(truth.read_text())
        new = iter(pictures.new(2 * flags.repeats + 2))
        seconds = {
            "enrol": times(lambda: gallery.enrol([next(new)]), flags.repeats),
            "identify": times(lambda: gallery.identify(queries[:1]), 4 * flags.repeats),
        }
    medians = {f"{name}_s": statistics.median(values) for name, values in seconds.items()}
    recall = float(np.mean([ours == wanted for ours, wanted in zip(best, exact, strict=True)]))
    more |= {"first_s": first, "identify_each_of_many_s": each, "recall_at_1": recall}
    return more | medians | {"seconds": seconds, "peak_mb": peak()}


def times(call: Callable[[], Any], repeats: int) -> list[float]:
    """Return the seconds of calls after a warm-up."""
    return _timing.interleave({"ours": call}, repeats)["ours"]


def peak() -> float:
    """Return the peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def embed_glyphs(folder: Path) -> float:
    """Write the embeddings of all glyphs of the experiment `glyphs_20way`; return the seconds for one."""
    model = siamese_jax.load_pretrained("best")
    spec = with_value(with_value(siamese_jax.find("glyphs_20way").data, "downsample", 1), "side", model.side)
    glyphs = data.load(spec).images
    model.embed(glyphs.images[:64])  # compiles
    began = time.perf_counter()
    embeddings = model.embed(glyphs.images)
    seconds = time.perf_counter() - began
    np.savez(folder / GLYPHS, embeddings=embeddings, classes=glyphs.class_index)
    return seconds / len(embeddings)


class Pictures:
    """Pictures of glyphs whose embeddings are varied, so that any number of them can be enrolled."""

    def __init__(self, folder: Path, count: int, shape: tuple[int, ...]):
        """Read what `embed_glyphs` has written."""
        self._count, self._shape = count, shape
        with np.load(folder / GLYPHS) as glyphs:
            self._embeddings, classes = glyphs["embeddings"], glyphs["classes"]
        by_class = np.argsort(classes, kind="stable")
        same = classes[by_class][1:] == classes[by_class][:-1]
        self._left, self._right = by_class[1:][same], by_class[:-1][same]
        self._png = images.to_png(np.random.default_rng(0).integers(0, 2, shape, np.uint8) * np.uint8(255))

    def rows(self) -> Iterator[list[Row]]:
        """Yield all pictures, some at a time."""
        for first in range(0, self._count, TOGETHER):
            numbers = range(first, min(first + TOGETHER, self._count))
            yield [
                Row(f"class {number}", f"{number}.png", number.to_bytes(16, "big"), embedding, self._png, b"")
                for number, embedding in zip(numbers, self._enrolled(first)[: len(numbers)], strict=True)
            ]

    def queries(self, count: int) -> np.ndarray:
        """Return queries like some of the pictures that were enrolled last."""
        first = (self._count - 1) // TOGETHER * TOGETHER
        some, rng = self._enrolled(first)[: self._count - first], np.random.default_rng(1)
        return self._varied(rng, some[rng.integers(0, len(some), count)])

    def new(self, count: int) -> list[Enrolment]:
        """Return pictures that are not enrolled yet."""
        noise = np.random.default_rng(2).integers(0, 256, (count, *self._shape), np.uint8)
        return [Enrolment(f"new {uuid.uuid4().hex}", image) for image in noise]

    def _enrolled(self, first: int) -> np.ndarray:
        rng = np.random.default_rng((0, first))
        return self._varied(rng, self._embeddings[rng.integers(0, len(self._embeddings), TOGETHER)])

    def _varied(self, rng: np.random.Generator, embeddings: np.ndarray) -> np.ndarray:
        pair = rng.integers(0, len(self._left), len(embeddings))
        return embeddings + self._embeddings[self._left[pair]] - self._embeddings[self._right[pair]]


def fill_database(model: siamese_jax.Model, pictures: Pictures, flags: argparse.Namespace) -> dict[str, Any]:
    """Copy all pictures into an empty gallery, and build its index. Return seconds, and MB on disk."""
    import psycopg
    from psycopg.types import TypeInfo

    from siamese_jax.gallery import postgresql

    with psycopg.connect(flags.database, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS siamese_jax_gallery CASCADE")
    with Gallery.open(flags.database, model, create=True):
        pass
    index = siamese_jax.gallery.index.index_of(model.experiment.network, model.params)
    columns = "call, class_name, checksum, digest, embedding, source, image, thumbnail, point"
    call, more = uuid.uuid4(), {}
    with psycopg.connect(flags.database, autocommit=True) as connection:
        postgresql._prepare(connection)
        TypeInfo.fetch(connection, "vector").register(connection)
        connection.execute("DROP INDEX nearest")
        began = time.perf_counter()
        with connection.cursor().copy(f"COPY pictures ({columns}) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["uuid", "text", "int8", "bytea", "bytea", "text", "bytea", "bytea", "vector"])
            for rows in pictures.rows():
                points = index.points(np.stack([row.embedding for row in rows]))
                for row, point in zip(rows, points, strict=True):
                    content = store.to_bytes(row.embedding)
                    check = store.checksum(row.class_name, content)
                    copy.write_row(
                        (call, row.class_name, check, row.digest, content, row.source, row.image, row.thumbnail,
                         postgresql.Point(point))
                    )  # fmt: skip
        more["fill_s"], began = time.perf_counter() - began, time.perf_counter()
        connection.execute("SET maintenance_work_mem = '4GB'")
        connection.execute(f"SET statement_timeout = '{flags.index_seconds}s'")
        try:
            postgresql._add_index(connection, about(model), index)
            more["index_s"] = time.perf_counter() - began
        except psycopg.errors.QueryCanceled:
            more["index_s"] = None
        connection.execute("ANALYZE pictures")
        (more["disk_mb"],) = connection.execute("SELECT pg_total_relation_size('pictures') / 1e6").fetchone()
        more["disk_mb"] = float(more["disk_mb"])
    return more


def parse(args: list[str] | None = None) -> argparse.Namespace:
    """Read the flags."""
    parser = _timing.make_parser(__doc__)
    parser.add_argument("--database", help="address of a PostgreSQL database whose gallery is replaced (default: none)")
    parser.add_argument(
        "--queries", type=_timing.positive, default=100, help="queries identified together (default: 100)"
    )
    parser.add_argument("--largest", type=_timing.positive, default=10**6, help="leaves out what is larger")
    parser.add_argument("--index_seconds", type=_timing.positive, default=900, help="for one index (default: 900)")
    parser.add_argument("--folder", help="where a point finds its files")
    parser.add_argument("--point", help="measures this point in this process, and writes nothing")
    return parser.parse_args(args)


if __name__ == "__main__":
    main(parse())
