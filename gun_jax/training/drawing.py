"""Learning curves of a run, drawn into its workdir when training ends."""

import pathlib
import warnings

from gun_jax.errors import InputWarning
from gun_jax.runs.rows import read_rows
from gun_jax.runs.workdir import METRICS
from gun_jax.system.distributed import is_main

NAME = "curves.png"  # in the workdir


def last_report(workdir: pathlib.Path) -> int | None:
    """Time of the last report of a run, in nanoseconds; None: there is none."""
    path = workdir / METRICS
    return path.stat().st_mtime_ns if path.exists() else None


def draw_curves(workdir: pathlib.Path, warn: bool = True) -> None:
    """Draws `curves.png` into the workdir of a run, in the main process, if the run has reported anything.

    A failure to draw is only an InputWarning (none with `warn=False`): the run itself is complete.
    """
    if not is_main():
        return
    try:
        from gun_jax.visualisation import curve_figure  # Matplotlib loads slowly

        rows = read_rows(workdir / METRICS)
        if rows:
            curve_figure(rows, workdir / NAME)
    except Exception as error:  # of Matplotlib without fonts, or of damaged rows
        if warn:
            warnings.warn(f"{workdir / NAME} was not drawn: {error}", InputWarning, stacklevel=2)
