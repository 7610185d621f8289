"""Freed memory and compiled programs are kept. Each test has a process of its own, as the settings cannot be undone."""

import ctypes
import errno
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from siamese_jax import devices
from siamese_jax.errors import UserError

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


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"),
        RuntimeError("INTERNAL: Failed to allocate 9 bytes for new constant"),
        RuntimeError("INTERNAL: Error: out of memory while ..."),
        RuntimeError("std::bad_alloc"),
        MemoryError(),
        np._core._exceptions._ArrayMemoryError((1 << 40,), np.dtype("u1")),
        ValueError("Unable to allocate 1.0 TiB for an array"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("libjax_common.so: failed to map segment from shared object: Cannot allocate memory"),
    ],
)
def test_full_memory_is_recognised_in_all_its_spellings(error):
    assert devices.is_out_of_memory(error)
    outer = RuntimeError("the step failed")
    outer.__cause__ = error
    assert devices.is_out_of_memory(outer)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("RESOURCE_EXHAUSTED: Failed to write: No space left on device [os_error_code='28']"),
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("INTERNAL: something else"),
        KeyError("memory"),
    ],
)
def test_a_full_disk_is_not_full_memory(error):
    assert not devices.is_out_of_memory(error)


def test_the_least_limit_counts(monkeypatch):
    monkeypatch.setattr(devices, "_container", lambda: (7 << 30, "this container may use"))
    monkeypatch.setattr(devices, "_machine", lambda: (8 << 30, "this machine has"))
    monkeypatch.setattr(devices, "_ulimit", lambda: (0, "`ulimit -v` allows"))
    assert devices.memory_limit() == (7 << 30, "this container may use")


@pytest.mark.parametrize(
    ("cgroup", "files", "limit"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": "5\n", "memory.max": "9\n"}, 5),
        ("0::/elsewhere\n", {"memory.max": "9\n"}, 9),
        ("4:memory:/docker/x\n1:cpu:/y\n", {"memory/memory.limit_in_bytes": "6\n"}, 6),
        ("0::/\n", {}, 0),
        ("", {"memory.max": "9\n"}, 0),
    ],
)
def test_the_limit_of_a_container_is_found_from_inside_and_outside(tmp_path, monkeypatch, cgroup, files, limit):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    real = devices.system_text
    monkeypatch.setattr(devices, "system_text", lambda path: cgroup if path == "/proc/self/cgroup" else real(path))
    assert devices._container(tmp_path)[0] == limit


def test_too_few_addresses_for_jax_are_refused(monkeypatch):
    monkeypatch.setattr(devices, "_ulimit", lambda: (10**9, "`ulimit -v` allows"))
    with pytest.raises(UserError, match="`ulimit -v` allows 1.0 GB, and JAX .*unlimited"):
        devices.check_address_space()


@pytest.mark.parametrize("error", [AssertionError(), RuntimeError("Unable to initialize backend 'x'\nmore")])
def test_a_device_that_is_not_there_is_one_sentence(monkeypatch, error):
    def missing():
        raise error

    monkeypatch.setattr("jax.devices", missing)
    with pytest.raises(UserError, match="JAX_PLATFORMS=.* cannot be used here: (JAX finds none|Unable to .* 'x')\\. "):
        devices.check_backend()


@pytest.mark.parametrize(
    ("driver", "extra"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun", "siamese_jax[cuda13]"),
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat", "siamese_jax[cuda12]"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  590.1.2  x", "siamese_jax[cuda13]"),
    ],
)
def test_a_gpu_without_a_jaxlib_for_it_is_one_line_with_the_extra(monkeypatch, driver, extra):
    monkeypatch.setattr(devices, "_chosen", lambda: None)
    monkeypatch.setattr(devices, "system_text", lambda path: driver)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert f"pip install '{extra}'" in devices.unused_gpu()
    monkeypatch.setattr(devices, "_chosen", lambda: "cpu")
    assert devices.unused_gpu() == ""


def test_a_gpu_with_its_plug_in_and_a_machine_without_one_are_not_spoken_of(monkeypatch):
    monkeypatch.setattr(devices, "_chosen", lambda: None)
    monkeypatch.setattr(devices, "system_text", lambda path: "Module 580.1")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "jax_cuda12_plugin" or None)
    assert devices.unused_gpu() == ""
