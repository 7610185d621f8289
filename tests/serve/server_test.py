"""A service behind a real socket: slow clients, signals, and whatever its description allows."""

import concurrent.futures
import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import hypothesis
import pytest
import schemathesis
from schemathesis import checks
from services import MODEL, client_of, enrolled, png, wait_for
from tiny_model import EXPERIMENT

from siamese_jax import pretrained
from siamese_jax.errors import UserError
from siamese_jax.gallery import Gallery
from siamese_jax.serve import Limits, listen


def answer_of(address: str, *parts: bytes) -> bytes:
    """What a server sends until it closes the connection, after these parts were sent."""
    with socket.create_connection(("127.0.0.1", int(address.rstrip("/").rpartition(":")[2])), timeout=30) as connection:
        for part in parts:
            connection.sendall(part)
        return b"".join(iter(lambda: connection.recv(4096), b""))


def test_a_client_that_is_too_slow_is_cut_off():
    post = b"POST /embed HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    with client_of(limits=Limits(header_seconds=0.2, body_seconds=0.2)) as client:
        address = str(client.base_url)
        assert answer_of(address) == b""
        assert answer_of(address, b"GET /health HTTP/1.1\r\nHost:") == b""
        late = answer_of(address, post + b"Content-Length: 9\r\n\r\n{")
        assert late.startswith(b"HTTP/1.1 408 ")
        assert b"the body did not arrive within 0.2 seconds: send less" in late
        long = answer_of(address, post + b"Content-Length: 99999999\r\n\r\n{")
        assert long.startswith(b"HTTP/1.1 413 ")
        assert b"connection: close" in long.lower()
        assert client.get("/health").status_code == 200


def test_whatever_the_description_allows_or_forbids_the_service_does_not_fail(tmp_path):
    with client_of(gallery=enrolled(tmp_path / "g", 0, 20)) as client:
        schema = schemathesis.openapi.from_url(f"{client.base_url}/openapi.json")
        for found in schema.get_all_operations():
            operation = found.ok()

            @hypothesis.settings(max_examples=6, suppress_health_check=list(hypothesis.HealthCheck))
            @hypothesis.given(case=operation.as_strategy())
            def send(case):
                case.call_and_validate(checks=CHECKS)

            send()
        assert client.post("/embed", files={"file": png(0)}).status_code == 200


CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


def test_an_address_that_cannot_be_used_is_named():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"cannot listen on 127.0.0.1, port {port} .*choose another"):
            listen("127.0.0.1", port)
    with pytest.raises(UserError, match="cannot listen on no.such.host.invalid"):
        listen("no.such.host.invalid", 0)


def _answers(client: httpx.Client) -> bool:
    try:
        return bool(client.get("/health"))
    except httpx.TransportError:
        return False


def test_a_service_that_is_told_to_stop_answers_what_it_has_accepted(tmp_path):
    pretrained.write(tmp_path / "tiny", EXPERIMENT, MODEL.params, MODEL.card)
    with listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "siamese_jax.main", "serve", f"--checkpoint={tmp_path / 'tiny'}"]
    command += [f"--gallery={tmp_path / 'g'}", f"--port={port}"]
    environment = {**os.environ, "SIAMESE_JAX_TOKEN": "secret"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"authorization": "Bearer secret"}, timeout=60)
    until = time.monotonic() + 60
    while not _answers(client) and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.05)
    wait_for(client, "ready")

    def enrol(index: int) -> httpx.Response | None:
        try:
            return client.post("/enrol", files={"file": png(index)}, data={"class_name": f"c{index}"})
        except httpx.TransportError:  # it was not accepted any more
            return None

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(enrol, index) for index in range(60)]
        next(concurrent.futures.as_completed(answers))
        process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=60)
    given = [answer.result() for answer in answers]
    kept = {f"c{index}" for index, answer in enumerate(given) if answer is not None}
    assert {answer.status_code for answer in given if answer is not None} == {200}
    assert process.returncode == 0, errors
    assert output == f"http://127.0.0.1:{port} is closed\n"
    assert "answers on" in errors
    with Gallery.open(tmp_path / "g", MODEL) as gallery:
        assert set(gallery.classes()) == kept
        assert gallery.check().problems == ()
