"""Folders that take long to make, made once for all workers of a session."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from siamese_jax.storage.locks import exclusive

Once = Callable[[str, Callable[[Path], Any]], Path]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """`once(name, build)` returns a folder that `build` fills: once in a session, whichever worker asks first."""
    workers_share = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        workers_share = workers_share.parent

    def folder_of(name: str, build: Callable[[Path], Any]) -> Path:
        folder = workers_share / name
        with exclusive(folder.with_suffix(".lock"), wait=True):
            if not folder.exists():
                unfinished = tmp_path_factory.mktemp(name)
                build(unfinished)
                unfinished.rename(folder)
        return folder

    return folder_of
