"""Faults of archives and downloads, and of programs that use the library: forks, threads, reruns, long loops."""

import gzip
import hashlib
import os
import random
import shutil
import signal
import socketserver
import ssl
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from campaign import Command, Outcome

# Archives that are not the published ones.


def png(ink: np.ndarray) -> bytes:
    from io import BytesIO

    from PIL import Image

    target = BytesIO()
    Image.fromarray(~ink).save(target, "png")
    return target.getvalue()


def write_background(
    path: Path, picture: bytes, replaced: dict[str, bytes | None] | None = None, top: str = ""
) -> Path:
    """Write a zip with the names of all background drawings, each of which is the same picture."""
    from siamese_jax.data.digests import ALPHABETS

    members = {
        f"{top}{name}/character{number - alphabet.first + 1:02}/{number:04}_{drawer:02}.png": picture
        for name, alphabet in ALPHABETS.items()
        if alphabet.origin == "background"
        for number in alphabet.numbers
        for drawer in range(1, 21)
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | (replaced or {})).items():
            if content is not None:
                archive.writestr(name, content)
    return path


BLANK, NOISE = png(np.zeros((105, 105), bool)), png(np.random.default_rng(0).random((105, 105)) < 0.1)
FIRST = "Alphabet_of_the_Magi/character01/0709_01.png"
HUGE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (60_000).to_bytes(4, "big") * 2 + b"\1\0\0\0\0" + bytes(100)


def says_huge(path: Path) -> None:
    """Make the first member say that it has 4 GB."""
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02")
    content[place + 24 : place + 28] = (2**32 - 2).to_bytes(4, "little")
    path.write_bytes(content)


def encrypted(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)


