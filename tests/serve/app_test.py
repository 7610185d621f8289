"""A service answers as the command and the library do, and refuses with a status and one sentence."""

import base64
import io
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from services import MODEL, Held, client_of, enrolled, pixels, png, wait_for
from tiny_model import make_model

from siamese_jax.command import answers, pictures, verbs
from siamese_jax.errors import UserError
from siamese_jax.gallery import Gallery
from siamese_jax.serve import Limits, make_app


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A client of a service whose gallery has 7 pictures of 3 classes. Tests leave it as it was."""
    place = enrolled(tmp_path_factory.mktemp("serve") / "g", 0, 1, 20, 21, 40, 41, 42)
    with client_of(gallery=place) as client:
        client.place = place
        yield client


@pytest.fixture
def answered(tmp_path, monkeypatch):
    """What a command line prints for programs, with the tiny network and the files 0.png, 1.png, …."""
    for index in range(60):
        (tmp_path / f"{index}.png").write_bytes(png(index))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pictures, "load_pretrained", lambda name: MODEL)
    return lambda line: json.loads(answers.perform(verbs.read_request(f"{line} --json".split())))


def files(*indices: int, name: str = "file") -> list:
    return [(name, (f"{index}.png", png(index))) for index in indices]


def text(index: int) -> str:
    return base64.b64encode(png(index)).decode()


def refused(response, status: int) -> str:
    """The sentence of an answer that refuses."""
    assert response.status_code == status, response.text
    (detail,) = response.json().values()
    return detail


def test_embeddings_are_those_of_the_network(client):
    answer = client.post("/embed", files=files(3, 24)).json()
    np.testing.assert_allclose(answer["embeddings"], MODEL.embed(pixels(3, 24)), atol=1e-5)
    assert answer["remarks"] == [list(MODEL_NOTES[3]), list(MODEL_NOTES[24])]
    for sent in ([text(3), text(24)], [text(3), f"data:image/png;base64,{text(24)}"]):
        assert client.post("/embed", json={"picture": sent}).json() == answer


MODEL_NOTES = {index: pictures.read_picture(png(index), MODEL.side).notes for index in (3, 24)}


@pytest.mark.parametrize("prior", [0.5, 0.01])
def test_verify_answers_as_the_command_does(client, answered, prior):
    given = answered(f"verify 2.png 33.png --prior={prior}")
    wanted = {**given, "score": pytest.approx(given["score"], abs=1e-4), "remarks": {}}
    sent = [*files(2, name="first"), *files(33, name="second")]
    assert client.post("/verify", files=sent, data={"prior": prior}).json() | {"remarks": {}} == wanted
    sent = {"first": text(2), "second": text(33), "prior": prior}
    assert client.post("/verify", json=sent).json() | {"remarks": {}} == wanted


def test_identify_answers_as_the_command_does_and_says_where_thumbnails_are(client, answered):
    given = answered(f"identify 5.png 45.png --gallery={client.place} --top=2")
    answer = client.post("/identify", files=files(5, 45), data={"top": 2}).json()
    assert (answer["search"], answer["fpir"]) == (given["search"], given["fpir"])
    for ours, theirs in zip(answer["pictures"], given["pictures"], strict=True):
        assert [ours[name] for name in ("path", "unknown", "why")] == [theirs[n] for n in ("path", "unknown", "why")]
        assert ours["remarks"] == given["remarks"].get(ours["path"], [])
        for match, wanted in zip(ours["matches"], theirs["matches"], strict=True):
            assert match.pop("thumbnail") == f"/thumbnail/{wanted['picture']}"
            assert match == {**wanted, "score": pytest.approx(wanted["score"], abs=1e-4)}


def test_a_picture_is_enrolled_identified_shown_and_removed(client):
    before = client.get("/classes").json()
    assert before == {"network": "tiny0", "pictures": 7, "classes": {"c0": 2, "c1": 2, "c2": 3}}
    answer = client.post("/enrol", files=files(100, 101), data={"class_name": "new"}).json()
    added = answer["added"]
    assert {name: answer[name] for name in ("enrolled", "already_enrolled", "pictures", "classes")} == {
        "enrolled": 2, "already_enrolled": 0, "pictures": 9, "classes": 4,
    }  # fmt: skip
    with Gallery.open(client.place, None) as gallery:
        assert [(one.id, one.source) for one in gallery.pictures("new")] == [
            (added[0], "100.png"), (added[1], "101.png"),
        ]  # fmt: skip
    again = client.post("/enrol", json={"picture": text(100), "class_name": "new"}).json()
    assert (again["enrolled"], again["already_enrolled"], again["added"]) == (0, 1, [])
    found = client.post("/identify", files=files(100)).json()["pictures"][0]["matches"][0]
    assert (found["class_name"], found["picture"]) == ("new", added[0])
    shown = client.get(found["thumbnail"])
    assert shown.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(shown.content)).size == (12, 12)
    assert client.post("/remove", json={"picture": added[0]}).json() == {"removed": 1, "pictures": 8}
    assert client.post("/remove", json={"class_name": "new"}).json() == {"removed": 1, "pictures": 7}
    assert refused(client.get(found["thumbnail"]), 404).endswith(
        f"has no picture {added[0]}: use an id that `pictures` lists"
    )
    assert client.get("/classes").json() == before


def form(content: object, filename: str | None = "a.png", **data: object) -> dict:
    """A form with a file."""
    return {"files": [("file", (filename, content))], "data": data}


def body(content: bytes, kind: str = "application/json") -> dict:
    """Any body."""
    return {"content": content, "headers": {"content-type": kind}}


PNG, WHITE = png(0), io.BytesIO()
Image.new("L", (20, 20), 255).save(WHITE, "PNG")
REFUSALS = {
    "another type": ("/embed", {"data": {"fit": "pad"}}, 415, "the content type 'application/x-www-form"),
    "no file": ("/embed", form("x", None), 400, "the form has 0 files called 'file': send one or more"),
    "two files": ("/verify", {"files": files(0, 1, name="first")}, 400, "2 files called 'first': send one"),
    "not a picture": ("/embed", form(b"x"), 400, "a.png is not an image, or damaged, or of a format"),
    "empty": ("/embed", form(b""), 400, "a.png is empty: replace the file"),
    "blank": ("/embed", form(WHITE.getvalue()), 400, "a.png is blank, nothing on it can be told"),
    "truncated": ("/embed", form(PNG[:-30]), 400, "a.png is damaged"),
    "a path": ("/embed", form(b"", "../\u2028/b.png"), 400, "b.png is empty: replace the file"),
    "another file": ("/embed", {"files": [*files(0), *files(1, name="x")]}, 400, "a file called 'x': send file"),
    "twice": ("/identify", form(PNG, top=["1", "2"]), 400, "a field of the form is given twice: give it once"),
    "unknown field": ("/embed", form(PNG, a=1), 400, "a is not valid, extra inputs are not permitted: see /docs"),
    "unknown fit": ("/embed", form(PNG, fit="x"), 400, "fit is not valid, input should be 'pad', 'ink'"),
    "top": ("/identify", form(PNG, top=0), 400, "top is not valid, input should be greater"),
    "fpir": ("/identify", form(PNG, fpir="nan"), 400, "fpir is not valid"),
    "prior": ("/verify", {"json": {"first": "", "second": "", "prior": 1}}, 400, "prior is not valid"),
    "base64": ("/embed", {"json": {"picture": "&"}}, 400, "picture is not base64"),
    "not ascii": ("/embed", {"json": {"picture": "é"}}, 400, "picture is not base64"),
    "a number": (
        "/embed",
        {"json": {"picture": 1}},
        400,
        "picture is not valid, input should be a valid array",
    ),
    "no JSON": ("/embed", body(b"{"), 400, "the body is not valid"),
    "not UTF-8": ("/embed", body(b'{"picture": "\xff"}'), 400, "the body is not valid"),
    "deep": ("/embed", body(b"[" * 9999), 400, "the body is not valid"),
    "no boundary": ("/embed", body(b"", "multipart/form-data"), 400, "Missing boundary"),
    "not a form": ("/embed", body(b"x", "multipart/form-data; boundary=a"), 400, "Invalid multipart data"),
    "class name": ("/enrol", form(PNG, class_name=" a"), 400, "a.png has the class name ' a': use 1 to 200"),
    "no class": ("/enrol", form(PNG), 400, "class_name is not valid, field required: see /docs"),
    "nothing": ("/remove", {"json": {}}, 400, "remove takes a class or a picture: send class_name or picture"),
    "missing": ("/remove", {"json": {"class_name": "c9"}}, 404, "has no class 'c9'"),
    "huge id": ("/remove", {"json": {"picture": 1 << 70}}, 400, "picture is not valid"),
    "method": ("/health", {}, 405, "this address takes another method: see /docs"),
    "address": ("/x", {}, 404, "there is no such address: see /docs"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_cannot_be_used_is_refused_in_a_sentence(client, name):
    path, sent, status, sentence = REFUSALS[name]
    assert sentence in refused(client.post(path, **sent), status)
    assert client.get("/classes").json()["pictures"] == 7


@pytest.mark.parametrize("picture", ["0", str(1 << 63), "x"])
def test_what_is_not_an_id_has_no_thumbnail(client, picture):
    assert refused(client.get(f"/thumbnail/{picture}"), 400) == "a value in the address is not valid: see /docs"


def test_sizes_and_counts_are_bounded():
    bounds = Limits(body_bytes=3000, pictures=2, pixels=399, pending_bytes=3500)
    with client_of(limits=bounds) as client:
        long = b"x" * 3000
        for sent in (form(long), body(long[:1000] for _ in range(4))):
            assert refused(client.post("/embed", **sent), 413).startswith("the body is longer than 3,000 bytes")
        assert "Maximum number of files is 2" in refused(client.post("/embed", files=files(0, 1, 2)), 400)
        assert "at most 2" in refused(client.post("/embed", json={"picture": [text(0)] * 3}), 400)
        bomb = client.post("/embed", **form(WHITE.getvalue()))
        assert refused(bomb, 400).startswith("a.png has 20×20 pixels, more than 399: reduce it")
        assert client.post("/embed", files=files(0, 1)).status_code == 200


def test_health_is_answered_while_programs_are_compiled_and_others_wait():
    model = Held()
    with client_of(model, status="starting") as client:
        assert client.get("/health").status_code == 503
        response = client.post("/embed", files=files(0))
        assert refused(response, 503) == "the service is starting: try again in some seconds"
        assert response.headers["retry-after"] == "1"
        model.gate.set()
        wait_for(client, "ready")
        assert client.post("/embed", files=files(0)).status_code == 200


def test_more_requests_than_the_limit_and_late_answers_are_refused():
    model = Held()
    model.gate.set()
    with client_of(model, limits=Limits(requests=1, request_seconds=0.5)) as client:
        model.gate.clear()
        model.begun.clear()
        with ThreadPoolExecutor(1) as pool:
            late = pool.submit(client.post, "/embed", files=files(0))
            assert model.begun.wait(30)
            other = client.post("/embed", files=files(0))
            assert refused(other, 503) == "1 requests are in progress: try again in a second"
            assert client.get("/health").status_code == 200
        assert refused(late.result(), 503) == "no answer within 0.5 seconds: try again"
        model.gate.set()
        assert client.post("/embed", files=files(0)).status_code == 200


def test_a_token_is_needed_for_everything_that_says_something_about_pictures(tmp_path):
    with client_of(gallery=enrolled(tmp_path / "g", 0), token="secret") as client:
        for path in ("/", "/docs", "/openapi.json", "/health"):
            assert client.get(path).status_code == 200
        for header in ({}, {"authorization": "Bearer secreT"}, {"authorization": "Basic secret"}):
            for path in ("/classes", "/thumbnail/1", "/metrics"):
                assert "the token is missing or wrong" in refused(client.get(path, headers=header), 401)
            for path in ("/embed", "/verify", "/identify", "/enrol", "/remove"):
                assert client.post(path, headers=header).status_code == 401
        client.headers["authorization"] = "Bearer secret"
        assert client.get("/classes").json()["pictures"] == 1
        assert client.get("/thumbnail/1").status_code == client.get("/metrics").status_code == 200
        assert client.post("/embed", files=files(0)).status_code == 200


def test_a_gallery_can_be_read_only_and_need_not_be_there(tmp_path):
    with client_of(gallery=enrolled(tmp_path / "g", 0), read_only=True) as client:
        assert client.get("/health").json()["may_enrol"] is False
        for path in ("/enrol", "/remove"):
            assert "may only be read" in refused(client.post(path), 403)
        assert client.post("/identify", files=files(0)).status_code == 200
    with client_of() as client:
        for path in ("/enrol", "/remove", "/identify"):
            assert refused(client.post(path), 404) == "this service has no gallery: start it with --gallery=FILE"
        assert client.get("/classes").status_code == 404
        assert client.post("/embed", files=files(0)).status_code == 200
    with pytest.raises(UserError, match="missing"):
        make_app(MODEL, str(tmp_path / "missing"), read_only=True)
    with pytest.raises(UserError, match="not of 'tiny1'"):
        make_app(make_model(1), str(tmp_path / "g"))


def test_a_visitor_is_not_told_where_the_gallery_lies(tmp_path):
    with client_of(gallery=str(tmp_path / "g")) as client:
        empty = refused(client.post("/identify", files=files(0)), 400)
        assert empty == "the gallery is empty: enrol pictures of each class first"
        unknown = refused(client.post("/remove", json={"class_name": "x"}), 404)
        assert unknown.startswith("the gallery has no class 'x'")


def test_pages_of_other_places_may_not_use_a_service():
    with client_of(only_local=True) as client:
        client.headers["host"] = "localhost:8000"
        assert client.get("/health", headers={"origin": "http://localhost:8000"}).status_code == 200
        for origin in ("http://evil.example", "http://localhost:9000", "null"):
            assert "may not use this service" in refused(client.get("/health", headers={"origin": origin}), 403)
        for host, status in {"127.0.0.1": 200, "[::1]:80": 200, "evil.example": 403, "10.0.0.1": 403, "[": 403}.items():
            assert client.get("/health", headers={"host": host}).status_code == status


def test_every_answer_has_safe_headers_and_pages_need_nothing_from_elsewhere(client):
    for response in (client.get("/health"), client.get("/x"), client.get("/thumbnail/1"), client.post("/embed")):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["content-security-policy"].startswith("default-src 'none'")
        assert "access-control-allow-origin" not in response.headers
    page, reference = client.get("/"), client.get("/docs")
    assert page.headers["content-security-policy"] == "frame-ancestors 'none'"
    assert "default-src &#x27;none&#x27;" in page.text or "default-src 'none'" in page.text
    assert "http://" not in reference.text
    assert "https://" not in reference.text
    for path in client.get("/openapi.json").json()["paths"]:
        assert f" {path}</code>" in reference.text


def test_a_gallery_that_does_not_answer_is_a_failure_of_the_service(client, monkeypatch):
    def fail(*_: object) -> None:
        raise UserError("g cannot be used (database is locked): try again") from sqlite3.OperationalError("locked")

    monkeypatch.setattr(client.app.state.service.gallery, "identify", fail)
    assert "cannot be used now" in refused(client.post("/identify", files=files(0)), 503)
    monkeypatch.setattr(client.app.state.service.gallery, "identify", lambda *_: 1 / 0)
    assert refused(client.post("/identify", files=files(0)), 500) == "the service failed: its log says why"


def test_a_service_that_has_ended_has_closed_its_gallery(tmp_path):
    with client_of(gallery=enrolled(tmp_path / "g", 0)) as client:
        service = client.app.state.service
    with pytest.raises(UserError, match="closed"):
        service.gallery.classes()
    with pytest.raises(RuntimeError, match="closed"):
        service.batcher.submit(pixels(0))


def test_a_network_that_fails_is_never_ready(monkeypatch):
    model = Held()
    monkeypatch.setattr(type(model), "embed", lambda *_: 1 / 0)
    with client_of(model, status="failed") as client:
        assert client.get("/health").status_code == 503
        assert client.post("/embed", files=files(0)).status_code == 503


def test_two_services_in_one_process_count_their_own_requests():
    with client_of() as one, client_of() as other:
        one.post("/embed", files=files(0, 1, 2))
        one.get("/nowhere/1")
        metrics = one.get("/metrics").text
        for line in (
            'siamese_jax_requests_total{endpoint="/embed",status="200"} 1.0',
            'siamese_jax_requests_total{endpoint="other",status="404"} 1.0',
            "siamese_jax_ready 1.0",
            "siamese_jax_waiting_pictures 0.0",
            "siamese_jax_batch_pictures_sum 40.0",  # 1, 4 and 32 to start with
        ):
            assert line in metrics.splitlines()
        assert 'endpoint="/embed"' not in other.get("/metrics").text
