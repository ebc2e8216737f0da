"""Arrays in colours: label maps, offsets with their key, errors."""

import math

import cv2
import numpy as np

from gun_jax.data.classes import IGNORE, ClassMap
from gun_jax.errors import InputError

# Lengths below this many low-resolution pixels are not blown up to full colour: an untrained table is white, not noise.
_MIN_FULL_LENGTH = 0.1
# In the order of the verdicts: 2 x (GUM is wrong) + (the baseline is wrong), then ignored.
VERDICTS = {
    "both right": (92, 92, 92),
    "mended": (0, 222, 140),
    "spoiled": (255, 40, 60),
    "both wrong": (255, 196, 0),
    "ignored": (0, 0, 0),
}


def colorize(labels: np.ndarray, classes: ClassMap) -> np.ndarray:
    """Draws a label map in the colours of its classes, `IGNORE` in black.

    Args:
      labels: integer (H, W), train ids of `classes` or `IGNORE`.
      classes: names and colours.

    Returns:
      uint8 (H, W, 3) RGB.

    Raises:
      InputError: `labels` is not such an array, or holds a number that is neither a class nor `IGNORE`.
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
    """Draws offsets as optical flow is drawn: the direction is the hue, the length the saturation, none is white.

    Red points right, yellow-green down, cyan left, violet up.

    Args:
      offsets: float (H, W, 2), (x, y) in low-resolution pixels. What is not finite is drawn black.
      largest: the length that gets the full colour, as do longer ones. Default: what 99 % of the finite offsets stay
        below, and at least 0.1.

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
    """The key to `offset_colors`: a wheel whose points have the colour of the offset that leads there from the centre.

    Returns:
      uint8 (size, size, 3) RGB, white around the wheel.

    Raises:
      InputError: `size` is below 1.
    """
    if size < 1:
        raise InputError(f"colour wheel of {size} pixels; expected at least 1")
    fine = 4 * size  # averaged down again, so that the rim is smooth
    x, y = np.meshgrid(*[(np.arange(fine) + 0.5) / (fine / 2) - 1] * 2)
    offsets = np.stack([x, y], -1) * (np.hypot(x, y) <= 1)[..., None]
    return cv2.resize(offset_colors(offsets, 1.0)[0], (size, size), interpolation=cv2.INTER_AREA)


def error_map(truth: np.ndarray, labels: np.ndarray, baseline: np.ndarray | None = None) -> np.ndarray:
    """Draws where labels are wrong: right is grey, wrong red, ignored black.

    With the labels of a baseline: both right grey, the baseline's error mended green, a new error red, both wrong
    yellow.

    Args:
      truth: integer (H, W), train ids or `IGNORE`.
      labels: integer (H, W), the predictions.
      baseline: integer (H, W), predictions to compare with.

    Returns:
      uint8 (H, W, 3) RGB.

    Raises:
      InputError: the shapes differ.
    """
    return np.array(list(VERDICTS.values()), np.uint8)[verdicts(truth, labels, baseline)]


def verdicts(truth: np.ndarray, labels: np.ndarray, baseline: np.ndarray | None) -> np.ndarray:
    """The place in `VERDICTS` for every pixel: (H, W)."""
    truth = label_map("truth", truth)
    wrong = label_map("labels", labels, truth.shape) != truth
    baseline_wrong = False if baseline is None else label_map("baseline", baseline, truth.shape) != truth
    return np.where(truth == IGNORE, 4, 2 * wrong + baseline_wrong)


def label_map(what: str, labels: np.ndarray, shape: tuple[int, int] | None = None) -> np.ndarray:
    """`labels` as an integer array (H, W), of `shape` if given; an InputError about `what` if they are not."""
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "iu" or (shape is not None and labels.shape != shape):
        expected = "(H, W)" if shape is None else shape
        raise InputError(f"{what} of shape {labels.shape}, {labels.dtype}; expected {expected}, whole numbers")
    return labels
