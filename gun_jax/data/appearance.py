"""Augmentations of appearance (section 3.1): random changes of a record's colours, from its record's own generator.

They map `{"image": uint8 (H, W, 3), "label": uint8 (H, W), "id": str}` to the same; the label stays.
"""

import dataclasses
from collections.abc import Sequence

import cv2
import grain
import numpy as np

from gun_jax.data.sources import Source
from gun_jax.errors import InputError


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


@dataclasses.dataclass(frozen=True)
class GammaJitter(grain.transforms.RandomMap):
    """Raises grey levels (0 to 1) to a power, log-uniform between 1 / (1 + strength) and 1 + strength."""

    strength: float

    def random_map(self, record: dict, rng: np.random.Generator) -> dict:
        most = np.log1p(self.strength)
        power = np.exp(rng.uniform(-most, most))
        table = _to_bytes(255 * (np.arange(256) / 255) ** power)
        return record | {"image": table[record["image"]]}


@dataclasses.dataclass(frozen=True)
class Blur(grain.transforms.RandomMap):
    """Blurs every other image by a Gaussian whose deviation, in pixels, is uniform between 0 and `largest`."""

    largest: float

    def random_map(self, record: dict, rng: np.random.Generator) -> dict:
        apply, deviation = rng.random() < 0.5, rng.uniform(0, self.largest)
        if not apply or deviation < 0.1:  # a smaller one changes nothing
            return record
        return record | {"image": cv2.GaussianBlur(record["image"], (0, 0), deviation)}


@dataclasses.dataclass(frozen=True)
class Noise(grain.transforms.RandomMap):
    """Adds Gaussian noise to every other image; its deviation, in grey levels, is uniform between 0 and `largest`."""

    largest: float

    def random_map(self, record: dict, rng: np.random.Generator) -> dict:
        apply, deviation = rng.random() < 0.5, rng.uniform(0, self.largest)
        if not apply:
            return record
        noise = rng.standard_normal(record["image"].shape, np.float32)
        return record | {"image": _to_bytes(record["image"] + np.float32(deviation) * noise)}


@dataclasses.dataclass(frozen=True)
class Grey(grain.transforms.RandomMap):
    """Takes the colours from a share of the images: three equal channels of ITU-R BT.601's luma."""

    share: float

    def random_map(self, record: dict, rng: np.random.Generator) -> dict:
        if rng.random() >= self.share:
            return record
        grey = _to_bytes(record["image"] @ _LUMA)
        return record | {"image": np.repeat(grey[..., None], 3, -1)}


@dataclasses.dataclass(frozen=True)
class JpegArtefacts(grain.transforms.RandomMap):
    """Compresses every other image as a JPEG whose quality is uniform between `lowest` and 95."""

    lowest: int

    def random_map(self, record: dict, rng: np.random.Generator) -> dict:
        apply, quality = rng.random() < 0.5, int(rng.integers(self.lowest, max(95, self.lowest) + 1))
        if not apply:
            return record
        _, content = cv2.imencode(".jpg", record["image"][..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        image: np.ndarray = cv2.imdecode(content, cv2.IMREAD_COLOR)  # type: ignore[assignment]  # its own JPEG
        return record | {"image": np.ascontiguousarray(image[..., ::-1])}


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
