"""Initial settings for a new data set: simple rules, each with its reason."""

import dataclasses
import math
import statistics
from typing import Any

from gun_jax.own_data.label_stats import LabelStats
from gun_jax.own_data.layout import Layout

_BATCH = 8
_LARGE = 1_000_000  # pixels of an image, from which it enters at full size like Cityscapes' 1024x2048
_GRID = 32  # image pixels along one pixel of the coarsest map, the low-resolution branch's
_CROP_PART = 2 / 3  # of the image's sides, as in configs/camvid.py
_CPU_CROP = 256 * 512  # pixels, for images of half size
# CPU core seconds for each pixel of a half-size crop, by width. From docs/results.md, CamVid: 81 minutes for 15414
# crops of 240x320 on two cores, and 7 minutes for 8808 crops of 180x240 on one.
_SECONDS = {1.0: 8.2e-6, 0.25: 1.1e-6}
_MAX_CORES = 8  # the measurements on two cores do not extend beyond
_HOUR = 3600
_EPOCHS = 10, 300


@dataclasses.dataclass(frozen=True)
class Machine:
    """The machine that trains: JAX's platform, e.g. "cpu", its number of devices, and the CPU cores."""

    platform: str
    devices: int
    cores: int


@dataclasses.dataclass(frozen=True)
class Choice:
    """A setting, e.g. "data.crop", its value, and the reason; "" where the value was found in the folder."""

    name: str
    value: Any
    reason: str = ""


def choose(layout: Layout, train: LabelStats, data_dir: str, classes: str, machine: Machine) -> list[Choice]:
    """Chooses the initial settings.

    Args:
      layout: the layout of the folder.
      train: statistics of the training split.
      data_dir: the folder.
      classes: path of the class map below it.
      machine: the machine that trains.
    """
    height, width = typical_size(train)
    large = height * width >= _LARGE
    crop = _crop(height, width, large, machine)
    model_width = 0.25 if machine.platform == "cpu" else 1.0
    batch = _batch(train.images, machine.devices)
    epochs, how_long = _epochs(train.images, crop, large, model_width, machine)
    rounds = float(max(1, round(epochs / 20)))
    return [
        Choice("epochs", float(epochs), how_long),
        Choice("batch_size", batch, _why_batch(batch, train.images, machine)),
        Choice("eval_every_epochs", max(5.0, rounds), "about twenty times, or every fifth epoch"),
        Choice("checkpoint_every_epochs", rounds, "at most this is lost by an interruption"),
        Choice("log_every_steps", _log_every(epochs * train.images / batch), "at least a hundred reports"),
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
        Choice("data.crop", crop, f"about two thirds of the images' {height}x{width}, or less on a CPU"),
        Choice(
            "model.input_subsampling",
            1 if large else 2,
            "images of a million pixels or more" if large else "images of less than a million pixels",
        ),
        Choice("model.width", model_width, "a quarter: no GPU" if model_width < 1 else "the paper's: there is a GPU"),
        Choice("optimizer.peak_rate", 0.1 if model_width < 1 else 0.05, "for random initial weights at this width"),
        Choice("optimizer.schedule", "poly", "ends at 0 for any number of epochs"),
        Choice("optimizer.warmup_epochs", 1.0, "the first steps of a new network have the largest gradients"),
    ]


def typical_size(stats: LabelStats) -> tuple[int, int]:
    """The median height and the median width."""
    heights, widths = zip(*stats.sizes.elements(), strict=True)
    return statistics.median_low(heights), statistics.median_low(widths)


def _crop(height: int, width: int, large: bool, machine: Machine) -> tuple[int, int]:
    """Two thirds of the sides, in whole pixels of the coarsest map; smaller without a GPU."""
    most = _CPU_CROP * (4 if large else 1) if machine.platform == "cpu" else math.inf
    part = min(_CROP_PART, math.sqrt(most / (height * width)))
    crop_height, crop_width = (max(2 * _GRID, _GRID * round(part * side / _GRID)) for side in (height, width))
    return crop_height, crop_width


def _batch(images: int, devices: int) -> int:
    return devices * max(1, round(min(_BATCH, images) / devices))


def _log_every(steps: float) -> int:
    return min(20, max(1, int(steps / 100)))


def _why_batch(batch: int, images: int, machine: Machine) -> str:
    if batch > images or batch % _BATCH:
        return f"{images} images, {machine.devices} device{'s' if machine.devices > 1 else ''}"
    return "as in the paper"


def _epochs(images: int, crop: tuple[int, int], large: bool, width: float, machine: Machine) -> tuple[int, str]:
    if machine.platform != "cpu":
        return 100, "as in configs/folder.py; the first lines of the training say how long it takes"
    cores = min(machine.cores, _MAX_CORES)
    pixels = crop[0] * crop[1] / (4 if large else 1)
    seconds = images * pixels * _SECONDS[width] / cores  # an epoch
    epochs = min(max(round(_HOUR / seconds), _EPOCHS[0]), _EPOCHS[1])
    minutes = max(1, round(epochs * seconds / 60))
    how_long = f"{minutes} minute{'s' if minutes > 1 else ''} on {machine.cores} CPU cores"
    return epochs, f"about {how_long} by a rule of thumb, without evaluations"
