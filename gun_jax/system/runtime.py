"""Set-up of the programs' process: memory that it keeps, and JAX's compilation cache."""

import ctypes
import os
import pathlib
import platform

import jax

from gun_jax.errors import InputError

_MAX_CACHE = 2**30  # bytes; the least recently used entries are dropped first
_MIN_COMPILE_SECONDS = 0.1  # faster compilations are not cached

# Numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8


def keep_memory() -> None:
    """Keeps freed memory in the process (Linux with glibc), and runs one step at a time on CPUs.

    Call it before anything runs. XLA's CPU client allocates its buffers in every step; glibc returns large ones to the
    system at once, which then has to clear every page again. Two steps in flight would need the memory of both.
    """
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_M_MMAP_MAX, 0)  # large buffers from the heap as well
    mallopt(_M_TRIM_THRESHOLD, -1)  # never
    mallopt(_M_TOP_PAD, 2**26)  # the heap grows in steps of 64 MiB
    mallopt(_M_ARENA_MAX, 1)  # the one heap that can hold large buffers, for all threads


def give_back_memory() -> None:
    """Returns freed memory to the system (Linux with glibc), e.g. after compiling."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def keep_compilations(folder: str | None = None) -> None:
    """Turns on JAX's persistent compilation cache, for programs that compile in 0.1 s or more, up to 1 GiB.

    JAX_COMPILATION_CACHE_DIR in the environment takes precedence.

    Args:
      folder: created if it is missing; "": no cache. By default gun_jax/ in the user's cache folder, or no cache where
        that cannot be written.

    Raises:
      InputError: `folder` cannot be written.
    """
    if folder == "" or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    try:
        path = pathlib.Path(folder or os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
        path = path if folder else path / "gun_jax"
        path.mkdir(parents=True, exist_ok=True)
        writable = os.access(path, os.W_OK)
    except (OSError, RuntimeError):  # e.g. without a home folder
        writable = False
    if writable:
        jax.config.update("jax_compilation_cache_dir", str(path))
        jax.config.update("jax_compilation_cache_max_size", _MAX_CACHE)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", _MIN_COMPILE_SECONDS)
    elif folder:
        raise InputError(
            f"--compilation_cache is {folder}, which cannot be written; choose another folder, or "
            "--compilation_cache= for none"
        )