def nested(path: Path) -> None:
    inner = path.rename(path.with_name("inner.bin"))
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(inner, "python/images_background.zip")
    inner.unlink()


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(FIRST, bytes(1 << 27))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def sparse(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(20 << 30)


def instead(content: bytes):
    return lambda path: path.write_bytes(content)


def unpacked(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist()[:60]:  # copying stopped
            archive.extract(name, path.with_suffix(""))
    path.unlink()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_circle(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


ARCHIVES = {
    "blank": ({"picture": BLANK}, None, "is blank"),
    "full of ink": ({"picture": png(np.ones((105, 105), bool))}, None, "is blank"),
    "inverted": ({"picture": png(np.random.default_rng(0).random((105, 105)) < 0.9)}, None, "is inverted"),
    "all the same": ({"picture": NOISE}, None, "are not the published ones"),
    "one missing": ({"picture": NOISE, "replaced": {FIRST: None}}, None, "it lacks character 709 by drawer 1"),
    "60000 pixels": ({"picture": NOISE, "replaced": {FIRST: HUGE}}, None, "is not 105×105 pixels"),
    "postscript": ({"picture": NOISE, "replaced": {FIRST: b"%!PS-Adobe-3.0 EPSF-3.0\n"}}, None, "cannot identify"),
    "paths to the outside": ({"picture": NOISE, "top": "../../../"}, None, "are not the published ones"),
    "absolute paths": ({"picture": NOISE, "top": "/tmp/evil/"}, None, "are not the published ones"),
    "says 4 GB": ({"picture": NOISE}, says_huge, "bytes"),
    "encrypted": ({"picture": NOISE}, encrypted, "it is encrypted"),
    "nested": ({"picture": NOISE}, nested, "must be unpacked"),
    "bomb": ({"picture": NOISE}, bomb, "134,217,728 bytes"),
    "cut": ({"picture": NOISE}, cut, "not a zip file"),
    "20 GB": ({"picture": NOISE}, sparse, "bytes"),
    "a page of an error": ({"picture": NOISE}, instead(b"<html>404 Not Found</html>"), "not a zip file"),
    "empty": ({"picture": NOISE}, instead(b""), "not a zip file"),
    "half unpacked": ({"picture": NOISE}, unpacked, "does not hold the published files"),
    "a pipe": ({"picture": NOISE}, a_pipe, "lacks images_background.zip"),
    "a circle of links": ({"picture": NOISE}, a_circle, "lacks images_background.zip"),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_that_was_not_published(command, tmp_path, kind):
    how, change, word = ARCHIVES[kind]
    given = tmp_path / "given"
    given.mkdir()
    for name in ("images_evaluation.zip", "all_runs.zip"):
        with zipfile.ZipFile(given / name, "w"):
            pass
    path = write_background(given / "images_background.zip", **how)
    if change:
        change(path)
    done = command("unpack", "omniglot", tmp_path / "out", f"--archives={given}", f"--data_dir={tmp_path / 'data'}")
    done.survived(2).says(word)
    assert not list(tmp_path.rglob("dataset_info.json"))
    assert not (tmp_path / "out").exists()
    assert {file.name for file in tmp_path.iterdir()} <= {"given", "data", "home"}


# Prepared data on a disk that damages them.


@pytest.fixture(scope="module")
def small_mnist(tmp_path_factory):
    """Prepared digits that count as published: their folder, and their content."""
    from siamese_jax.data import mnist

    generator, folder = np.random.default_rng(0), tmp_path_factory.mktemp("mnist")
    for file, count in (("train", 1500), ("t10k", 20)):
        for part, header, content in (
            ("images-idx3", (2051, count, 28, 28), generator.integers(0, 256, (count, 28, 28), np.uint8)),
            ("labels-idx1", (2049, count), generator.integers(0, 10, count, np.uint8)),
        ):
            unpacked = np.array(header, ">i4").tobytes() + content.tobytes()
            mnist.MD5[f"{file}-{part}-ubyte.gz"] = hashlib.md5(unpacked).hexdigest()
            (folder / f"{file}-{part}-ubyte").write_bytes(unpacked)
    read = mnist.load(str(folder / "data"), str(folder))
    return folder / "data", read


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_byte_of_prepared_data(small_mnist, tmp_path, seed):
    from siamese_jax.data import mnist
    from siamese_jax.errors import UserError

    prepared, whole = small_mnist
    shutil.copytree(prepared, tmp_path / "data")
    chance = random.Random(seed)
    path = chance.choice(
        sorted(path for path in (tmp_path / "data").rglob("*") if path.is_file() and path.stat().st_size)
    )
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content[: chance.choice((None, None, chance.randrange(len(content))))])
    try:
        read = mnist.load(str(tmp_path / "data"), str(tmp_path))
    except UserError as error:
        told = str(error)
        read = None
    if read is None:
        assert "\n" not in told
        return
    for split, arrays in whole.items():
        for array, other in zip(arrays, read[split], strict=True):
            np.testing.assert_array_equal(array, other)


# The network.


class Proxy(socketserver.ThreadingTCPServer):
    """A proxy that answers CONNECT with `answer`, and is then the server itself, if it has a certificate."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, answer: bytes, certificate: Path | None = None, content: bytes = b"", slow: bool = False):
        super().__init__(("127.0.0.1", 0), Tunnel)
        self.answer, self.certificate, self.content, self.slow = answer, certificate, content, slow
        self.ranges: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Tunnel(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.recv(65536)
        self.request.sendall(self.server.answer)
        if self.server.certificate is None:
            return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server.certificate)
        try:
            with context.wrap_socket(self.request, server_side=True) as secure:
                self.serve(secure)
        except OSError:  # the client has gone
            pass

    def serve(self, secure: ssl.SSLSocket) -> None:
        asked = secure.recv(65536).decode()
        first = int(asked.split("bytes=")[1].split("-")[0]) if "bytes=" in asked else 0
        self.server.ranges.append(first)
        rest = self.server.content[first:]
        status = f"206 Partial\r\nContent-Range: bytes {first}-" if first else "200 OK\r\nX: "
        secure.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(rest)}\r\n\r\n".encode())
        for place in range(0, len(rest), 1 << 14):
            secure.sendall(rest[place : place + (1 << 14)])
            time.sleep(0.1 if self.server.slow else 0)


@pytest.fixture
def proxy():
    started = []

    def start(*args, **how) -> Proxy:
        started.append(Proxy(*args, **how))
        threading.Thread(target=started[-1].serve_forever, args=(0.05,), daemon=True).start()
        return started[-1]

    yield start
    for one in started:
        one.shutdown()
        one.server_close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A certificate with its key, for the server of MNIST, that nobody has signed."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -keyout {folder}/key -out {folder}/cert "
        f"-addext subjectAltName=DNS:storage.googleapis.com && cat {folder}/key {folder}/cert > {folder}/both",
        shell=True, check=True, capture_output=True,
    )  # fmt: skip
    return folder / "both"


def fetch(tmp_path: Path, proxy: str, **env: str) -> dict:
    """The words and settings of a command that downloads MNIST through a proxy."""
    return {
        "words": ("unpack", "mnist", tmp_path / "out", f"--data_dir={tmp_path / 'data'}"),
        "env": {"HTTPS_PROXY": proxy, "https_proxy": proxy, "no_proxy": None, "NO_PROXY": None, **env},
    }


ESTABLISHED = b"HTTP/1.1 200 OK\r\n\r\n"
PROXIES = {
    "asks for a password": (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407"),
    "forbids": (b"HTTP/1.1 403 Forbidden\r\n\r\n", "403"),
    "hangs up": (b"", "through the proxy"),
    "talks of other things": (b"SSH-2.0-OpenSSH_9.6\r\n", "through the proxy"),
    "hangs up after the tunnel": (ESTABLISHED, "through the proxy"),
}


@pytest.mark.parametrize("kind", PROXIES)
def test_a_proxy_that_does_not_help(command, proxy, tmp_path, kind):
    answer, word = PROXIES[kind]
    how = fetch(tmp_path, proxy(answer).url)
    command(*how["words"], env=how["env"]).survived(2).says(word, "HTTPS_PROXY", "--archives=DIR")
    assert not list(tmp_path.rglob("*.gz*"))


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9", "http://nowhere.invalid:1", "http://me:secret@127.0.0.1:port"]
)
def test_a_proxy_that_is_not_there(command, tmp_path, address):
    how = fetch(tmp_path, address)
    done = command(*how["words"], env=how["env"]).survived(2).says("HTTPS_PROXY", "--archives=DIR")
    assert "secret" not in done.err


def test_a_certificate_that_is_not_trusted(command, proxy, certificate, tmp_path):
    how = fetch(tmp_path, proxy(ESTABLISHED, certificate).url)
    command(*how["words"], env=how["env"]).survived(2).says("CERTIFICATE_VERIFY_FAILED", "SSL_CERT_FILE")


def test_a_download_of_another_file(command, proxy, certificate, tmp_path):
    how = fetch(tmp_path, proxy(ESTABLISHED, certificate, gzip.compress(b"x")).url, SSL_CERT_FILE=str(certificate))
    command(*how["words"], env=how["env"]).survived(2).says("is not the file that was published")
    assert not list(tmp_path.rglob("*.gz*"))


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_download_that_is_stopped_is_continued(command, proxy, certificate, tmp_path, stop):
    content = random.Random(0).randbytes(1 << 20)
    server = proxy(ESTABLISHED, certificate, content, slow=True)
    how = fetch(tmp_path, server.url, SSL_CERT_FILE=str(certificate))
    process = command.start(*how["words"], env=how["env"])
    part = tmp_path / "data" / "downloads" / "mnist" / "train-images-idx3-ubyte.gz.part"
    until = time.monotonic() + 120
    while not part.exists() or part.stat().st_size < 50_000:
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, stop)
    done = command.ended(process)
    if stop != signal.SIGKILL:
        done.survived(128 + stop, -stop)
    kept = part.stat().st_size
    assert content.startswith(part.read_bytes())
    server.slow = False
    command(*how["words"], env=how["env"]).survived(2).says("is not the file that was published")
    assert server.ranges[1] == kept
    assert not part.exists()


# Programs that use the library.

START = """
    import multiprocessing, os, sys, threading, warnings
    import numpy as np
    import siamese_jax
    from tiny_model import IMAGES, make_model

    def embed(model):
        return float(model.embed(IMAGES[:3]).sum())

    def read(model):
        return int(model.read(IMAGES_AS_FILES).sum())

    def tried(job, model):
        try:
            return job(model)
        except siamese_jax.UserError as error:
            return str(error)

    def in_worker(method, job, model):
        with multiprocessing.get_context(method).Pool(1) as pool:
            return pool.apply_async(tried, (job, model)).get(120)

    import io
    from PIL import Image, ImageDraw
    page = Image.new("L", (60, 60), 255)
    ImageDraw.Draw(page).line([(5, 5), (50, 50)], fill=0, width=3)
    file = io.BytesIO()
    page.save(file, "png")
    IMAGES_AS_FILES = file.getvalue()
"""


def program(tmp_path: Path, programs: Path, text: str) -> Outcome:
    """Run a program that uses the library."""
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(START) + textwrap.dedent(text))
    helpers = Path(__file__).parent.parent / "tests" / "helpers"
    environment = Command(tmp_path, programs).environment
    environment["PYTHONPATH"] = os.pathsep.join([str(helpers), os.environ.get("PYTHONPATH", "")])
    began, words = time.monotonic(), [sys.executable, "-W", "ignore", path]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr, time.monotonic() - began)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize("job", ["embed", "read"])
def test_a_worker_of_its_own(tmp_path, programs, method, job):
    text = f"""
        if __name__ == "__main__":
            model = make_model()
            print("equal", in_worker({method!r}, {job}, model) == {job}(model))
    """
    program(tmp_path, programs, text).survived(0).says("equal True")


@pytest.mark.parametrize(("job", "word"), [("embed", "forked after JAX had started"), ("read", "read: ")])
def test_a_worker_that_was_forked_after_jax_had_started(tmp_path, programs, job, word):
    text = f"""
        model = make_model()
        embed(model)
        print("{job}:", in_worker("fork", {job}, model))
    """
    program(tmp_path, programs, text).survived(0).says(word)


def test_a_worker_that_was_forked_before_jax_had_started(tmp_path, programs):
    text = """
        def work(said):
            said.put(embed(siamese_jax.load_pretrained("best")) if False else embed(make_model()))
        fork = multiprocessing.get_context("fork")
        said = fork.SimpleQueue()
        process = fork.Process(target=work, args=(said,))
        process.start()
        process.join(120)
        print("equal", said.get() == embed(make_model()))
    """
    program(tmp_path, programs, text).survived(0).says("equal True")


@pytest.mark.parametrize("forgets", [False, True])
def test_a_script_that_streamlit_runs_again_and_again(tmp_path, programs, forgets):
    """Streamlit runs a script in a new thread each time, as __main__, and forgets modules whose files changed."""
    text = f"""
        import types
        SCRIPT = '''
        import siamese_jax, siamese_jax.main
        from siamese_jax.data import omniglot, mnist, glyphs
        model = siamese_jax.load_pretrained("best")
        seen.append(float(model.embed(np.zeros((2, model.side, model.side, 1), np.uint8)).sum()))
        '''
        seen = []
        def rerun():
            main = types.ModuleType("__main__")
            main.__dict__.update(seen=seen, np=np)
            sys.modules["__main__"] = main
            exec(compile("\\n".join(line.strip() for line in SCRIPT.splitlines()), "script.py", "exec"), main.__dict__)
        for _ in range(3):
            thread = threading.Thread(target=rerun)
            thread.start()
            thread.join()
            for name in [name for name in sys.modules if name.startswith("siamese_jax")]:
                for watched in ("__path__", "__file__", "__spec__", "_path"):
                    getattr(sys.modules[name], watched, None)
                if {forgets}:
                    del sys.modules[name]
        print("equal", len(seen) == 3 and len(set(seen)) == 1)
    """
    program(tmp_path, programs, text).survived(0).says("equal True")


LOOPS = {
    "images and examples": """
        embeddings = model.embed(IMAGES[:64])
        def step():
            model.embed(IMAGES[: chance.integers(1, 200)], batch=int(chance.integers(1, 64)))
            queries, classes, examples = chance.integers(1, 30, 3)
            model.scores(embeddings[:queries], embeddings[chance.integers(0, 64, (classes, examples))])
    """,
    "networks": """
        import pickle
        pickled = [pickle.dumps(make_model(seed)) for seed in range(3)]
        def step():
            other = pickle.loads(pickled[chance.integers(0, 3)])
            other.embed(IMAGES[:1])
            other.fingerprint
    """,
    "pictures": """
        def step():
            side = int(chance.integers(20, 900))
            page = Image.new("L", (side, side), 255)
            ImageDraw.Draw(page).line([(5, 5), (side - 9, side - 9)], fill=0, width=3)
            model.embed(np.stack([model.read(page)]))
    """,
}


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_that_runs_for_long_takes_no_more_memory(tmp_path, programs, loop):
    text = (
        """
        chance, model = np.random.default_rng(0), make_model()
        """
        + LOOPS[loop]
        + """
        def megabytes():
            return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
        for _ in range(300):
            step()
        before = megabytes()
        for _ in range(1000):
            step()
        print("grown by", round(megabytes() - before, 1), "MB", megabytes() - before < 20)
    """
    )
    program(tmp_path, programs, text).survived(0).says("True")
