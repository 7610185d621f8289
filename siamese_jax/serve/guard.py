"""What stands before the application: bounds on bodies and times, safe headers, and a count of every request."""

import asyncio
import ipaddress
import json
import logging
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from siamese_jax.errors import UserError
from siamese_jax.serve.limits import Limits
from siamese_jax.serve.metrics import Metrics
from siamese_jax.serve.refusals import Refusal, busy

LOG = logging.getLogger("siamese_jax.serve")
SAFE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Headers of every answer, unless it has its own."""


class Load:
    """What a service has taken on now: requests, and bytes of their bodies. Only the event loop changes it."""

    def __init__(self) -> None:
        self.requests = 0
        self.bytes = 0


class Guard:
    """Middleware around the whole application."""

    def __init__(self, app: ASGIApp, *, limits: Limits, load: Load, metrics: Metrics, only_local: bool):
        """Guard an application.

        Args:
          app: The application.
          limits: What it takes on.
          load: What it has taken on; it is kept up to date.
          metrics: They count every request.
          only_local: Refuse requests that name another host than this machine. Otherwise a web page could reach a
            service that needs no token under a name of its own that leads to this machine (DNS rebinding).
        """
        self._app, self._limits, self._load, self._metrics, self._only_local = app, limits, load, metrics, only_local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, headers = time.perf_counter(), 0, Headers(scope=scope)
        body = _Body(receive, headers, self._limits, self._load)

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                answered = MutableHeaders(scope=message)
                for name, value in SAFE_HEADERS.items():
                    answered.setdefault(name, value)
                if not body.complete:  # otherwise the rest of the body would be taken for the next request
                    answered["Connection"] = "close"
            await send(message)

        self._load.requests += 1
        try:
            self._check(scope["path"], headers)
            async with asyncio.timeout(self._limits.request_seconds):
                await self._app(scope, body.receive, answer)
        except Refusal as refusal:
            await _refuse(refusal, answer)
        except UserError as error:
            await _refuse(Refusal(400, str(error)), answer)
        except ClientDisconnect:
            status = 499  # nobody reads an answer; the status has no name in HTTP, but programs that count use it
        except TimeoutError:
            if not status:
                await _refuse(busy(f"no answer within {self._limits.request_seconds:g} seconds: try again"), answer)
        except Exception:
            LOG.exception("a request failed")
            if not status:
                await _refuse(Refusal(500, "the service failed: its log says why"), answer)
        finally:
            self._load.requests -= 1
            self._load.bytes -= body.size
            endpoint = getattr(scope.get("route"), "path", "other")
            self._metrics.answered(endpoint, status, time.perf_counter() - began)

    def _check(self, path: str, headers: Headers) -> None:
        """Raise Refusal for what should not reach the application."""
        host, origin, length = headers.get("host", ""), headers.get("origin"), headers.get("content-length", "")
        if self._only_local and not _names_this_machine(host):
            raise Refusal(
                403,
                f"the host {host[:100]!r} is not this machine: use http://127.0.0.1, or start the service with a token",
            )
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            raise Refusal(403, f"a page of {origin[:100]!r} may not use this service: open the service's own page")
        if length.isdecimal() and int(length) > self._limits.body_bytes:
            raise _too_long(self._limits)
        if self._load.requests > self._limits.requests and path != "/health":
            raise busy(f"{self._limits.requests:,} requests are in progress: try again in a second")


class _Body:
    """The body of a request, as it arrives.

    Attributes:
      complete: Whether all of it has arrived.
      size: Bytes that have arrived.
    """

    def __init__(self, receive: Receive, headers: Headers, limits: Limits, load: Load):
        self._receive, self._limits, self._load = receive, limits, load
        self._until = asyncio.get_running_loop().time() + limits.body_seconds
        self.complete = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
        self.size = 0

    async def receive(self) -> Message:
        """Return the next part; Refusal if the body is too long, or takes too long."""
        if self.complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError as error:
            seconds = self._limits.body_seconds
            raise Refusal(408, f"the body did not arrive within {seconds:g} seconds: send less") from error
        if message["type"] == "http.request":
            length = len(message.get("body", b""))
            self.size += length
            self._load.bytes += length
            self.complete = not message.get("more_body", False)
            if self.size > self._limits.body_bytes:
                raise _too_long(self._limits)
            if self._load.bytes > self._limits.pending_bytes:
                raise busy(f"requests of {self._limits.pending_bytes:,} bytes are in progress: try again in a second")
        return message


def _too_long(limits: Limits) -> Refusal:
    return Refusal(413, f"the body is longer than {limits.body_bytes:,} bytes: send smaller or fewer pictures")


def is_local(name: str) -> bool:
    """Tell whether the name or the address of a host is this machine's own, which no other machine can reach."""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _names_this_machine(host: str) -> bool:
    """Tell whether a Host header, which may have a port, names this machine itself."""
    try:
        return is_local(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


async def _refuse(refusal: Refusal, send: Send) -> None:
    content = json.dumps({"detail": refusal.detail}).encode()
    headers = {"content-type": "application/json", "content-length": str(len(content)), **refusal.headers}
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": raw})
    await send({"type": "http.response.body", "body": content})
