"""Augmentations of place (section 5.4): random transformations of a record, drawn from its record's own generator.

They map `{"image": uint8 (H, W, 3), "label": uint8 (H, W), "id": str}` to the same. Images are resized bilinearly, or
by averaging if they shrink to less than a half; labels take the nearest pixel.
"""

import dataclasses

import cv2
import grain
import numpy as np

from gun_jax.data.classes import IGNORE
from gun_jax.data.images import MEAN_COLOR
from gun_jax.errors import InputError, check_choice


@dataclasses.dataclass(frozen=True)
class RandomScale(grain.transforms.RandomMap):
    """Resizes by a random factor in [smallest, largest].

    Attributes:
      smallest, largest: range of the factor.
      distribution: of the factor. "log_uniform": halving is as likely as doubling; "uniform": as in the code of the
        DRNs.
    """

    smallest: float = 0.5
    largest: float = 2.0
    distribution: str = "log_uniform"

    def __post_init__(self) -> None:
        check_choice("random scale", "distribution", self.distribution, ("log_uniform", "uniform"))
        if not 0 < self.smallest <= self.largest:
            raise InputError(f"random scale from {self.smallest} to {self.largest}; expected 0 < smallest <= largest")

    def random_map(self, record: dict, rng: np.random.Generator) -> dict:
        if self.distribution == "uniform":
            factor = rng.uniform(self.smallest, self.largest)
        else:
            factor = np.exp(rng.uniform(np.log(self.smallest), np.log(self.largest)))
        height, width = record["label"].shape
        size = max(1, round(width * factor)), max(1, round(height * factor))
        # Down to a half, bilinear mixing leaves no pixel out, and it is several times as fast as averaging.
        smooth = cv2.INTER_AREA if factor < 0.5 else cv2.INTER_LINEAR
        image = cv2.resize(record["image"], size, interpolation=smooth)
        label = cv2.resize(record["label"], size, interpolation=cv2.INTER_NEAREST_EXACT)
        return record | {"image": image, "label": label, "original_size": (height, width)}


@dataclasses.dataclass(frozen=True)
class RandomCrop(grain.transforms.RandomMap):
    """Cuts out a window of (height, width) at a random place.

    A smaller image is put at a random place in the window. The padding has ImageNet's mean colour, which is 0 once
    normalised (unless colours are jittered afterwards), and the label `IGNORE`.

    Attributes:
      size: (height, width) of the window; (): that of the image before `RandomScale`.
      rare: share of the windows that hold a pixel of one class, drawn from the image's classes with equal chances.
    """

    size: tuple[int, int] | tuple[()] = ()
    rare: float = 0.0

    def __post_init__(self) -> None:
        if self.size and (len(self.size) != 2 or min(self.size) < 1):
            raise InputError(f"random crop of {self.size}; expected (height, width), 1 or more each")

    def random_map(self, record: dict, rng: np.random.Generator) -> dict:
        height, width = record["label"].shape
        window_height, window_width = self.size or record.get("original_size", (height, width))
        y = x = None  # of a pixel that the window holds
        if self.rare and rng.random() < self.rare:
            y, x = _pixel_of_a_class(record["label"], rng)
        target_y, source_y, rows = _place(height, window_height, rng, y)
        target_x, source_x, columns = _place(width, window_width, rng, x)
        source = np.s_[source_y : source_y + rows, source_x : source_x + columns]
        image, label = (np.ascontiguousarray(record[key][source]) for key in ("image", "label"))
        if label.shape != (window_height, window_width):
            frame = (target_y, window_height - target_y - rows, target_x, window_width - target_x - columns)
            image = cv2.copyMakeBorder(image, *frame, cv2.BORDER_CONSTANT, value=MEAN_COLOR)
            label = cv2.copyMakeBorder(label, *frame, cv2.BORDER_CONSTANT, value=IGNORE)
        return record | {"image": image, "label": label}


@dataclasses.dataclass(frozen=True)
class RandomFlip(grain.transforms.RandomMap):
    """Mirrors left and right with probability 1/2."""

    def random_map(self, record: dict, rng: np.random.Generator) -> dict:
        if rng.random() < 0.5:
            return record
        return record | {key: cv2.flip(record[key], 1) for key in ("image", "label")}


def _pixel_of_a_class(label: np.ndarray, rng: np.random.Generator) -> tuple[int, int] | tuple[None, None]:
    """Row and column of a random pixel of a random class; None where no pixel is labelled."""
    classes = np.unique(label[label != IGNORE])
    if not classes.size:
        return None, None
    places = np.flatnonzero(label == rng.choice(classes))
    row, column = divmod(int(rng.choice(places)), label.shape[1])
    return row, column


def _place(length: int, window: int, rng: np.random.Generator, held: int | None = None) -> tuple[int, int, int]:
    """Along one axis: start in the window, start in the image, and number of pixels; the window holds `held`."""
    first, last = 0, abs(length - window)
    if held is not None and window < length:
        first, last = max(0, held - window + 1), min(held, last)
    offset = int(rng.integers(first, last + 1))
    return (offset, 0, length) if length <= window else (0, offset, window)
