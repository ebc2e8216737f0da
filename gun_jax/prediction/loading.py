"""The network that a command line names, ready to label."""

import pathlib

import rich.console

from gun_jax.prediction.segmenter import Segmenter, Size
from gun_jax.runs.loading import load_checkpoint
from gun_jax.weights import pretrained


def load_segmenter(
    workdir: pathlib.Path | None, step: int | None, engine: str, size: Size | None, console: rich.console.Console
) -> Segmenter:
    """Loads the network of a run, or else the one that comes with the package, and says so.

    Args:
      workdir, step: of a run; None: the network that comes with the package, the newest checkpoint.
      engine, size: see `Segmenter`.
      console: on which to say it.

    Raises:
      InputError: there is no such run, or `Segmenter` refuses the rest.
    """
    trained = load_checkpoint(workdir or pretrained.FOLDER, step)
    if workdir is None:
        console.print(
            f"by the network that comes with gun_jax, of {len(trained.classes)} classes of street scenes (CamVid); "
            "yours: --workdir=DIR",
            soft_wrap=True,
        )
    return Segmenter(trained, engine, size)
