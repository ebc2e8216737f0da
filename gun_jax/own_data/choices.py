"""Settings for a data set that nobody has trained on yet: plain rules, each with its reason."""

import dataclasses
import math
import statistics
from typing import Any

from gun_jax.own_data.label_stats import LabelStats
from gun_jax.own_data.layout import Layout

_BATCH = 8
_LARGE = 1_000_000  # pixels of an image, from which it is seen as Cityscapes' 1024x2048 are
_GRID = 32  # pixels: one of the coarsest map, of the low-resolution branch
_CROP_PART = 2 / 3  # of the image's sides, as configs/camvid.py has it
_CPU_CROP = 256 * 512  # pixels, of images of half size
# Seconds of one CPU core a pixel of a crop, of half size, by width: from docs/results.md's trainings on CamVid, 81
# minutes for 15414 crops of 240x320 on two cores, and 7 minutes for 8808 of 180x240 on one.
_SECONDS = {1.0: 8.2e-6, 0.25: 1.1e-6}
_MAX_CORES = 8  # beyond, what is measured on two says little
_HOUR = 3600
_EPOCHS = 10, 300


@dataclasses.dataclass(frozen=True)
class Machine:
    """What trains: "cpu" or another of JAX's platforms, how many devices of it, and CPU cores."""

    platform: str
    devices: int
    cores: int


@dataclasses.dataclass(frozen=True)
class Choice:
    """A setting, as "data.crop", its value, and why it has it; "" where it is what was found."""

    name: str
    value: Any
    reason: str = ""


def choose(layout: Layout, train: LabelStats, data_dir: str, classes: str, machine: Machine) -> list[Choice]:
    """The settings to begin with.

    Args:
      layout: where the data lie.
      train: what there is to train on.
      data_dir: the folder.
      classes: the class map, below it.
      machine: that trains.
    """
    height, width = typical_size(train)
    large = height * width >= _LARGE
    crop = _crop(height, width, large, machine)
    slim = 0.25 if machine.platform == "cpu" else 1.0
    batch = _batch(train.images, machine.devices)
    epochs, how_long = _epochs(train.images, crop, large, slim, machine)
    rounds = float(max(1, round(epochs / 20)))
    return [
        Choice("epochs", float(epochs), how_long),
        Choice("batch_size", batch, _why_batch(batch, train.images, machine)),
        Choice("eval_every_epochs", max(5.0, rounds), "about twenty times, or every fifth epoch"),
        Choice("checkpoint_every_epochs", rounds, "what a stop can cost"),
        Choice("log_every_steps", _log_every(epochs * train.images / batch), "a hundred reports at least"),
        Choice("data.source", "folder"),
        Choice("data.dir", data_dir),
        Choice("data.train_split", layout.train_split),
        Choice("data.eval_split", layout.eval_split),
        Choice("data.images", layout.images),
        Choice("data.labels", layout.labels),
        Choice("data.classes", classes),
        Choice("data.image_ending", layout.image_ending),
        Choice("data.label_ending", layout.label_ending),
        Choice("data.split_list", layout.split_list),
        Choice("data.crop", crop, f"about two thirds of the images' {height}x{width}, or less to spare a CPU"),
        Choice(
            "model.input_subsampling",
            1 if large else 2,
            "images of a million pixels or more" if large else "images of less than a million pixels",
        ),
        Choice("model.width", slim, "a quarter: no GPU" if slim < 1 else "the paper's: there is a GPU"),
        Choice("optimizer.peak_rate", 0.1 if slim < 1 else 0.05, "from random numbers, at this width"),
        Choice("optimizer.schedule", "poly", "ends at 0, whatever the number of epochs"),
        Choice("optimizer.warmup_epochs", 1.0, "the first steps of a new network are the wildest"),
    ]


def typical_size(stats: LabelStats) -> tuple[int, int]:
    """The median of the heights and that of the widths."""
    heights, widths = zip(*stats.sizes.elements(), strict=True)
    return statistics.median_low(heights), statistics.median_low(widths)


def _crop(height: int, width: int, large: bool, machine: Machine) -> tuple[int, int]:
    """Two thirds of the sides, in whole pixels of the coarsest map; smaller where there is no GPU."""
    most = _CPU_CROP * (4 if large else 1) if machine.platform == "cpu" else math.inf
    part = min(_CROP_PART, math.sqrt(most / (height * width)))
    crop_height, crop_width = (max(2 * _GRID, _GRID * round(part * side / _GRID)) for side in (height, width))
    return crop_height, crop_width


def _batch(pictures: int, devices: int) -> int:
    return devices * max(1, round(min(_BATCH, pictures) / devices))


def _log_every(steps: float) -> int:
    return min(20, max(1, int(steps / 100)))


def _why_batch(batch: int, pictures: int, machine: Machine) -> str:
    if batch > pictures or batch % _BATCH:
        return f"{pictures} images, {machine.devices} device{'s' if machine.devices > 1 else ''}"
    return "as the paper"


def _epochs(pictures: int, crop: tuple[int, int], large: bool, width: float, machine: Machine) -> tuple[int, str]:
    if machine.platform != "cpu":
        return 100, "as configs/folder.py; the first lines of the training say how long it takes"
    cores = min(machine.cores, _MAX_CORES)
    pixels = crop[0] * crop[1] / (4 if large else 1)
    seconds = pictures * pixels * _SECONDS[width] / cores  # an epoch
    epochs = min(max(round(_HOUR / seconds), _EPOCHS[0]), _EPOCHS[1])
    minutes = max(1, round(epochs * seconds / 60))
    how_long = f"{minutes} minute{'s' if minutes > 1 else ''} on {machine.cores} CPU cores"
    return epochs, f"about {how_long} by a rule of thumb, evaluations not counted"
