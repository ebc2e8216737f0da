"""The scores of a report as rows: classes, categories, confusions."""

import dataclasses
import math
from typing import Any

import numpy as np

from gun_jax.data.classes import ClassMap
from gun_jax.metrics.confusion import ConfusionMatrix, none_for_nan


@dataclasses.dataclass(frozen=True)
class ClassRow:
    """A class, or a category: fractions from 0 to 1, None where there is no value.

    Attributes:
      name: of the class.
      color: "#804080"; "" for a category.
      iou: intersection over union.
      weighted_iou: iIoU of Cityscapes.
      precision: of the pixels that were given to the class, how many are of it.
      recall: of the pixels of the class, how many were found.
      share: of all pixels that count, how many are of the class.
    """

    name: str
    color: str
    iou: float | None
    weighted_iou: float | None
    precision: float | None = None
    recall: float | None = None
    share: float | None = None


def class_rows(matrix: ConfusionMatrix, scores: dict[str, Any], classes: ClassMap) -> list[ClassRow]:
    """A row for each class, in the order of the class map.

    Args:
      matrix: of all images.
      scores: what `gun_jax.evaluation.evaluate.evaluate` returns.
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
        )
        for index, name in enumerate(classes.names)
    ]


def category_rows(scores: dict[str, Any]) -> list[ClassRow]:
    """A row for each category of Cityscapes; none for other data."""
    weighted = scores.get("category_iiou", {})
    return [ClassRow(name, "", iou, weighted.get(name)) for name, iou in scores.get("category_iou", {}).items()]


def weakest(rows: list[ClassRow], most: int = 3) -> list[ClassRow]:
    """The classes of the lowest IoU of those that occur in the truth, the lowest first; of equal ones the larger."""
    return sorted((row for row in rows if row.share), key=lambda row: (row.iou or 0, -(row.share or 0)))[:most]


@dataclasses.dataclass(frozen=True)
class Cell:
    """A number of the confusion matrix that is not 0.

    Attributes:
      pixels: of the row's class that were taken for the column's.
      percent: of the pixels of the row's class, as text; "" below half a percent.
      strength: of its colour, 0 to 100. The root of the share, so that a few percent are seen.
      right: whether row and column are one class.
    """

    pixels: int
    percent: str
    strength: int
    right: bool


def confusion_rows(matrix: ConfusionMatrix) -> list[list[Cell | None]]:
    """The confusion matrix, each row as shares of its class: (C, C) cells, None where there is no pixel."""

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
    """Pixels of one class that were taken for another: `of_class` and `of_errors` are fractions, 0 to 1."""

    truth: str
    prediction: str
    pixels: int
    of_class: float
    of_errors: float


def largest_confusions(matrix: ConfusionMatrix, classes: ClassMap, most: int = 8) -> list[Confusion]:
    """The pairs of classes with the most wrong pixels, at most `most`, the largest first."""
    wrong = matrix.counts * (1 - np.eye(matrix.num_classes, dtype=np.int64))
    found = []
    for place in np.argsort(-wrong, axis=None, kind="stable")[:most]:
        truth, prediction = np.unravel_index(place, wrong.shape)
        pixels = int(wrong[truth, prediction])
        if pixels:
            of_class = pixels / int(matrix.counts[truth].sum())
            names = classes.names[truth], classes.names[prediction]
            found.append(Confusion(*names, pixels, of_class, pixels / int(wrong.sum())))
    return found


def hex_color(color: tuple[int, int, int]) -> str:
    """ "#804080" of (128, 64, 128)."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def _ratio(part: int, whole: int) -> float | None:
    return none_for_nan(part / whole) if whole else None
