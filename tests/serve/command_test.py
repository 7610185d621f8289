"""The verb `serve`: flags become a service, and a warning is printed where anyone may ask."""

import contextlib
import json

import pytest
from services import MODEL, enrolled

from siamese_jax import serve
from siamese_jax.command import answers, service, verbs
from siamese_jax.command.serve_verb import Serve
from siamese_jax.errors import UserError


@pytest.fixture
def served(monkeypatch):
    """The applications that are served, none of which waits for requests."""
    apps = []
    monkeypatch.setattr(serve, "serve", lambda app, listening: apps.append(app))
    monkeypatch.setattr(service, "load_pretrained", lambda name: MODEL)
    yield apps
    for app in apps:
        app.state.service.close()


def request(line: str) -> Serve:
    return verbs.read_request(f"serve {line}".split())


def test_flags_become_a_request_and_the_environment_may_hold_the_token(monkeypatch):
    wanted = Serve(
        checkpoint="best", gallery=None, read_only=False, host="127.0.0.1", port=8000, token=None, json=False
    )
    assert request("") == wanted
    monkeypatch.setenv("SIAMESE_JAX_TOKEN", "of-environment")
    assert request("").token == "of-environment"
    given = request("--checkpoint=x --gallery=g --read_only --host=::1 --port=0 --token=secret --json")
    assert given == Serve(checkpoint="x", gallery="g", read_only=True, host="::1", port=0, token="secret", json=True)
    assert "secret" not in repr(given)


@pytest.mark.parametrize(
    ("line", "message"),
    [("--port=65536", "port"), ("a", "serve takes flags only, not 'a'"), ("--token=", "the token is empty"),
     ("--token=ü", "the token is empty, or a header"),
     ("--prot=1", "did you mean --port?")],
)  # fmt: skip
def test_what_cannot_be_served_is_named(line, message):
    with pytest.raises(UserError, match=message):
        request(line)


@pytest.mark.parametrize(
    ("line", "warns", "only_local"),
    [("", False, True), ("--token=a", False, False), ("--host=0.0.0.0", True, False),
     ("--host=0.0.0.0 --token=a", False, False), ("--host=localhost", False, True)],
)  # fmt: skip
def test_who_may_ask_depends_on_the_host_and_the_token(served, capsys, line, warns, only_local):
    text = answers.perform(request(f"{line} --port=0"))
    (app,) = served
    (guard,) = app.user_middleware
    assert guard.kwargs["only_local"] is only_local
    errors = capsys.readouterr().err
    assert ("anyone who can reach 0.0.0.0 may use this service: set SIAMESE_JAX_TOKEN" in errors) is warns
    assert "tiny0 answers on http://" in errors
    assert text.endswith(" is closed")


def test_the_gallery_is_made_unless_it_may_only_be_read(served, tmp_path):
    answer = json.loads(answers.perform(request(f"--gallery={tmp_path / 'new'} --port=0 --json")))
    assert (answer["network"], answer["gallery"]) == ("tiny0", str(tmp_path / "new"))
    assert served[0].state.service.may_enrol
    answers.perform(request(f"--gallery={enrolled(tmp_path / 'old', 0)} --port=0 --read_only"))
    assert not served[1].state.service.may_enrol
    with pytest.raises(UserError, match="missing"):
        answers.perform(request(f"--gallery={tmp_path / 'missing'} --port=0 --read_only"))


@pytest.fixture
def taken_port():
    with contextlib.closing(serve.listen("127.0.0.1", 0)) as taken:
        yield taken


def test_a_port_that_is_taken_is_named_before_the_network_is_read(taken_port):
    port = taken_port.getsockname()[1]
    with pytest.raises(UserError, match="choose another, for example --port=8001"):
        answers.perform(request(f"--port={port} --checkpoint=missing"))
