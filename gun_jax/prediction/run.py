"""Labels inputs with the flags of `predict.py`."""

import contextlib
import pathlib
from collections.abc import Sequence

import rich.console
import rich.text

from gun_jax.data.classes import ClassMap
from gun_jax.errors import InputError
from gun_jax.prediction.inputs import find_inputs
from gun_jax.prediction.loading import load_segmenter
from gun_jax.prediction.predict import Counts, predict
from gun_jax.prediction.results import Painter, Results
from gun_jax.prediction.segmenter import Size
from gun_jax.prediction.window import Window
from gun_jax.visualisation.palettes import overlay_palette


def run_prediction(
    arguments: Sequence[str],
    camera: int | None,
    workdir: pathlib.Path | None,
    model: str,
    step: int | str | None,
    engine: str,
    size: Size | None,
    output: pathlib.Path,
    kinds: Sequence[str],
    opacity: float,
    outlines: bool,
    legend: bool,
    show: bool,
    batch: int,
    threads: int,
    max_frames: int | None,
) -> Counts:
    """Labels the inputs that a command line names, and prints a summary.

    Args:
      arguments: files, folders and patterns.
      camera: number of a camera, or None.
      workdir, model, step, engine, size: see `load_segmenter`.
      output, kinds: see `Results`.
      opacity, outlines, legend: see `Painter`.
      show: whether to open a window.
      batch, threads, max_frames: see `predict`.

    Raises:
      InputError: a value is impossible; or, after all other inputs are labelled, some could not be read.
    """
    if not kinds and not show:
        raise InputError("nothing to write and nothing to show; expected e.g. --write=overlay, or --show")
    inputs, missing = find_inputs(arguments, camera, output)
    console = rich.console.Console(highlight=False, markup=False)
    for line in missing:
        console.print(line, soft_wrap=True)
    counts = Counts()
    if inputs:
        segmenter = load_segmenter(workdir, model, step, engine, size, console)
        _show_legend(segmenter.classes, console)
        painter = Painter(segmenter.classes, opacity, outlines, legend)
        results = Results(output, kinds, segmenter.classes, painter)
        with Window("gun_jax") if show else contextlib.nullcontext() as window:
            counts = predict(segmenter, inputs, results, painter, console, window, batch, threads, max_frames)
            if window and camera is None and not any(source.video for source in inputs):
                window.wait()
    rate = f" ({counts.timed / counts.seconds:.1f} images/s after the first batch)" if counts.timed else ""
    wrote = f"; wrote {', '.join(kinds)} to {output}/" if kinds and counts.frames else ""
    console.print(f"labelled {counts.frames} images{rate}{wrote}", soft_wrap=True)
    refused = len(missing) + len(counts.refused)
    if refused:
        raise InputError(f"{refused} of {len(inputs) + len(missing)} inputs were unreadable or cut off; see above")
    return counts


def _show_legend(classes: ClassMap, console: rich.console.Console) -> None:
    if console.is_terminal:
        legend = rich.text.Text()
        for name, (red, green, blue) in zip(
            classes.names, overlay_palette(classes)[: len(classes)].tolist(), strict=True
        ):
            legend.append("\u2588\u2588 ", f"rgb({red},{green},{blue})").append(f"{name}  ")
        console.print(legend)
