"""Requests that want to stop a service: what each sends, and what it must get."""

import asyncio
import base64
import io
import json
import random
import struct
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable

from PIL import Image

TOGETHER = 64
"""Requests that are sent at the same time."""
SECONDS = 120.0
"""The longest that an answer may take; the service itself promises 60."""


async def attack(port: int, picture: bytes, count: int, seed: int = 0) -> dict[str, dict[str, int]]:
    """Send hostile requests to a service on this machine.

    Args:
      port: Where it listens.
      picture: A picture file that it accepts.
      count: How many requests are sent, a multiple of the number of kinds.
      seed: Of what is random in them.

    Returns:
      For each kind of request, how often each status was answered; "closed" where the connection ended without one.
    """
    found: dict[str, Counter[str]] = {kind.__name__: Counter() for kind in KINDS}
    rng, free = random.Random(seed), asyncio.Semaphore(TOGETHER)

    async def send(kind: Callable[..., AsyncIterator[bytes | None]]) -> None:
        async with free:
            found[kind.__name__][await _status(port, kind(picture, rng))] += 1

    kinds = [kind for kind in KINDS for _ in range(count // len(KINDS))]
    rng.shuffle(kinds)
    await asyncio.gather(*map(send, kinds))
    return {name: dict(sorted(counts.items())) for name, counts in found.items()}


async def _status(port: int, parts: AsyncIterator[bytes | None]) -> str:
    """Send the parts of a request, None for half a close; return the status of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async for part in parts:
            if part is None:
                writer.write_eof()
            else:
                writer.write(part)
                await writer.drain()
        line = await asyncio.wait_for(reader.readline(), SECONDS)
        return line.split()[1].decode() if line else "closed"
    except ConnectionError:
        return "closed"
    except TimeoutError:
        return "no answer"
    finally:
        writer.close()


def _post(path: str, kind: str, content: bytes, length: int | None = None) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(content) if length is None else length}\r\n\r\n".encode() + content


def _form(content: bytes, length: int | None = None) -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    return _post("/embed", "multipart/form-data; boundary=b", head + content + b"\r\n--b--\r\n", length)


def _png(width: int, height: int, rows: bytes, extra: bytes = b"") -> bytes:
    """Return a grey PNG file; `rows` are compressed already."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _text_bomb() -> bytes:
    content = b"a\0\0" + zlib.compress(bytes(200_000_000))
    return struct.pack(">I", len(content)) + b"zTXt" + content + struct.pack(">I", zlib.crc32(b"zTXt" + content))


LARGEST = _png(5000, 5000, zlib.compress(bytes(5001 * 5000)))
"""25 million pixels, as many as are decoded. All are black."""
LARGER = _png(60_000, 60_000, zlib.compress(bytes(1000)))
TEXT = _png(8, 8, zlib.compress(bytes(72)), _text_bomb())


async def truncated(picture: bytes, rng: random.Random) -> AsyncIterator[bytes]:
    """A picture that ends anywhere."""
    yield _form(picture[: rng.randrange(len(picture))])


async def damaged(picture: bytes, rng: random.Random) -> AsyncIterator[bytes]:
    """A picture with wrong bytes, of any format."""
    file = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").save(file, rng.choice(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]))
    content = bytearray(file.getvalue())
    for _ in range(rng.randrange(1, 20)):
        content[rng.randrange(8, len(content))] = rng.randrange(256)
    yield _form(bytes(content))


async def bombs(picture: bytes, rng: random.Random) -> AsyncIterator[bytes]:
    """A small file that becomes large: many pixels, too many pixels, or much text."""
    yield _form(rng.choice([LARGEST, LARGER, TEXT]))


async def json_bombs(picture: bytes, rng: random.Random) -> AsyncIterator[bytes]:
    """JSON that is deep, long, or no JSON."""
    text = rng.choice(
        [b"[" * 100_000, b'{"picture": [' + b'"",' * 100_000 + b'""]}', b"9" * 100_000, rng.randbytes(500)]
    )
    yield _post("/embed", "application/json", text)


async def too_long(picture: bytes, rng: random.Random) -> AsyncIterator[bytes]:
    """A body that is announced, or sent, with more bytes than are read."""
    if rng.random() < 0.5:
        yield _form(b"", length=10**12)
    else:
        yield _post("/embed", "application/json", b"", 30_000_000)
        for _ in range(30):
            yield bytes(1_000_000)


async def many_parts(picture: bytes, rng: random.Random) -> AsyncIterator[bytes]:
    """A form with thousands of parts or headers."""
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n\r\n'
    header = b"--b\r\n" + b"a: b\r\n" * 5000
    yield _post("/embed", "multipart/form-data; boundary=b", rng.choice([part * 5000, header]))


async def slow(picture: bytes, rng: random.Random) -> AsyncIterator[bytes]:
    """A request that comes a byte at a time, and never ends."""
    for byte in _form(picture)[: rng.randrange(40, 300)]:
        yield bytes([byte])
        await asyncio.sleep(0.01)


async def half_closed(picture: bytes, rng: random.Random) -> AsyncIterator[bytes | None]:
    """A request, whole or not, whose client then closes its half of the connection."""
    request = _form(picture)
    yield request[: rng.choice([len(request), rng.randrange(len(request))])]
    yield None


async def malformed(picture: bytes, rng: random.Random) -> AsyncIterator[bytes]:
    """What is not HTTP, or has two meanings."""
    yield rng.choice(
        [
            rng.randbytes(200) + b"\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
            b"POST /embed HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /",
            b"POST /embed HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
            b"POST /embed HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
        ]
    )


async def odd_values(picture: bytes, rng: random.Random) -> AsyncIterator[bytes]:
    """Fields with values at and beyond every bound."""
    value = rng.choice([None, "", "x" * 1000, -1, 0, 1 << 70, 1e308, [], {}, "\ud800", "\0", True])
    text = base64.b64encode(picture).decode()
    path, fields = rng.choice(
        [
            ("/identify", {"picture": text, "top": value}),
            ("/identify", {"picture": text, "fpir": value}),
            ("/verify", {"first": text, "second": text, "prior": value}),
            ("/enrol", {"picture": text, "class_name": value if value != "x" * 1000 else ""}),
            ("/remove", {"picture": value}),
            ("/remove", {"class_name": value}),
            ("/embed", {"picture": value}),
        ]
    )
    yield _post(path, "application/json", json.dumps(fields).encode())


KINDS = (truncated, damaged, bombs, json_bombs, too_long, many_parts, slow, half_closed, malformed, odd_values)
