"""How the programs set up the process that they run in: memory that stays, compilations that are kept."""

import ctypes
import os
import pathlib
import platform

import jax

from gun_jax.errors import InputError

_MAX_CACHE = 2**30  # bytes; what was not used for the longest time goes first
_MIN_COMPILE_SECONDS = 0.1  # seconds of compiling

# Numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8


def keep_memory() -> None:
    """Sets up how the process gets its memory on CPUs. Call it before anything runs.

    XLA's CPU client asks for its buffers anew in every step. glibc gives large ones back to the system as soon as they
    are free, and the system has to clear every page again: on Linux with glibc they are kept in the process. And a step
    starts when the one before has ended: else XLA asks for the memory of both.
    """
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_M_MMAP_MAX, 0)  # large buffers from the heap as well
    mallopt(_M_TRIM_THRESHOLD, -1)  # never
    mallopt(_M_TOP_PAD, 2**26)  # the heap grows by 64 MiB at a time
    mallopt(_M_ARENA_MAX, 1)  # the one heap that can hold large buffers, for all threads


def give_back_memory() -> None:
    """Gives free memory back to the system, on Linux with glibc: after what took much that is not needed again."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def keep_compilations(folder: str | None = None) -> None:
    """Compiles nothing twice that takes a tenth of a second or longer: JAX's persistent cache, of at most 1 GiB.

    JAX_COMPILATION_CACHE_DIR in the environment goes before.

    Args:
      folder: made when it is missing; "" for no cache. By default gun_jax/ in the user's cache folder, or no cache
        where that cannot be written.

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
    except (OSError, RuntimeError):  # as when there is no home
        writable = False
    if writable:
        jax.config.update("jax_compilation_cache_dir", str(path))
        jax.config.update("jax_compilation_cache_max_size", _MAX_CACHE)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", _MIN_COMPILE_SECONDS)
    elif folder:
        raise InputError(
            f"--compilation_cache is {folder}, which cannot be written; choose another folder, or none: "
            "--compilation_cache="
        )
