"""Colours of label maps, offsets and errors."""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from gun_jax.data.classes import IGNORE, ClassMap
from gun_jax.errors import InputError
from gun_jax.visualisation.layout import WHITE, border, color_key

# Full colour is at least this length, in low-resolution pixels: an untrained table is white, not noise.
_MIN_FULL_LENGTH = 0.1
# In the order of the verdicts: 2 x (GUM is wrong) + (the baseline is wrong), then ignored.
VERDICTS = {
    "both right": (92, 92, 92),
    "fixed by GUM": (0, 222, 140),
    "new error": (255, 40, 60),
    "both wrong": (255, 196, 0),
    "ignored": (0, 0, 0),
}


# CamVid's own colours are dark and alike over an image. Half mixed with any grey these differ by at least 18 in CIELAB.
_CAMVID_OVERLAY = {
    "sky": (125, 200, 255),
    "building": (240, 150, 60),
    "pole": (255, 255, 255),
    "road": (140, 80, 190),
    "pavement": (255, 130, 210),
    "tree": (50, 170, 70),
    "sign": (255, 225, 20),
    "fence": (150, 240, 0),
    "car": (35, 70, 255),
    "pedestrian": (255, 0, 50),
    "bicyclist": (0, 235, 215),
}
_OUTLINE = (20, 20, 20)


def overlay_palette(classes: ClassMap) -> np.ndarray:
    """Colours for overlays: uint8 (256, 3), those of the classes, but for CamVid some that are easier to tell apart."""
    palette = classes.palette().copy()
    if classes.names == tuple(_CAMVID_OVERLAY):
        palette[: len(classes)] = list(_CAMVID_OVERLAY.values())
    return palette


