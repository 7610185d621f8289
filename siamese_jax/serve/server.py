"""The server: an address, signals, and connections that are too slow."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from siamese_jax import interrupts
from siamese_jax.errors import UserError
from siamese_jax.serve.limits import Limits

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address; UserError if it cannot be used.

    Args:
      host: A name or an address.
      port: 0 for any free one.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"cannot listen on {host}, port {port} ({reason}): choose another, for example --port=8001"
        ) from error


def serve(app: FastAPI, listening: socket.socket, limits: Limits | None = None) -> None:
    """Answer requests until SIGINT or SIGTERM comes; then answer what was accepted, and return.

    Args:
      app: From `make_app`.
      listening: From `listen`. It is closed at the end.
      limits: Those of the application; None for the defaults.
    """
    with _signals_end_quietly():
        make_server(app, limits or Limits()).run([listening])


def make_server(app: FastAPI, limits: Limits) -> uvicorn.Server:
    """Return the server of an application."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=_protocol(limits.header_seconds),
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=limits.connections,
            timeout_graceful_shutdown=round(limits.stop_seconds),
        )
    )


def _protocol(seconds: float) -> type[H11Protocol]:
    """Return uvicorn's protocol, which waits for the header of a request for so long: uvicorn itself waits forever."""

    class Impatient(H11Protocol):
        _watch: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore
            super().connection_made(transport)
            self._wait()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def _wait(self) -> None:
            self._stop()
            self._watch = self.loop.call_later(seconds, self._end)

        def _stop(self) -> None:
            if self._watch is not None:
                self._watch.cancel()

        def _end(self) -> None:
            if self.cycle is None or self.cycle.response_complete:
                self.transport.close()

    return Impatient


@contextlib.contextmanager
def _signals_end_quietly() -> Iterator[None]:
    """Ignore the signals that uvicorn sends again after it has stopped because of them; others count as SIGTERM."""
    before: dict[signal.Signals, Callable[..., object] | int | None] = {
        one: signal.signal(one, lambda *_: None) for one in SIGNALS
    }
    for one in set(interrupts.SIGNALS) - set(SIGNALS):  # uvicorn does not know them
        if signal.getsignal(one) is not signal.SIG_IGN:
            before[one] = signal.signal(one, lambda *_: signal.raise_signal(signal.SIGTERM))
    try:
        with interrupts.left_alone():
            yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
