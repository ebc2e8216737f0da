"""How the programs set up the process that they run in: memory that stays, compilations that are kept."""

import ctypes
import os
import pathlib

import jax

_LARGEST_CACHE = 2**30  # bytes; what was not used for the longest time goes first
_SHORTEST_KEPT = 0.1  # seconds of compiling

# Numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8


def keep_memory() -> None:
    """Keeps freed memory in the process, on Linux with glibc; does nothing elsewhere. Call it before anything runs.

    XLA's CPU client asks for its buffers anew in every step. glibc gives large ones back to the system as soon as they
    are free, and the system has to clear every page again, which may take longer than what the buffer is for.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_M_MMAP_MAX, 0)  # large buffers from the heap as well
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_M_TOP_PAD, 2**26)  # the heap grows by 64 MiB at a time
    mallopt(_M_ARENA_MAX, 1)  # the one heap that can hold large buffers, for all threads


def default_cache() -> pathlib.Path:
    """The folder of kept compilations: gun_jax/ in the user's cache folder."""
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "gun_jax"


def keep_compilations(folder: pathlib.Path | None) -> None:
    """Compiles nothing twice that takes a tenth of a second or longer: JAX's persistent cache, of at most 1 GiB.

    Args:
      folder: made when it is needed; None for no cache. JAX_COMPILATION_CACHE_DIR in the environment goes before.
    """
    if folder is not None and "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_compilation_cache_max_size", _LARGEST_CACHE)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", _SHORTEST_KEPT)
