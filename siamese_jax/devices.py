"""The process that JAX runs in: its devices, cores and memory. Freed memory and programs are kept, forks noticed."""

import ctypes
import errno
import importlib.util
import logging
import os
import re
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

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

LEAST_ADDRESSES = 4 * 10**9
"""Bytes of addresses below which JAX aborted on two cores: with 2.5 GB it did."""

CUDA13_DRIVER = 580
"""The first NVIDIA driver that runs CUDA 13."""


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

    Raises:
      UserError: JAX has no device of the kind that was asked for.
    """
    import jax  # here, so that --help does not load it

    check_backend()
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


class Limit(NamedTuple):
    """The memory that there can be at most, and in words what sets it: "this machine has"."""

    bytes: int
    of: str


def memory_limit() -> Limit | None:
    """Return how much memory this process can have on a CPU; None where that is not known, or another device is used.

    It is the least of the machine's memory with its swap, the limit of a container (cgroup), and `ulimit -v`.
    """
    import jax

    if jax.default_backend() != "cpu":
        return None
    limits = [Limit(most, of) for most, of in (_machine(), _container(), _ulimit()) if most]
    return min(limits, default=None)


def _machine() -> tuple[int, str]:
    of = "this machine has"
    try:
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows
        return 0, of
    swap = re.search(r"^SwapTotal: *(\d+) kB", system_text("/proc/meminfo"), re.MULTILINE)
    return pages + (int(swap[1]) << 10 if swap else 0), of


def _container(root: Path = Path("/sys/fs/cgroup")) -> tuple[int, str]:
    """Return the least limit of this process's cgroup and those around it; the folders may be seen from inside."""
    limits = []
    for line in system_text("/proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        kinds, _, path = rest.partition(":")
        if kinds not in ("", "memory"):
            continue
        folder, name = (root, "memory.max") if not kinds else (root / "memory", "memory.limit_in_bytes")
        inside = folder / path.lstrip("/")
        for place in (inside, *inside.parents):
            if place.is_relative_to(folder) and (text := system_text(place / name).strip()).isdigit():
                limits.append(int(text))
    return min(limits, default=0), "this container may use"


def _ulimit() -> tuple[int, str]:
    of = "`ulimit -v` allows"
    try:
        import resource
    except ImportError:  # Windows
        return 0, of
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    return (0 if most == resource.RLIM_INFINITY else most), of


def system_text(path: str | os.PathLike) -> str:
    """Return what a file of the system says, for example /proc/meminfo; "" where there is no such file."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def check_address_space() -> None:
    """Raise UserError if `ulimit -v` leaves too little for JAX, whose threads would end the process with an abort."""
    allowed, of = _ulimit()
    if 0 < allowed < LEAST_ADDRESSES:
        raise UserError(
            f"{of} {allowed / 1e9:.1f} GB, and JAX with its threads needs {LEAST_ADDRESSES / 1e9:.0f} GB of addresses, "
            "most of them never used: raise it, for example with ulimit -v unlimited"
        )


def check_backend() -> None:
    """Raise UserError if JAX cannot use the device that it was asked for."""
    import jax

    logger = logging.getLogger("jax._src.xla_bridge")
    level = logger.level
    try:
        if unused_gpu():  # JAX says so as well, without a way out
            logger.setLevel(logging.ERROR)
        jax.devices()
    except Exception as error:  # RuntimeError, AssertionError, and what plug-ins raise
        asked = _chosen() or ""
        reason = (str(error).splitlines() or [""])[0].partition(" (set JAX_PLATFORMS=")[0].rstrip(".")
        raise UserError(
            f"JAX_PLATFORMS={asked} cannot be used here: {reason or 'JAX finds none'}. Leave it out, or install what "
            "it needs: siamese_jax[cuda13], siamese_jax[cuda12] or siamese_jax[tpu]"
        ) from error
    finally:
        logger.setLevel(level)


def unused_gpu() -> str:
    """Return a sentence if this machine has an NVIDIA GPU that the installed jaxlib cannot use; "" otherwise.

    It is about what is installed: a platform that was chosen by hand is left alone.
    """
    if _chosen():
        return ""
    if any(importlib.util.find_spec(f"jax_cuda{version}_plugin") for version in (12, 13)):
        return ""
    driver = system_text("/proc/driver/nvidia/version")
    if not driver and not Path("/dev/nvidia0").exists() and not shutil.which("nvidia-smi"):
        return ""
    found = re.search(r"Module\D*(\d+)\.", driver)
    extra = "siamese_jax[cuda13]" if found and int(found[1]) >= CUDA13_DRIVER else "siamese_jax[cuda12]"
    if not found:
        extra = "siamese_jax[cuda13]' or, with a driver before 580, 'siamese_jax[cuda12]"
    return f"this machine has an NVIDIA GPU, and the installed jaxlib uses the CPU only: pip install '{extra}'"


def _chosen() -> str | None:
    """Return the platforms that the user has chosen, for example "cpu"."""
    import jax

    return jax.config.jax_platforms  # pyright: ignore


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
