"""The confusion matrix, and IoU, mIoU and pixel accuracy from it, as the Cityscapes benchmark defines them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gun_jax.errors import InputError


class ConfusionMatrix:
    """Counts of pixels by true and predicted class.

    Attributes:
      counts: int64 (C, C); row: true class, column: predicted class.
      ignore_label: pixels with this label do not count.
    """

    def __init__(self, num_classes: int, ignore_label: int = 255):
        if num_classes < 1:
            raise InputError(f"confusion matrix of {num_classes} classes; expected 1 or more")
        self.counts = np.zeros((num_classes, num_classes), np.int64)
        self.ignore_label = ignore_label

    @property
    def num_classes(self) -> int:
        """C, the number of classes."""
        return len(self.counts)

    def update(self, labels: np.ndarray, predictions: np.ndarray) -> "ConfusionMatrix":
        """Adds label maps.

        Args:
          labels: integers of any shape, 0 to C - 1 or `ignore_label`.
          predictions: integers of the same shape, 0 to C - 1 wherever the label counts.

        Returns:
          This matrix.

        Raises:
          InputError: other shapes or other numbers; the counts are then unchanged.
        """
        labels, predictions = np.asarray(labels), np.asarray(predictions)
        if labels.shape != predictions.shape:
            raise InputError(f"labels {labels.shape} and predictions {predictions.shape}; expected the same shape")
        if labels.dtype.kind not in "iub" or predictions.dtype.kind not in "iub":
            raise InputError(f"labels of {labels.dtype} and predictions of {predictions.dtype}; expected whole numbers")
        counted = labels != self.ignore_label
        labels, predictions = labels[counted].astype(np.int64), predictions[counted].astype(np.int64)
        for what, numbers in (("labels", labels), ("predictions", predictions)):
            if numbers.size and not 0 <= numbers.min() <= numbers.max() < self.num_classes:
                strange = numbers.min() if numbers.min() < 0 else numbers.max()
                raise InputError(f"{what} hold {strange}; expected 0 to {self.num_classes - 1}")
        pairs = np.bincount(labels * self.num_classes + predictions, minlength=self.counts.size)
        self.counts += pairs.reshape(self.counts.shape)
        return self

    def merge(self, other: "ConfusionMatrix") -> "ConfusionMatrix":
        """Adds the counts of another matrix, and returns this one.

        Raises:
          InputError: it has another number of classes.
        """
        if self.num_classes != other.num_classes:
            raise InputError(f"merging matrices of {self.num_classes} and of {other.num_classes} classes")
        self.counts += other.counts
        return self

    def iou(self) -> np.ndarray:
        """Intersection over union by class: float64 (C,), 0 to 1, NaN for a class neither present nor predicted."""
        hits = np.diag(self.counts)
        return ratio(hits, self.counts.sum(0) + self.counts.sum(1) - hits)

    def miou(self) -> float:
        """Mean of `iou` over the classes that have one; NaN if none has."""
        return mean_over_classes(self.iou())

    def accuracy(self) -> float:
        """Fraction of the counted pixels with the right class, 0 to 1; NaN if no pixel counts."""
        return float(ratio(np.trace(self.counts), self.counts.sum()))

    def scores(self, names: Sequence[str]) -> dict[str, Any]:
        """The scores for JSON: "miou", "accuracy" and "iou" by class name; None without a value."""
        iou = {name: none_for_nan(value) for name, value in zip(names, self.iou(), strict=True)}
        return {"miou": none_for_nan(self.miou()), "accuracy": none_for_nan(self.accuracy()), "iou": iou}


def mean_over_classes(values: np.ndarray) -> float:
    """Mean of the values (C,) without NaNs; NaN if all are."""
    return float(np.mean(values[~np.isnan(values)])) if not np.isnan(values).all() else float("nan")


def none_for_nan(value: float) -> float | None:
    """A number for JSON, which has no NaN: then None."""
    return None if math.isnan(value) else float(value)


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole as float64, NaN for 0 / 0."""
    with np.errstate(invalid="ignore"):
        return np.divide(part, whole, dtype=np.float64)
