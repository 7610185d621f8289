"""A service under load: answers per second and how long they take, its memory, and what hostile requests do to it.

    apt-get install wrk     # the load generator
    python benchmarks/serving.py

The service runs in a process of its own, with the network `best` and a gallery of one glyph of each of 682 classes. The
load is `/identify`: a picture of 105×105 pixels as the file of a form. wrk keeps `clients` connections open, and sends
the next request on each when the answer is there. It runs on the same cores.

* `batched`: the service as it is. `one_at_a_time`: the same, but each picture is embedded alone, by one thread.
* `memory`: as many requests as `--hour` per second are in an hour, sent as fast as the service answers 16 clients.
  Meanwhile one picture a second is enrolled and removed. `rss_mb` is the memory of its process, again and again.
* `hostile`: requests of `_hostile.py` and of schemathesis, which reads what the service says about itself. Afterwards
  the service must give the same embedding as before.
"""

import argparse
import asyncio
import contextlib
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import _hostile
import _timing
import httpx
import numpy as np
import psutil

import siamese_jax
from siamese_jax import data, serve
from siamese_jax.gallery import Enrolment, Gallery
from siamese_jax.gallery.images import to_png
from siamese_jax.serve import Limits
from siamese_jax.specs import with_value

CLIENTS = (1, 8, 64)
QUERIES = 64
"""Different pictures that are sent."""
MODES = {"batched": Limits(), "one_at_a_time": Limits(batch=1, wait_seconds=0.0)}
SCRIPT = """
local bodies = {}
for number = 1, %d do
  local file = io.open(string.format("%s/%%d.body", number), "rb")
  bodies[number] = file:read("*a")
  file:close()
end
local next = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "multipart/form-data; boundary=b"
function request()
  next = next %% #bodies + 1
  return wrk.format(nil, nil, nil, bodies[next])
end
function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('JSON{"requests": %%d, "failed": %%d, "seconds": %%f, "p50_ms": %%f, "p99_ms": %%f}',
    summary.requests, failed, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


def main(flags: argparse.Namespace) -> None:
    """Measure everything and write it."""
    if flags.serve:
        mode, place, port = flags.serve.split(",")
        run(mode, place, int(port))
        return
    if not shutil.which("wrk"):
        raise SystemExit("wrk is not installed: run apt-get install wrk")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures = prepare(folder)
        record: dict[str, Any] = {"name": "serving", "seconds": flags.seconds, "load": load(folder, flags)}
        with service("batched", folder) as (process, client):
            record["memory"] = memory(folder, process, client, pictures, flags)
        with service("batched", folder) as (process, client):
            record["hostile"] = hostile(process, client, pictures[0], flags)
    _timing.write(record | {"device": _timing.device()}, flags.output)


def prepare(folder: Path) -> list[bytes]:
    """Write a gallery, the bodies of requests, and the script of wrk; return the pictures that are sent."""
    model = siamese_jax.load_pretrained("best")
    spec = with_value(with_value(siamese_jax.find("glyphs_20way").data, "downsample", 1), "side", model.side)
    glyphs = data.load(spec).images
    firsts = np.unique(glyphs.class_index, return_index=True)[1]
    with Gallery.open(folder / "g", model, create=True) as gallery:
        gallery.enrol(Enrolment(f"class {glyphs.class_index[row]}", glyphs.images[row]) for row in firsts)
    others = np.random.default_rng(0).choice(
        np.setdiff1d(np.arange(len(glyphs.images)), firsts), QUERIES, replace=False
    )
    pictures = [to_png(glyphs.images[row]) for row in others]
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    for number, picture in enumerate(pictures, 1):
        (folder / f"{number}.body").write_bytes(head + picture + b"\r\n--b--\r\n")
    (folder / "load.lua").write_text(SCRIPT % (QUERIES, folder))
    return pictures


def run(mode: str, place: str, port: int) -> None:
    """Be the service, in this process."""
    limits = MODES[mode]
    app = serve.make_app(siamese_jax.load_pretrained("best"), place, limits=limits)
    serve.serve(app, serve.listen("127.0.0.1", port), limits)


@contextlib.contextmanager
def service(mode: str, folder: Path) -> Iterator[tuple[psutil.Process, httpx.Client]]:
    """Start a service in a process of its own, and stop it."""
    with serve.listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    process = psutil.Popen([sys.executable, __file__, f"--serve={mode},{folder / 'g'},{port}"])
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            while not answers(client):
                if process.poll() is not None:
                    raise SystemExit("the service has ended")
                time.sleep(0.1)
            yield process, client
    finally:
        process.terminate()
        process.wait()


def answers(client: httpx.Client) -> bool:
    """Tell whether a service is ready."""
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def load(folder: Path, flags: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the load points; the two kinds of service take turns."""
    points = []
    with service("batched", folder) as (_, batched), service("one_at_a_time", folder) as (_, alone):
        for clients in CLIENTS:
            for mode, client in {"batched": batched, "one_at_a_time": alone}.items():
                wrk(client, folder, clients, 2)  # programs for the gallery's size are compiled
                turns = [wrk(client, folder, clients, flags.seconds) for _ in range(flags.repeats)]
                point = {name: statistics.median(turn[name] for turn in turns) for name in ("p50_ms", "p99_ms")}
                point["per_second"] = statistics.median(turn["requests"] / turn["seconds"] for turn in turns)
                point["failed"] = sum(turn["failed"] for turn in turns)
                points.append({"mode": mode, "clients": clients, **point, "turns": turns})
                print(json.dumps({name: value for name, value in points[-1].items() if name != "turns"}), flush=True)
    return points