def draw_outlines(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Draws a dark line of one pixel between classes, on a copy of an image, uint8 (H, W, 3)."""
    lines = np.zeros(labels.shape, bool)
    lines[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    lines[:-1] |= labels[:-1] != labels[1:]
    return np.where(lines[..., None], np.array(_OUTLINE, np.uint8), image)


def draw_legend(image: np.ndarray, labels: np.ndarray, names: Sequence[str], palette: np.ndarray) -> np.ndarray:
    """Draws the colours and names of the classes that occur, the largest first, over the bottom of an image.

    Args:
      image: uint8 (H, W, 3) RGB.
      labels: integer (H, W), train ids.
      names: of the classes.
      palette: uint8 (256, 3).

    Returns:
      A copy, uint8 (H, W, 3). An image that is too small for the legend's first line has none.
    """
    counts = np.bincount(labels.ravel(), minlength=256)[: len(names)]
    entries = [(names[index], tuple(palette[index].tolist())) for index in np.argsort(-counts) if counts[index]]
    height, width = image.shape[:2]
    letters = max(9, min(height, width) // 32)
    key = color_key(entries, width - 2 * letters, letters) if entries and width > 10 * letters else None
    if key is None or key.shape[0] + letters > height:
        return image
    key = border(key, letters // 2, WHITE)[:, :width]
    drawn = image.copy()
    drawn[-key.shape[0] :, : key.shape[1]] = key
    return drawn


def colorize(labels: np.ndarray, classes: ClassMap) -> np.ndarray:
    """Draws a label map in the colours of its classes, and `IGNORE` in black.

    Args:
      labels: integer (H, W), train ids of `classes` or `IGNORE`.
      classes: names and colours.

    Returns:
      uint8 (H, W, 3) RGB.

    Raises:
      InputError: another shape or type, or a number that is neither a class nor `IGNORE`.
    """
    labels = label_map("labels", labels)
    strange = labels[((labels < 0) | (labels >= len(classes))) & (labels != IGNORE)]
    if strange.size:
        raise InputError(
            f"labels hold {strange[0]}; expected 0 to {len(classes) - 1}, or {IGNORE} for ignored: "
            "do they belong to another class map?"
        )
    return classes.palette()[labels]


def offset_colors(offsets: np.ndarray, largest: float | None = None) -> tuple[np.ndarray, float]:
    """Draws offsets like optical flow: the hue is the direction, the saturation the length; zero is white.

    Red points right, yellow-green down, cyan left, violet up.

    Args:
      offsets: float (H, W, 2), (x, y) in low-resolution pixels; those that are not finite are black.
      largest: length from which the colour is full. Default: the 99th percentile of the finite lengths, at least 0.1.

    Returns:
      uint8 (H, W, 3) RGB, and `largest`.

    Raises:
      InputError: `offsets` has another shape, or `largest` is not a positive number.
    """
    offsets = np.asarray(offsets, np.float64)
    if offsets.ndim != 3 or offsets.shape[-1] != 2:
        raise InputError(f"offsets of shape {offsets.shape}; expected (H, W, 2)")
    finite = np.isfinite(offsets).all(-1)
    x, y = np.moveaxis(np.where(finite[..., None], offsets, 0.0), -1, 0)
    length = np.hypot(x, y)
    if largest is None:
        largest = max(np.quantile(length[finite], 0.99), _MIN_FULL_LENGTH) if finite.any() else _MIN_FULL_LENGTH
    elif not (math.isfinite(largest) and largest > 0):
        raise InputError(f"full colour at a length of {largest!r}; expected a positive number of pixels")
    saturation = np.minimum(length / largest, 1)
    # HSV to RGB at value 1: each channel is a trapezium over the hue, shifted by a third of the circle.
    sector = np.arctan2(y, x)[..., None] * (3 / np.pi) + np.array([0.0, 4.0, 2.0])
    pure = np.clip(np.abs(sector % 6 - 3) - 1, 0, 1)
    image = np.where(finite[..., None], 1 - saturation[..., None] * (1 - pure), 0.0)
    return np.round(255 * image).astype(np.uint8), float(largest)


def wheel_key(size: int) -> np.ndarray:
    """The key to `offset_colors`: each point has the colour of the offset from the centre to it.

    Returns:
      uint8 (size, size, 3) RGB, white around the wheel.

    Raises:
      InputError: `size` is below 1.
    """
    if size < 1:
        raise InputError(f"colour wheel of {size} pixels; expected at least 1")
    fine = 4 * size  # averaged for a smooth rim
    x, y = np.meshgrid(*[(np.arange(fine) + 0.5) / (fine / 2) - 1] * 2)
    offsets = np.stack([x, y], -1) * (np.hypot(x, y) <= 1)[..., None]
    return cv2.resize(offset_colors(offsets, 1.0)[0], (size, size), interpolation=cv2.INTER_AREA)


def error_map(truth: np.ndarray, labels: np.ndarray, baseline: np.ndarray | None = None) -> np.ndarray:
    """Draws errors: right grey, wrong red, ignored black.

    Against a baseline: both right grey, a fixed error of the baseline green, a new error red, both wrong yellow.

    Args:
      truth: integer (H, W), train ids or `IGNORE`.
      labels: integer (H, W), the predictions.
      baseline: integer (H, W), the predictions of the baseline.

    Returns:
      uint8 (H, W, 3) RGB.

    Raises:
      InputError: the shapes differ.
    """
    return np.array(list(VERDICTS.values()), np.uint8)[verdicts(truth, labels, baseline)]


def verdicts(truth: np.ndarray, labels: np.ndarray, baseline: np.ndarray | None) -> np.ndarray:
    """The index in `VERDICTS` of each pixel: (H, W)."""
    truth = label_map("truth", truth)
    wrong = label_map("labels", labels, truth.shape) != truth
    baseline_wrong = False if baseline is None else label_map("baseline", baseline, truth.shape) != truth
    return np.where(truth == IGNORE, 4, 2 * wrong + baseline_wrong)


def label_map(what: str, labels: np.ndarray, shape: tuple[int, int] | None = None) -> np.ndarray:
    """`labels` as an array if they are integers (H, W), of `shape` if given; else an InputError about `what`."""
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "iu" or (shape is not None and labels.shape != shape):
        expected = "(H, W)" if shape is None else shape
        raise InputError(f"{what} of shape {labels.shape}, {labels.dtype}; expected {expected}, whole numbers")
    return labels
