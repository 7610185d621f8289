"""Downloads of published files: resumed, tried again, verified, and one at a time for each file."""

import contextlib
import errno
import hashlib
import http.client
import io
import os
import re
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siamese_jax.errors import UserError
from siamese_jax.storage.locks import exclusive

TIMEOUT = 5.0
"""Seconds without a byte until a server counts as silent."""
PAUSES = (1.0, 2.0)
"""Seconds to wait before each further attempt, if the failure may pass."""
MOST_ATTEMPTS = 20
"""Attempts in all, if each of them gets a part of the file."""
LARGEST = 1 << 26
"""Bytes of a download; the largest published file has 9.9 MB."""


@dataclass(frozen=True)
class Archive:
    """One published file.

    Attributes:
      name: as published.
      url: where it is downloaded from.
      sha256: of the whole file, if that was published.
      usual: a regular expression for all names that copies of the file have, also unpacked ones; "" is `name` alone.
      inside: a folder at its top. A folder that holds one of this name may be an unpacked copy, whatever it is called.
    """

    name: str
    url: str
    sha256: str | None = None
    usual: str = ""
    inside: str = ""

    def may_be(self, path: Path) -> bool:
        """Return whether a file or folder may be a copy."""
        named = re.fullmatch(self.usual or re.escape(self.name), path.name, re.IGNORECASE) is not None
        return named or bool(self.inside and (path / self.inside).is_dir())


def listing(files: Sequence[Archive]) -> str:
    """Return the names of files, for a message."""
    return ", ".join(file.name for file in files)


