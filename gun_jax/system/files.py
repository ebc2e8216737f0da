"""Atomic file writes."""

import os
import pathlib

from gun_jax.errors import InputError

UNFINISHED = ".unfinished"


def atomic_write(path: str | os.PathLike, content: bytes | str) -> None:
    """Writes a file atomically, and creates the folders above it: a reader sees the old content or the new.

    Raises:
      InputError: it cannot be written.
    """
    path = pathlib.Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}{UNFINISHED}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_bytes(content.encode() if isinstance(content, str) else content)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror}; free some space, or choose a path in a writable folder"
        ) from error
