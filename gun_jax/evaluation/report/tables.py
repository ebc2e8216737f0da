"""The tables of a report: classes, categories, confusion matrix, largest confusions."""

import dataclasses
import math
from typing import Any

import numpy as np

from gun_jax.data.classes import ClassMap
from gun_jax.metrics.confusion import ConfusionMatrix, none_for_nan


@dataclasses.dataclass(frozen=True)
class ClassRow:
    """Scores of a class or a category: fractions, or None without a value.

    Attributes:
      name: name of the class.
      color: e.g. "#804080"; "" for a category.
      iou: intersection over union.
      weighted_iou: iIoU of Cityscapes.
      precision: fraction of the pixels predicted as the class that belong to it.
      recall: fraction of the pixels of the class that are predicted as it.
      share: fraction of all pixels that belong to the class; ignored pixels do not count.
      boundary_iou: Boundary IoU, if it was computed.
    """

    name: str
    color: str
    iou: float | None
    weighted_iou: float | None
    precision: float | None = None
    recall: float | None = None
    share: float | None = None
    boundary_iou: float | None = None


def class_rows(matrix: ConfusionMatrix, scores: dict[str, Any], classes: ClassMap) -> list[ClassRow]:
    """A row for each class, in the order of the class map.

    Args:
      matrix: confusion matrix of all images.
      scores: the result of `gun_jax.evaluation.evaluate.evaluate`.
      classes: names and colours.
    """
    hits, truth, predicted = np.diag(matrix.counts), matrix.counts.sum(1), matrix.counts.sum(0)
    total = int(truth.sum())
    return [
        ClassRow(
            name,
            hex_color(classes.colors[index]),
            scores["iou"][name],
            scores.get("iiou", {}).get(name),
            precision=_ratio(hits[index], predicted[index]),
            recall=_ratio(hits[index], truth[index]),
            share=_ratio(truth[index], total),
            boundary_iou=scores.get("boundary_iou", {}).get(name),
        )
        for index, name in enumerate(classes.names)
    ]


def category_rows(scores: dict[str, Any]) -> list[ClassRow]:
    """A row for each category of Cityscapes; none for other data sets."""
    weighted = scores.get("category_iiou", {})
    return [ClassRow(name, "", iou, weighted.get(name)) for name, iou in scores.get("category_iou", {}).items()]


def weakest(rows: list[ClassRow], count: int = 3) -> list[ClassRow]:
    """The classes in the truth with the lowest IoU, the lowest first, the larger first among equals."""
    return sorted((row for row in rows if row.share), key=lambda row: (row.iou or 0, -(row.share or 0)))[:count]


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix that is not 0.

    Attributes:
      pixels: number of pixels of the row's class that are predicted as the column's.
      percent: share of the row's pixels, as text; "" below half a percent.
      strength: strength of its colour, 0 to 100: the root of the share, so that a few percent are visible.
      right: whether row and column are the same class.
    """

    pixels: int
    percent: str
    strength: int
    right: bool


def confusion_rows(matrix: ConfusionMatrix) -> list[list[Cell | None]]:
    """The cells (C, C) of the confusion matrix, None without a pixel; shares are those of the row."""

    def cell(pixels: int, total: int, right: bool) -> Cell | None:
        if not pixels:
            return None
        share = pixels / total
        percent = f"{100 * share:.0f}" if share >= 0.005 else ""
        return Cell(pixels, percent, max(1, round(100 * math.sqrt(share))), right)

    return [
        [cell(pixels, sum(counts), row == column) for column, pixels in enumerate(counts)]
        for row, counts in enumerate(matrix.counts.tolist())
    ]


@dataclasses.dataclass(frozen=True)
class Confusion:
    """Pixels of one class predicted as another: their number, and as fractions of the class and of all errors."""

    truth: str
    prediction: str
    pixels: int
    of_class: float
    of_errors: float


def largest_confusions(matrix: ConfusionMatrix, classes: ClassMap, count: int = 8) -> list[Confusion]:
    """The pairs of classes with the most wrong pixels, at most `count`, the largest first."""
    wrong = matrix.counts * (1 - np.eye(matrix.num_classes, dtype=np.int64))
    found = []
    for place in np.argsort(-wrong, axis=None, kind="stable")[:count]:
        truth, prediction = np.unravel_index(place, wrong.shape)
        pixels = int(wrong[truth, prediction])
        if pixels:
            of_class = pixels / int(matrix.counts[truth].sum())
            names = classes.names[truth], classes.names[prediction]
            found.append(Confusion(*names, pixels, of_class, pixels / int(wrong.sum())))
    return found


def hex_color(color: tuple[int, int, int]) -> str:
    """The CSS colour of (r, g, b), e.g. "#804080" of (128, 64, 128)."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def _ratio(part: int, whole: int) -> float | None:
    return none_for_nan(part / whole) if whole else None
