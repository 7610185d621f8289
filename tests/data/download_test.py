"""Downloads: whole and verified or not at all, whatever the network does. No network but this machine's own."""

import hashlib
import http.server
import os
import random
import ssl
import threading
import urllib.error

import pytest

from siamese_jax.data import download as doors
from siamese_jax.data.download import Archive, download
from siamese_jax.errors import UserError

CONTENT = random.Random(0).randbytes(200_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` as a.zip, after the faults in `faults`, one for each request.

    A number is the status of an answer, or the bytes after which the connection is lost if it is above 600.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.faults, self.ranges, self.resumes = CONTENT, [], [], True
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.ranges.append(asked)
        fault = server.faults.pop(0) if server.faults else 0
        if not self.path.endswith("/a.zip"):
            self.send_error(404)
            return
        if 0 < fault <= 600:
            self.send_error(fault)
            return
        first = int(asked[6:-1]) if asked and server.resumes else 0
        if first and first >= len(server.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(server.content) - 1}/{len(server.content)}")
        self.send_header("Content-Length", str(len(server.content) - first))
        self.end_headers()
        self.wfile.write(server.content[first : fault or None])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(doors, "PAUSES", (0.0, 0.0))
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def published(server, sha256: str | None = SHA256) -> Archive:
    return Archive("a.zip", f"{server.url}/a.zip", sha256)


def test_a_download_is_kept_and_not_repeated(server, tmp_path):
    for _ in range(2):
        assert download("letters", [published(server)], tmp_path / "letters") == tmp_path / "letters"
    assert (tmp_path / "letters" / "a.zip").read_bytes() == CONTENT
    assert server.ranges == [None]


@pytest.mark.parametrize("part", [b"", CONTENT[:50_000]])
def test_a_download_with_another_sha256_is_refused_and_leaves_nothing(server, tmp_path, part):
    (tmp_path / "a.zip.part").write_bytes(part)
    with pytest.raises(UserError, match=r"a\.zip is not the file that was published"):
        download("letters", [published(server, "0" * 64)], tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("sha256", [SHA256, None])
def test_a_lost_connection_is_continued_at_once(server, tmp_path, capsys, sha256):
    server.faults = [70_000, 503, 150_000]
    download("letters", [published(server, sha256)], tmp_path)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=70000-", "bytes=70000-", "bytes=150000-"]
    told = capsys.readouterr().err
    assert "the connection was lost: trying again in 0 s" in told
    assert "503 Service Unavailable: trying again" in told


def test_a_download_that_failed_is_continued_by_the_next_command(server, tmp_path):
    server.faults = [70_000, 500, 500, 500]
    with pytest.raises(UserError, match=r"cannot be downloaded \(500 Internal Server Error\)"):
        download("letters", [published(server)], tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.zip.part"]
    download("letters", [published(server)], tmp_path)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert server.ranges[-1] == "bytes=70000-"
    assert [file.name for file in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize(
    ("part", "resumes"),
    [
        (CONTENT, True),  # whole, but the process died before it was renamed
        (CONTENT[:999], False),  # the server cannot continue
        (b"x" * 999, True),  # another version of the file
        (CONTENT + b"more", True),
    ],
)
def test_whatever_part_was_left_the_file_becomes_the_published_one(server, tmp_path, part, resumes):
    (tmp_path / "a.zip.part").write_bytes(part)
    server.resumes = resumes
    download("letters", [published(server)], tmp_path)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert len(list(tmp_path.iterdir())) == 1


def test_a_part_is_not_continued_if_nothing_would_show_a_mixture(server, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(b"x" * 999)
    download("letters", [published(server, None)], tmp_path)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_two_downloads_at_the_same_time_do_not_tear(server, tmp_path):
    threads = [threading.Thread(target=download, args=("x", [published(server)], tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert [file.name for file in tmp_path.iterdir()] == ["a.zip"]
    assert len(server.ranges) == 1  # the others waited


def test_a_file_that_is_too_large_is_not_kept(server, tmp_path, monkeypatch):
    monkeypatch.setattr(doors, "LARGEST", 1000)
    with pytest.raises(UserError, match=r"cannot be downloaded \(it has more than 1,000 bytes\)"):
        download("letters", [published(server)], tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("address", ["{url}/absent.zip", "http://127.0.0.1:9/a.zip", "http://nowhere.invalid/a.zip"])
def test_what_cannot_be_fetched_names_the_ways_out(server, tmp_path, address):
    with pytest.raises(UserError, match=r"--archives=DIR.*a\.zip.*--experiment=glyphs_20way") as caught:
        download("letters", [Archive("a.zip", address.format(url=server.url))], tmp_path)
    assert "\n" not in str(caught.value)
    assert len(server.ranges) <= 1  # a missing file is asked for once
    assert not list(tmp_path.iterdir())


def test_a_silent_server_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr(doors, "TIMEOUT", 0.1)
    with http.server.HTTPServer(
        ("127.0.0.1", 0), http.server.BaseHTTPRequestHandler
    ) as silent:  # accepts, never answers
        file = Archive("a.zip", f"http://127.0.0.1:{silent.server_port}/a.zip")
        with pytest.raises(UserError, match=r"cannot be downloaded \(no answer in 0\.1 s\)"):
            download("letters", [file], tmp_path)


def test_a_certificate_that_is_not_trusted_names_the_variable(server, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise urllib.error.URLError(ssl.SSLCertVerificationError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"))

    monkeypatch.setattr(doors.urllib.request.OpenerDirector, "open", refuse)
    with pytest.raises(UserError, match=r"CERTIFICATE_VERIFY_FAILED.*: set SSL_CERT_FILE to a file .*, or give --arch"):
        download("letters", [Archive("a.zip", "https://nowhere.invalid/a.zip")], tmp_path)


@pytest.mark.parametrize("proxy", ["http://me:secret@127.0.0.1:9", "me:secret@127.0.0.1:9", "http://127.0.0.1:port"])
def test_a_proxy_that_refuses_is_named_without_its_password(server, tmp_path, monkeypatch, proxy):
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(
        UserError, match=r"through the proxy .*127\.0\.0\.1:.*: correct or unset HTTPS_PROXY, or"
    ) as told:
        download("letters", [Archive("a.zip", "https://nowhere.invalid/a.zip")], tmp_path)
    assert "secret" not in str(told.value)


def test_a_proxy_that_asks_for_a_password_is_named(server, tmp_path, monkeypatch):
    server.faults = [407]
    monkeypatch.setenv("http_proxy", server.url)
    with pytest.raises(UserError, match=r"through the proxy http://127.*407 Proxy Auth.*: correct or unset HTTP_PROXY"):
        download("letters", [Archive("a.zip", "http://nowhere.invalid/a.zip")], tmp_path)


def test_a_disk_that_is_full_is_the_caller_s_to_explain_and_the_part_is_kept(server, tmp_path, monkeypatch):
    def fill(url, part):
        part.write(CONTENT[:10])
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(doors, "_append", fill)
    with pytest.raises(OSError, match="No space left"):
        download("letters", [published(server)], tmp_path)
    assert (tmp_path / "a.zip.part").read_bytes() == CONTENT[:10]


def test_a_file_that_was_not_published_is_one_sentence(server, tmp_path):
    with pytest.raises(UserError, match=r"^http://\S+/a\.zip is not the file that was published: give a folder"):
        download("letters", [published(server, "0" * 64)], tmp_path)
