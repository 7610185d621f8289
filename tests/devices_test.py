"""Freed memory and compiled programs are kept. Each test has a process of its own, as the settings cannot be undone."""

import ctypes
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from siamese_jax import devices

# Takes and frees as many bytes five times, writing to each page; prints how often the system had to give a page.
TAKE_AND_FREE = """if True:
    import resource
    {before}
    import numpy as np

    def take_and_free():
        np.empty({size}, np.uint8)[::4096] = 1

    take_and_free()
    first = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        take_and_free()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - first)
"""


def pages(before: str, size: int) -> int:
    code = TAKE_AND_FREE.format(before=before, size=size)
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("size", [1 << 26, 5 << 29])  # the larger beyond what an int can say
@pytest.mark.parametrize("kept", [False, True])
def test_the_system_gives_no_page_twice_once_freed_memory_is_kept(kept, size):
    if platform.libc_ver()[0] != "glibc":
        assert not devices.keep_freed_memory()
        return
    before = "from siamese_jax.devices import keep_freed_memory; assert keep_freed_memory()" if kept else ""
    assert (pages(before, size) < 100) == kept


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_without_glibc_nothing_changes(monkeypatch, error):
    def missing(_):
        raise error

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert not devices.keep_freed_memory()


@pytest.mark.parametrize(
    ("environment", "kept_in", "least"),
    [
        ({"XDG_CACHE_HOME": "{folder}/cache"}, "{folder}/cache/siamese_jax/xla", 0.5),
        ({"XDG_CACHE_HOME": "", "HOME": "{folder}/home"}, "{folder}/home/.cache/siamese_jax/xla", 0.5),
        (
            {"XDG_CACHE_HOME": "{folder}/cache", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2"},
            "{folder}/cache/siamese_jax/xla",
            0.2,
        ),
        ({"XDG_CACHE_HOME": "{folder}/cache", "JAX_COMPILATION_CACHE_DIR": "{folder}/own"}, "{folder}/own", 1.0),
        ({"XDG_CACHE_HOME": "{folder}/cache", "JAX_COMPILATION_CACHE_DIR": ""}, "", 1.0),
        ({"XDG_CACHE_HOME": "{folder}/cache", "JAX_ENABLE_COMPILATION_CACHE": "false"}, None, 1.0),
        ({"XDG_CACHE_HOME": "{folder}/file"}, None, 1.0),
        ({"XDG_CACHE_HOME": "/proc/nowhere"}, None, 1.0),
    ],
)
def test_compiled_programs_are_kept_for_the_next_run_where_they_can_be(tmp_path, environment, kept_in, least):
    (tmp_path / "file").write_text("")
    given = {name: value.format(folder=tmp_path) for name, value in environment.items()}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    code = """if True:
        import jax
        from siamese_jax import devices
        devices.keep_compiled()
        least = jax.config.jax_persistent_cache_min_compile_time_secs
        if jax.config.jax_compilation_cache_dir:
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.jit(lambda x: x + 1)(1.0)
        print(repr(jax.config.jax_compilation_cache_dir), least)"""
    done = subprocess.run([sys.executable, "-c", code], env=inherited | given, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    folder = kept_in and kept_in.format(folder=tmp_path)
    assert done.stdout.strip() == f"{folder!r} {least}"
    assert bool(list(tmp_path.rglob("*-cache"))) == bool(folder)
    if folder:
        assert list(Path(folder).glob("*-cache"))
        # Who may write there can run code in this process. A folder of the user's own keeps its permissions.
        assert Path(folder).stat().st_mode & 0o077 == 0 or "JAX_COMPILATION_CACHE_DIR" in given