def download(dataset: str, files: Sequence[Archive], folder: Path) -> Path:
    """Download the files that a folder lacks; return the folder.

    A download that stops is continued the next time from `NAME.part`, if its sha256 is known.

    Args:
      dataset: the name of the data set that they belong to.
      files: what the folder must hold.
      folder: where they are kept; it is made.

    Raises:
      UserError: a file cannot be downloaded, or its sha256 is wrong.
      OSError: the disk is full, or the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        if (folder / file.name).is_file():
            continue
        try:
            _download_one(file, folder)
        except UserError:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it holds the connection
            elif disk_problem(error) and not isinstance(error, (urllib.error.URLError, ssl.SSLError)):
                raise
            reason, remedy = _explained(file.url, error)
            raise UserError(
                f"{dataset} is not prepared yet, and {file.url} cannot be downloaded ({reason}): {remedy}give "
                f"--archives=DIR, a folder with {listing(files)}. --experiment=glyphs_20way needs no download"
            ) from error
    return folder


_DISK_PROBLEMS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO),
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT),
)


def disk_problem(error: Exception) -> str | None:
    """Return what is wrong with the disk or folder, in the words of the system, if `error` is about that; else None."""
    for code in _DISK_PROBLEMS:  # writers in C++ quote the system in a RuntimeError
        if getattr(error, "errno", None) == code or os.strerror(code) in str(error):
            return os.strerror(code)
    return None


def _download_one(file: Archive, folder: Path) -> None:
    """Download one file: afterwards it is there whole and verified, or not at all."""
    target = folder / file.name
    with _own_part(target) as part:
        if target.is_file():
            return  # another process was faster
        print(f"Downloading {file.url} ...", file=sys.stderr)
        if file.sha256 is None:
            part.truncate(0)  # nothing would show that two versions of the file were mixed
        continued = part.seek(0, os.SEEK_END) > 0
        _fetch(file.url, part)
        if continued and not _is_right(file, part):
            part.truncate(0)
            _fetch(file.url, part)
        if not _is_right(file, part):
            part.truncate(0)
            raise UserError(f"{file.url} is not the file that was published: give a folder with that by --archives=DIR")
        os.replace(part.name, target)


@contextlib.contextmanager
def _own_part(target: Path) -> Iterator[io.BufferedRandom]:
    """Open the file that a download is written to, for this process alone; others wait. Remove it if it stays empty."""
    path = target.with_name(f"{target.name}.part")
    with exclusive(path, wait=True), path.open("ab+") as part:
        try:
            yield part
        finally:
            part.flush()
            if part.seek(0, os.SEEK_END) == 0:
                path.unlink(missing_ok=True)


def _is_right(file: Archive, part: io.BufferedRandom) -> bool:
    part.flush()
    part.seek(0)
    return file.sha256 is None or hashlib.file_digest(part, "sha256").hexdigest() == file.sha256


def _fetch(url: str, part: io.BufferedRandom) -> None:
    """Append what is missing, in several attempts if need be."""
    failures = 0
    for attempt in range(1, MOST_ATTEMPTS + 1):
        before = part.seek(0, os.SEEK_END)
        try:
            _append(url, part)
            return
        except (OSError, http.client.HTTPException) as error:
            failures = 1 if part.seek(0, os.SEEK_END) > before else failures + 1
            if not _may_pass(error) or failures > len(PAUSES) or attempt == MOST_ATTEMPTS:
                raise
            pause = PAUSES[failures - 1]
            print(f"{_explained(url, error)[0]}: trying again in {pause:.0f} s ...", file=sys.stderr)
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            time.sleep(pause)


def _append(url: str, part: io.BufferedRandom) -> None:
    """Request the bytes from the end of `part` on, and append them. Start again if the server sends the whole file."""
    size = part.seek(0, os.SEEK_END)
    request = urllib.request.Request(url, headers={"Range": f"bytes={size}-"} if size else {})
    with _opened(request, size) as response:  # TFDS's downloader would retry for minutes without a network
        if response.status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            if response.headers.get("Content-Range") != f"bytes */{size}":
                part.truncate(0)
                raise ConnectionResetError("the server has a shorter file")
            return  # it was whole
        if not str(response.headers.get("Content-Range", "")).startswith(f"bytes {size}-"):
            part.truncate(0)
            size = 0
        length = response.headers.get("Content-Length") or ""
        end = size + int(length) if length.isdecimal() else 0
        if end > LARGEST:
            raise ValueError(f"it has more than {LARGEST:,} bytes")
        while block := response.read1(1 << 16):
            size += part.write(block)
            if size > LARGEST:
                part.truncate(0)
                raise ValueError(f"it has more than {LARGEST:,} bytes")
        if size < end:
            raise http.client.IncompleteRead(b"", end - size)


def _opened(request: urllib.request.Request, size: int) -> Any:
    """Return the response, also if there is nothing after the first `size` bytes."""
    try:
        return urllib.request.build_opener().open(request, timeout=TIMEOUT)  # urlopen keeps the first proxies
    except urllib.error.HTTPError as error:
        if size and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return error
        raise


def _may_pass(error: Exception) -> bool:
    """Return whether another attempt may succeed: after a time-out, a lost connection or a fault of the server."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code >= 500 or error.code in (408, 429)
    reason = getattr(error, "reason", error)
    lost = (TimeoutError, ConnectionResetError, ConnectionAbortedError, BrokenPipeError, ssl.SSLEOFError)
    return isinstance(reason, (*lost, http.client.IncompleteRead))


def _explained(url: str, error: Exception) -> tuple[str, str]:
    """Return the reason of a failure in one line, and what to do about it: "" or words that end with "or "."""
    reason = getattr(error, "reason", error)
    words = (str(reason).strip() or type(reason).__name__).splitlines()[0]
    if isinstance(error, urllib.error.HTTPError):
        words = f"{error.code} {words}"
    if isinstance(reason, TimeoutError):
        words = f"no answer in {TIMEOUT:g} s"
    if isinstance(reason, http.client.IncompleteRead):
        words = "the connection was lost"
    if "CERTIFICATE_VERIFY_FAILED" in words:
        return words, "set SSL_CERT_FILE to a file with the certificates of your network, or "
    proxy = _proxy_of(url)
    if proxy and (not isinstance(error, urllib.error.HTTPError) or error.code == 407):
        name = f"{urllib.parse.urlsplit(url).scheme}_proxy".upper()
        return f"through the proxy {proxy}: {words}", f"correct or unset {name}, or "
    return words, ""


def _proxy_of(url: str) -> str | None:
    """Return the proxy that the environment names for an address, without its password."""
    parts = urllib.parse.urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if not proxy or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return re.sub(r"^(\w+://)?.*@", r"\1", proxy)
