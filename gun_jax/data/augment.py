"""Augmentations (section 5.4): random transformations of a record, each drawn from its record's own generator.

They map `{"image": uint8 (H, W, 3), "label": uint8 (H, W), "id": str}` to the same. Images are resized bilinearly, or
by averaging if they shrink to less than a half; labels take the nearest pixel.
"""

import dataclasses
from collections.abc import Sequence

import cv2
import grain
import numpy as np

from gun_jax.data.classes import IGNORE
from gun_jax.data.images import MEAN_COLOR
from gun_jax.data.sources import Source
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
    """

    size: tuple[int, int] | tuple[()] = ()

    def __post_init__(self) -> None:
        if self.size and (len(self.size) != 2 or min(self.size) < 1):
            raise InputError(f"random crop of {self.size}; expected (height, width), 1 or more each")

    def random_map(self, record: dict, rng: np.random.Generator) -> dict:
        height, width = record["label"].shape
        window_height, window_width = self.size or record.get("original_size", (height, width))
        target_y, source_y, rows = _place(height, window_height, rng)
        target_x, source_x, columns = _place(width, window_width, rng)
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


@dataclasses.dataclass(frozen=True)
class ColorJitter(grain.transforms.RandomMap):
    """Changes brightness, contrast and saturation, in random order (section 3.1), each by a factor of its own.

    A factor f is uniform in [1 - strength, 1 + strength]. Brightness mixes the image with black, contrast with the
    mean of its greys, saturation with its own greys: f * image + (1 - f) * other. The values are cut to 0 to 255
    once, at the end. Grey is ITU-R BT.601's luma.

    Attributes:
      strength: 0 to 1.
    """

    strength: float

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise InputError(f"colour jitter of strength {self.strength}; expected 0 to 1")

    def random_map(self, record: dict, rng: np.random.Generator) -> dict:
        image = record["image"].astype(np.float32)
        for change in rng.permutation(3):
            factor = np.float32(rng.uniform(1 - self.strength, 1 + self.strength))
            if change == 0:  # brightness
                image = factor * image
            else:
                grey = image @ _LUMA  # (H, W)
                other = grey.mean() if change == 1 else grey[..., None]
                image = factor * image + (1 - factor) * other
        return record | {"image": _to_bytes(image)}


@dataclasses.dataclass(frozen=True)
class LightingJitter(grain.transforms.RandomMap):
    """Adds one colour to all pixels, drawn along the principal components of the training set's colours.

    Krizhevsky et al. (2012), section 4.1: the sum of the eigenvectors of the 3x3 covariance of RGB values (here 0 to
    1), each times its eigenvalue and a draw from a normal distribution with deviation `sigma`.

    Attributes:
      sigma: deviation of the draws; 0.1 in both papers.
      covariance: of red, green and blue (0 to 1), three rows of three; see `color_covariance`.
    """

    sigma: float
    covariance: Sequence[Sequence[float]]

    def __post_init__(self) -> None:
        if not self.sigma >= 0:
            raise InputError(f"lighting jitter of sigma {self.sigma}; expected 0 or more")

    def random_map(self, record: dict, rng: np.random.Generator) -> dict:
        eigenvalues, eigenvectors = np.linalg.eigh(self.covariance)
        color = eigenvectors @ (rng.normal(0.0, self.sigma, 3) * eigenvalues)
        return record | {"image": _to_bytes(record["image"] + (255 * color).astype(np.float32))}


def color_covariance(source: Source, images: int = 128) -> np.ndarray:
    """Covariance of red, green and blue (0 to 1) over the pixels of a data set: float64 (3, 3).

    Args:
      source: the data set.
      images: number of images to read, spread evenly; at most all of them.
    """
    count, total, products = 0, np.zeros(3), np.zeros((3, 3))
    for index in np.unique(np.linspace(0, len(source) - 1, images).round().astype(int)):
        pixels = source[int(index)]["image"].reshape(-1, 3) / 255.0
        count += len(pixels)
        total += pixels.sum(0)
        products += pixels.T @ pixels
    mean = total / count
    return products / count - np.outer(mean, mean)


_LUMA = np.asarray((0.299, 0.587, 0.114), np.float32)


def _to_bytes(image: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _place(length: int, window: int, rng: np.random.Generator) -> tuple[int, int, int]:
    """Along one axis: start in the window, start in the image, and number of pixels."""
    offset = int(rng.integers(abs(length - window) + 1))
    return (offset, 0, length) if length <= window else (0, offset, window)
