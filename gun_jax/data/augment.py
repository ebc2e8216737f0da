"""Augmentations (section 5.4): random transformations of a record, each drawn from its record's own generator.

They take and give `{"image": uint8 (H, W, 3), "label": uint8 (H, W), "id": str}`. Pictures are mixed bilinearly when
they grow and averaged when they shrink, labels are taken from the nearest pixel.
"""

import dataclasses

import cv2
import grain
import numpy as np

from gun_jax.data.classes import IGNORE
from gun_jax.data.pictures import MEAN_COLOR
from gun_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class RandomScale(grain.transforms.RandomMap):
    """Resizes by a factor that is log-uniform in [smallest, largest]: as often twice as half the size."""

    smallest: float = 0.5
    largest: float = 2.0

    def __post_init__(self):
        if not 0 < self.smallest <= self.largest:
            raise InputError(f"random scale from {self.smallest} to {self.largest}; expected 0 < smallest <= largest")

    def random_map(self, record: dict, rng: np.random.Generator) -> dict:
        factor = np.exp(rng.uniform(np.log(self.smallest), np.log(self.largest)))
        height, width = record["label"].shape
        size = max(1, round(width * factor)), max(1, round(height * factor))
        smooth = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        image = cv2.resize(record["image"], size, interpolation=smooth)
        label = cv2.resize(record["label"], size, interpolation=cv2.INTER_NEAREST_EXACT)
        return record | {"image": image, "label": label}


@dataclasses.dataclass(frozen=True)
class RandomCrop(grain.transforms.RandomMap):
    """Cuts out a window of (height, width) at a random place.

    A picture that is smaller lies at a random place in the window; around it the image has ImageNet's mean colour,
    which is 0 once normalised, and the label `IGNORE`.
    """

    height: int
    width: int

    def __post_init__(self):
        if min(self.height, self.width) < 1:
            raise InputError(f"random crop of {self.height}x{self.width}; expected a height and a width of 1 or more")

    def random_map(self, record: dict, rng: np.random.Generator) -> dict:
        height, width = record["label"].shape
        target_y, source_y, rows = _place(height, self.height, rng)
        target_x, source_x, columns = _place(width, self.width, rng)
        image = np.full((self.height, self.width, 3), MEAN_COLOR, np.uint8)
        label = np.full((self.height, self.width), IGNORE, np.uint8)
        target = np.s_[target_y : target_y + rows, target_x : target_x + columns]
        source = np.s_[source_y : source_y + rows, source_x : source_x + columns]
        image[target], label[target] = record["image"][source], record["label"][source]
        return record | {"image": image, "label": label}


@dataclasses.dataclass(frozen=True)
class RandomFlip(grain.transforms.RandomMap):
    """Mirrors left and right, every other time."""

    def random_map(self, record: dict, rng: np.random.Generator) -> dict:
        if rng.random() < 0.5:
            return record
        return record | {key: np.ascontiguousarray(record[key][:, ::-1]) for key in ("image", "label")}


def _place(length: int, window: int, rng: np.random.Generator) -> tuple[int, int, int]:
    """Along one axis: where in the window, from where in the picture, and how many pixels."""
    offset = int(rng.integers(abs(length - window) + 1))
    return (offset, 0, length) if length <= window else (0, offset, window)
