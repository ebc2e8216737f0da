"""The learning curves of a run, drawn into its workdir when a training ends."""

import pathlib
import warnings

from gun_jax.errors import InputWarning
from gun_jax.runs.rows import METRICS_NAME, read_rows
from gun_jax.system.distributed import is_main

NAME = "curves.png"  # in the workdir


def last_report(workdir: pathlib.Path) -> int | None:
    """When a run last reported, in nanoseconds; None: never."""
    path = workdir / METRICS_NAME
    return path.stat().st_mtime_ns if path.exists() else None


def draw_curves(workdir: pathlib.Path, warn: bool = True) -> None:
    """Draws the curves of a run into its workdir, in the first process.

    What was learned is not lost with an image: where it cannot be drawn that is an InputWarning, if `warn` says so. A
    run without a report has no image.
    """
    if not is_main():
        return
    try:
        from gun_jax.visualisation import curve_figure  # Matplotlib loads slowly

        rows = read_rows(workdir / METRICS_NAME)
        if rows:
            curve_figure(rows, workdir / NAME)
    except Exception as error:  # whatever Matplotlib makes of a strange machine, or a file of strange rows
        if warn:
            warnings.warn(f"{workdir / NAME} was not drawn: {error}", InputWarning, stacklevel=2)
