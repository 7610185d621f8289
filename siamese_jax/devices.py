"""The process that JAX runs in: freed memory and compiled programs are kept, and a forked process is told apart."""

import ctypes
import errno
import os
import sys
from pathlib import Path

from siamese_jax.errors import UserError

# From glibc's malloc.h: options of mallopt, and the values that switch off giving memory back. -1 means no limit.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8
_KEEPING = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: -1, _M_ARENA_MAX: 1}

_OUT_OF_MEMORY = (
    "resource_exhausted", "out of memory", "bad_alloc", "unable to allocate", "failed to allocate", "allocation failed",
    "cannot allocate", "could not allocate",
)  # fmt: skip
"""How XLA, C++, numpy and the system write, in the text of an error, that memory is short. There is no common class."""
_OF_A_DISK = ("no space left", "os_error_code", "quota")
"""How they write that a disk is full, with one of the words above."""

_LEAST_SECONDS = 0.5
"""Programs that compile faster are not kept on disk."""


def keep_freed_memory() -> bool:
    """Make the C library keep freed memory for the next allocation; return whether it does.

    By default, glibc gives each large buffer back to the system when it is freed. The next buffer is then taken from
    the system page by page, and zeroed. A training step on a CPU frees and takes gigabytes, so that this is a third to
    a half of its time. With this setting the process stays as large as it once was. Only glibc (Linux) can do it;
    elsewhere nothing changes. Call it before other threads take memory.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or no way to look it up
        return False
    return all(mallopt(option, value) for option, value in _KEEPING.items())


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error, or the one that it was raised from, says that memory is short."""
    cause: BaseException | None = error
    while cause is not None:
        text = str(cause).lower()
        if isinstance(cause, MemoryError) or getattr(cause, "errno", None) == errno.ENOMEM:
            return True
        if any(words in text for words in _OUT_OF_MEMORY) and not any(words in text for words in _OF_A_DISK):
            return True
        cause = cause.__cause__
    return False


def keep_compiled() -> None:
    """Make JAX keep compiled programs in the user's cache folder, so that the next process starts faster.

    The folder is `siamese_jax/xla` below $XDG_CACHE_HOME, by default ~/.cache. JAX has one cache per process, so
    other programs that this process compiles are kept there, too. What the user has set comes first: a folder
    (JAX_COMPILATION_CACHE_DIR, or jax.config) stays, and JAX_ENABLE_COMPILATION_CACHE=false keeps nothing. Where the
    folder cannot be made, nothing is kept.
    """
    import jax  # here, so that --help does not load it

    folder, enabled = jax.config.jax_compilation_cache_dir, jax.config.jax_enable_compilation_cache  # pyright: ignore
    if folder is not None or not enabled:
        return
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "siamese_jax" / "xla"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # who can write there can run code in this process
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        return
    if os.access(folder, os.W_OK):
        jax.config.update("jax_compilation_cache_dir", str(folder))
        if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
            jax.config.update("jax_persistent_cache_min_compile_time_secs", _LEAST_SECONDS)


def usable_cores() -> int:
    """Return how many CPU cores this process may use. XLA splits sums by that number, so it decides the last bits."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_forked_too_late = False
"""Whether JAX had started when this process was forked."""


def _note_fork() -> None:
    """Note in a forked process whether JAX had started. Its locks may be held forever here, so none is touched."""
    global _forked_too_late
    bridge = sys.modules.get("jax._src.xla_bridge")  # JAX has no public name for it
    _forked_too_late = _forked_too_late or bool(getattr(bridge, "_backends", None))


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_note_fork)


def can_run() -> bool:
    """Return whether JAX can run in this process. A fork takes none of the threads along that JAX waits for."""
    return not _forked_too_late


def check_process() -> None:
    """Raise UserError if JAX would wait forever in this process; see `can_run`."""
    if not can_run():
        raise UserError(
            "this process was forked after JAX had started, so JAX would wait forever here: start workers by spawn, as "
            "in multiprocessing.get_context('spawn'). Only reading images works in forked workers"
        )
