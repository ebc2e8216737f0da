"""Rows of metrics: files with one JSON object a line, each with its step. A resumed run continues the file."""

import json
import os
import pathlib

from gun_jax.errors import InputError
from gun_jax.system.files import atomic_write


def append_row(path: pathlib.Path, row: dict) -> None:
    """Appends a row, whole or not at all.

    Raises:
      InputError: the file cannot be written, e.g. the disk is full.
    """
    size = path.stat().st_size if path.exists() else 0
    try:
        with path.open("ab") as file:
            file.write((json.dumps(row) + "\n").encode())
            file.flush()
    except OSError as error:
        if path.exists():
            os.truncate(path, size)
        raise InputError(
            f"cannot write {path}: {error.strerror}; free some space, and rerun the command to resume"
        ) from error


def read_rows(path: pathlib.Path) -> list[dict]:
    """The rows of a file; a missing file has none. A last line without its end was cut off and is ignored.

    Raises:
      InputError: the file cannot be read, or a line is damaged.
    """
    try:
        *lines, _ = path.read_bytes().split(b"\n") if path.exists() else [b""]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            if not isinstance(row["step"], int):
                raise ValueError("its step is not a whole number")
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path}, line {number}, is damaged: {error!r}; restore or remove the file") from error
        rows.append(row)
    return rows


def drop_rows_after(path: pathlib.Path, step: int) -> None:
    """Drops the rows of later steps, whose state was lost."""
    if path.exists():
        kept = [row for row in read_rows(path) if row["step"] <= step]
        atomic_write(path, "".join(json.dumps(row) + "\n" for row in kept))
