"""Memory that is freed stays in the process, for the next step's buffers.

By default, glibc gives each large buffer back to the system when it is freed, and takes it anew a moment later, page by
page and zeroed. A training step on a CPU frees and takes gigabytes: that is a third to a half of its time.
"""

import ctypes
import os
from pathlib import Path

# From glibc's malloc.h: options of mallopt, and the values that switch the giving back off; -1 is no limit.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8
_KEEPING = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: -1, _M_ARENA_MAX: 1}

OUT_OF_MEMORY = "RESOURCE_EXHAUSTED"
"""XLA's word for it, in the text of an error whose class is not in its interface."""


def keep_freed_memory() -> bool:
    """Tells the C library to keep freed memory; whether it does. To be called before other threads take memory.

    The process then stays as large as it once was. Only glibc (Linux) knows how; elsewhere nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or no way to look it up
        return False
    return all(mallopt(option, value) for option, value in _KEEPING.items())


def keep_compiled() -> None:
    """Let JAX keep compiled programs in the user's cache folder, for a quick start of the next process.

    A folder that the user has named (JAX_COMPILATION_CACHE_DIR) stays. Where none can be made, nothing is kept.
    """
    import jax

    if jax.config.jax_compilation_cache_dir is not None:
        return
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "siamese_jax" / "xla"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        return
    if os.access(folder, os.W_OK):
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