def wrk(client: httpx.Client, folder: Path, clients: int, seconds: float) -> dict[str, float]:
    """Return what wrk measured."""
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout=60s", f"-s{folder / 'load.lua'}"]
    done = subprocess.run([*command, f"{client.base_url}/identify"], capture_output=True, text=True, check=True)
    return json.loads(re.search(r"JSON(\{.*\})", done.stdout)[1])


def memory(
    folder: Path, process: psutil.Process, client: httpx.Client, pictures: list[bytes], flags: argparse.Namespace
) -> dict[str, Any]:
    """Return the memory of a service while it answers as many requests as come in an hour."""
    wanted, sent, changes, stop = 3600 * flags.hour, 0, 0, threading.Event()

    def change() -> None:
        nonlocal changes
        while not stop.wait(1):
            form = {"files": {"file": pictures[changes % len(pictures)]}, "data": {"class_name": "changing"}}
            client.post("/enrol", **form).raise_for_status()
            client.post("/remove", json={"class_name": "changing"}).raise_for_status()
            changes += 1

    changing = threading.Thread(target=change)
    changing.start()
    began, rss, failed = time.perf_counter(), [process.memory_info().rss / 1e6], 0
    while sent < wanted:
        turn = wrk(client, folder, 16, 10)
        sent, failed = sent + turn["requests"], failed + turn["failed"]
        rss.append(process.memory_info().rss / 1e6)
    stop.set()
    changing.join()
    found = {"requests": sent, "failed": failed, "changes": changes, "seconds": time.perf_counter() - began}
    print(json.dumps(found | {"first_mb": rss[0], "second_mb": rss[1], "last_mb": rss[-1]}), flush=True)
    return found | {"rss_mb": rss}


def hostile(process: psutil.Process, client: httpx.Client, picture: bytes, flags: argparse.Namespace) -> dict[str, Any]:
    """Return what a service answers to hostile requests; SystemExit if it does not answer correctly afterwards."""

    def ask() -> Any:
        client.post("/identify", files={"file": picture}).raise_for_status()  # pictures may have been removed
        return client.post("/embed", files={"file": picture}).raise_for_status().json()

    before, largest, stop = ask(), [0.0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            largest[0] = max(largest[0], process.memory_info().rss / 1e6)

    watching = threading.Thread(target=watch)
    watching.start()
    began, first = time.perf_counter(), process.memory_info().rss / 1e6
    kinds = asyncio.run(_hostile.attack(client.base_url.port, picture, flags.hostile))
    kinds["schemathesis"] = described(client, flags.hostile // 10)
    stop.set()
    watching.join()
    found = {"kinds": kinds, "seconds": time.perf_counter() - began, "first_mb": first, "largest_mb": largest[0]}
    found["last_mb"] = process.memory_info().rss / 1e6
    print(json.dumps(found), flush=True)
    after = ask()
    if after != before:
        raise SystemExit("the service gives other embeddings after the hostile requests than before")
    return found


def described(client: httpx.Client, count: int) -> dict[str, int]:
    """Return the statuses of requests that schemathesis makes from the description of the service."""
    import hypothesis
    import schemathesis

    counts: dict[str, int] = {}
    schema = schemathesis.openapi.from_url(f"{client.base_url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    # What takes no input can be sent in one way only.
    modes = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]
    pairs = [(one, mode) for one in operations for mode in modes[: 2 if one.method == "post" else 1]]
    for operation, mode in pairs:

        @hypothesis.settings(
            max_examples=max(1, count // len(pairs)),
            database=None,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def send(case: Any) -> None:
            status = str(case.call().status_code)
            counts[status] = counts.get(status, 0) + 1

        send()
    return dict(sorted(counts.items()))


def parse(args: list[str] | None = None) -> argparse.Namespace:
    """Read the flags."""
    parser = _timing.make_parser(__doc__)
    parser.add_argument("--seconds", type=_timing.positive, default=10, help="of one turn of load (default: 10)")
    parser.add_argument(
        "--hour", type=_timing.positive, default=10, help="requests per second of that hour (default: 10)"
    )
    parser.add_argument("--hostile", type=_timing.positive, default=2000, help="hostile requests (default: 2000)")
    parser.add_argument("--serve", help="is the service in this process, MODE,GALLERY,PORT, and measures nothing")
    return parser.parse_args(args)


if __name__ == "__main__":
    main(parse())
