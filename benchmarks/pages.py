"""Pages of Markdown that commands write and update."""

import datetime
import os
import pathlib
from collections.abc import Sequence

import jax

from gun_jax.errors import InputError
from gun_jax.system.timing import machine


def check_page(path: pathlib.Path, head: str) -> str:
    """The text of the page that `--markdown` names, "" if there is none.

    Args:
      path: the page.
      head: the beginning of all pages of the command.

    Raises:
      InputError: the page cannot be written, or another command or person has written it.
    """
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"--markdown is {path}, which cannot be written; choose a file in a writable folder")
    page = path.read_text(errors="replace") if path.exists() else ""
    if page and not page.startswith(head):
        raise InputError(f"--markdown is {path}, which holds something else; choose another file, or remove it first")
    return page


def origin(command: str) -> str:
    """The command, date and machine of a measurement, as Markdown."""
    where = f"{datetime.date.today()}, {machine()}, JAX {jax.__version__}"
    return f"Written by the command; {where}.\n\n```\npython {command}\n```"


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; all columns but the first are numbers."""
    lines = [f"| {' | '.join(headings)} |", "|---" + "|---:" * (len(headings) - 1) + "|"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])
