"""Finding, downloading and verifying the published files; no network but this machine's own."""

import hashlib
import http.server
import subprocess
import sys
import threading

import pytest

from siamese_jax.data import archives as doors
from siamese_jax.data.archives import Archive, locate
from siamese_jax.errors import UserError

CONTENT = b"an archive"


@pytest.fixture
def server(tmp_path):
    """Serves tmp_path/published; yields its address."""
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "a.zip").write_bytes(CONTENT)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=tmp_path / "published")

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_a_download_is_kept_and_not_repeated(server, tmp_path):
    file = Archive("a.zip", f"{server}/a.zip", hashlib.sha256(CONTENT).hexdigest())
    folder = locate("letters", [file], None, tmp_path / "downloads")
    assert folder == tmp_path / "downloads" / "letters"
    assert (folder / "a.zip").read_bytes() == CONTENT
    (tmp_path / "published" / "a.zip").unlink()
    assert locate("letters", [file], None, tmp_path / "downloads") == folder


def test_a_download_with_another_sha256_is_refused_and_leaves_nothing(server, tmp_path):
    file = Archive("a.zip", f"{server}/a.zip", "0" * 64)
    with pytest.raises(UserError, match=r"a\.zip is not the file that was published"):
        locate("letters", [file], None, tmp_path / "downloads")
    assert not list((tmp_path / "downloads" / "letters").iterdir())


@pytest.mark.parametrize("address", ["{server}/absent.zip", "http://127.0.0.1:9/a.zip", "http://nowhere.invalid/a.zip"])
def test_what_cannot_be_fetched_names_the_ways_out(server, tmp_path, address):
    file = Archive("a.zip", address.format(server=server))
    with pytest.raises(UserError, match=r"--archives=DIR.*a\.zip.*--experiment=glyphs_20way") as caught:
        locate("letters", [file], None, tmp_path / "downloads")
    assert "\n" not in str(caught.value)


def test_a_silent_server_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(doors, "TIMEOUT", 0.2)
    with http.server.HTTPServer(
        ("127.0.0.1", 0), http.server.BaseHTTPRequestHandler
    ) as silent:  # accepts, never answers
        file = Archive("a.zip", f"http://127.0.0.1:{silent.server_port}/a.zip")
        with pytest.raises(UserError, match="cannot be downloaded"):
            locate("letters", [file], None, tmp_path / "downloads")


def test_archives_may_stand_in_the_folder_or_in_one_named_like_the_data_set(tmp_path):
    file = Archive("a.zip", "http://nowhere.invalid/a.zip")
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.zip").touch()
    for given in (tmp_path, tmp_path / "letters"):
        assert locate("letters", [file], str(given), tmp_path / "downloads") == tmp_path / "letters"


def test_a_missing_folder_or_archive_is_named(tmp_path):
    file = Archive("a.zip", "http://nowhere.invalid/a.zip")
    with pytest.raises(UserError, match=r"there is no folder .*/absent: .*a\.zip"):
        locate("letters", [file], str(tmp_path / "absent"), tmp_path)
    with pytest.raises(UserError, match=rf"{tmp_path} lacks a\.zip: download it from http://nowhere"):
        locate("letters", [file], str(tmp_path), tmp_path)


def test_importing_the_package_imports_neither_tfds_nor_tensorflow():
    code = "import sys, siamese_jax.data; print([m for m in sys.modules if m.startswith('tensorflow')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
