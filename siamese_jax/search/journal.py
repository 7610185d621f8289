"""The journal of a study on one machine: Optuna's records, one a line, and a digest that tells whether any was lost.

Optuna's own lock is a link that a killed process leaves behind, and its records are read without a check. Here the
system releases the lock, and `journal.digest` holds the length and the SHA-256 of what was written.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend, JournalFileBackend

from siamese_jax.errors import UserError
from siamese_jax.storage import files, locks

NAME = "journal.log"
MOST_BYTES = 1_000_000_000
"""Longer journals are refused; a candidate takes about 10 kB."""


class Journal(BaseJournalBackend):
    """The journal of a folder, as Optuna's `JournalStorage` takes it. Several processes may append to it.

    Args:
      folder: the folder of the study.

    Raises:
      UserError: records are missing or changed, or the file cannot be read or written.
    """

    def __init__(self, folder: Path):
        self._path, self._digest = folder / NAME, folder / "journal.digest"
        self._size, self._sha256 = 0, hashlib.sha256()
        for path in (self._path, self._digest):
            if os.path.lexists(path):
                files.check_file(path)  # opening a pipe would wait, and a device has no end
        with self._alone():
            self._compare()
            self._catch_up()
        self._reader = JournalFileBackend(str(self._path))  # makes the file if it is missing

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Return the records from a number on."""
        return self._reader.read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append records, all or none. They are on the disk when this returns; UserError if that fails."""
        content = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        with self._alone():
            self._catch_up()
            with self._path.open("ab") as file:
                try:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    with contextlib.suppress(OSError):
                        os.truncate(self._path, self._size)
                    raise
            self._take(content)
            files.write_text(self._digest, f"{self._size} {self._sha256.hexdigest()}\n")

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with files.explained(self._path), locks.exclusive(self._path, wait=True):
            yield

    def _compare(self) -> None:
        """Raise UserError unless the journal begins with what was written to it."""
        if not self._digest.exists():
            return
        size = self._path.stat().st_size if self._path.exists() else 0
        try:
            length, sha256 = files.read_text(self._digest, 200).split()
            written = int(length)
        except ValueError:  # also a UserError
            raise UserError(
                f"{self._digest} is damaged: restore it, or delete it to go on with {NAME} as it is"
            ) from None
        self._check_size(size)
        lost = written - size
        if lost <= 0:
            with self._path.open("rb") as file:
                if hashlib.sha256(file.read(written)).hexdigest() == sha256:
                    return
        what = f"{lost:,} bytes of it are missing" if lost > 0 else "its records were changed"
        raise UserError(
            f"{self._path} is not as the search has left it, {what}: restore it from a copy, or choose another --study"
        )

    def _catch_up(self) -> None:
        """Read what other workers have appended, and cut off a last line that a crash has torn."""
        if not self._path.exists():
            return
        size = self._path.stat().st_size
        self._check_size(size)
        if size < self._size:
            raise UserError(
                f"{self._path} was replaced while the search ran: restore it from a copy, or choose another --study"
            )
        with self._path.open("rb") as file:
            file.seek(self._size)
            content = file.read(size - self._size)
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self._path, self._size + whole)
        self._take(content[:whole])

    def _check_size(self, size: int) -> None:
        if size > MOST_BYTES:
            raise UserError(f"{self._path} has {size:,} bytes, more than {MOST_BYTES:,}: choose another --study")

    def _take(self, content: bytes) -> None:
        self._size += len(content)
        self._sha256.update(content)
