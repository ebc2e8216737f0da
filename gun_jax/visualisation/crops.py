"""Crops in which one network labels boundaries better than another (Figure 4b)."""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from gun_jax.data.classes import IGNORE, ClassMap
from gun_jax.visualisation.layout import LINE, WHITE, below, beside, border, color_key, text_line
from gun_jax.visualisation.palettes import VERDICTS, colorize, error_map

_TILE = 176  # pixels, of a crop


@dataclasses.dataclass(frozen=True)
class Crop:
    """A square part of an image with two labellings.

    Attributes:
      image: uint8 (S, S, 3) RGB.
      truth, baseline, labels: integer (S, S), train ids; `truth` also `IGNORE`.
      gain: the pixels near boundaries that only `labels` has right, less those that only `baseline` has right.
      top, left: first row and column in the image.
    """

    image: np.ndarray
    truth: np.ndarray
    baseline: np.ndarray
    labels: np.ndarray
    gain: int
    top: int
    left: int


def best_crop(
    image: np.ndarray, truth: np.ndarray, baseline: np.ndarray, labels: np.ndarray, reach: int = 5, part: float = 0.25
) -> Crop:
    """The square of an image with the largest gain of `labels` over `baseline` near boundaries.

    Args:
      image: uint8 (H, W, 3) RGB, of the size of the labels.
      truth: integer (H, W), train ids or `IGNORE`.
      baseline, labels: integer (H, W), the two labellings.
      reach: distance from a boundary of the truth up to which pixels count.
      part: side of the square, as a fraction of the shorter side of the image.
    """
    near = cv2.distanceTransform(1 - _boundaries(truth), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= reach
    better = ((labels == truth) * 1 - (baseline == truth)) * (truth != IGNORE) * near  # 1 fixed, -1 new error
    side = max(1, round(min(truth.shape) * part))
    sums = cv2.integral(better.astype(np.float32), sdepth=cv2.CV_64F)  # (H + 1, W + 1)
    gains = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    top, left = (int(place) for place in np.unravel_index(gains.argmax(), gains.shape))
    square = np.s_[top : top + side, left : left + side]
    return Crop(image[square], truth[square], baseline[square], labels[square], int(gains[top, left]), top, left)


def _boundaries(truth: np.ndarray) -> np.ndarray:
    """1 where a pixel and its right or lower neighbour differ in class: uint8 (H, W)."""
    boundaries = np.zeros(truth.shape, np.uint8)
    for here, there in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        one, other = truth[here], truth[there]
        boundaries[here] |= (one != other) & (one != IGNORE) & (other != IGNORE)
    return boundaries


def crop_figure(crops: Sequence[Crop], baseline: str, name: str, classes: ClassMap) -> np.ndarray:
    """Draws crops (Figure 4b), one a column: image, truth, two labellings, and the errors of the second one.

    Args:
      crops: one or more.
      baseline, name: names of the two labellings.
      classes: names and colours.

    Returns:
      uint8 (height, width, 3) RGB.
    """
    letters = 13
    captions = ["image", "ground truth", baseline, f"guided: {name}", "errors"]
    columns = []
    for crop in crops:
        tiles = [
            cv2.resize(crop.image, (_TILE, _TILE), interpolation=cv2.INTER_LINEAR),
            *(_enlarged(colorize(one, classes)) for one in (crop.truth, crop.baseline, crop.labels)),
            _enlarged(error_map(crop.truth, crop.labels, crop.baseline)),
        ]
        columns.append([border(tile, 1, LINE) for tile in tiles])
    rows = [
        below([text_line(caption, letters, _TILE * len(crops)), beside(list(row), letters // 2)], letters // 4)
        for caption, row in zip(captions, zip(*columns, strict=True), strict=True)
    ]
    width = rows[0].shape[1]
    maps = [labels for crop in crops for labels in (crop.truth, crop.baseline, crop.labels)]
    names = dict(enumerate(classes.names)) | {IGNORE: "ignored"}
    occurring = sorted({int(i) for labels in maps for i in np.unique(labels)})
    keys = [
        color_key(list(VERDICTS.items()), width, letters),
        color_key([(names[i], classes.palette()[i]) for i in occurring], width, letters),
    ]
    return border(below([*rows, *keys], letters // 2), letters, WHITE)


def _enlarged(labels: np.ndarray) -> np.ndarray:
    return cv2.resize(labels, (_TILE, _TILE), interpolation=cv2.INTER_NEAREST_EXACT)
