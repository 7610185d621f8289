"""Freed memory is kept: seen from outside, in processes of their own, since it cannot be switched off again."""

import ctypes
import platform
import subprocess
import sys

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
    before = "from siamese_jax.memory import keep_freed_memory; assert keep_freed_memory()" if kept else ""
    assert (pages(before, size) < 100) == kept


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_without_glibc_nothing_changes(monkeypatch, error):
    def missing(_):
        raise error

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert not devices.keep_freed_memory()
