"""Files of one JSON object a line and step, which a run that goes on from a checkpoint goes on writing."""

import json
import os
import pathlib

from gun_jax.errors import InputError
from gun_jax.system.files import atomic_write

METRICS_NAME = "metrics.jsonl"  # in the workdir


def append_row(path: pathlib.Path, row: dict) -> None:
    """Adds a row; a row that cannot be written whole is not there.

    Raises:
      InputError: there is no space, or the file cannot be written.
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
    """The rows of a file, none if there is none; a last line that was cut off before its end does not count.

    Raises:
      InputError: the file cannot be read, or another line is no row.
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
                raise ValueError("its step is no whole number")
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path}, line {number}, is damaged: {error!r}; restore or remove the file") from error
        rows.append(row)
    return rows


def drop_rows_after(path: pathlib.Path, step: int) -> None:
    """Drops the rows of later steps, whose state was lost."""
    if path.exists():
        kept = [row for row in read_rows(path) if row["step"] <= step]
        atomic_write(path, "".join(json.dumps(row) + "\n" for row in kept))
