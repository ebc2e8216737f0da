"""Loads the network that a command line names."""

import pathlib

import rich.console

from gun_jax.prediction.segmenter import Segmenter, Size
from gun_jax.runs.loading import load_checkpoint
from gun_jax.weights import pretrained


def load_segmenter(
    workdir: pathlib.Path | None,
    model: str,
    step: int | str | None,
    engine: str,
    size: Size | None,
    console: rich.console.Console,
) -> Segmenter:
    """Loads the network of a run, or a pretrained model, and prints that it is the latter.

    Args:
      workdir: folder of a run; None for a pretrained model.
      model: name of the pretrained model.
      step: number of the checkpoint; None for the newest.
      engine, size: see `Segmenter`.
      console: for the message.

    Raises:
      InputError: no such run, engine or size.
    """
    trained = load_checkpoint(workdir or pretrained.folder_of(model), step)
    if workdir is None:
        console.print(
            f"using the pretrained model {model} ({len(trained.classes)} CamVid classes); --workdir=DIR uses yours",
            soft_wrap=True,
        )
    return Segmenter(trained, engine, size)
