"""Folders that take long to make, made once for all workers of a session."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Once = Callable[[str, Callable[[Path], Any]], Path]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """`once(name, build)` returns a folder that `build` fills: once in a session, whichever worker asks first."""
    workers_share = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        workers_share = workers_share.parent

    def folder_of(name: str, build: Callable[[Path], Any]) -> Path:
        folder = workers_share / name
        with folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                unfinished = tmp_path_factory.mktemp(name)
                build(unfinished)
                unfinished.rename(folder)
        return folder

    return folder_of
