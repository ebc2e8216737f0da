"""The trimap experiment (section 5, Figure 4a): IoU of the pixels near the boundaries of the ground truth."""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from gun_jax.errors import InputError
from gun_jax.metrics.confusion import mean_over_classes, ratio

DISTANCES = (1, 2, 3, 5, 7, 10, 15, 20, 30, 40)  # pixels


class Trimap:
    """Counts of pixels by class and by distance from the boundary of that class in the ground truth.

    As in the paper, distance transforms of the ground truth are taken for each class by itself. The distance is that to
    the nearest pixel of another class inside the class, and to the nearest pixel of the class outside it: pixels on
    either side of a boundary have distance 1. Ignored pixels are not another class: an object has no boundary with an
    ignored region. A class that is absent from an image has no boundary in it.

    Attributes:
      distances: float64 (D,), the thresholds d in pixels, ascending.
      intersection, union: int64 (D, C), the pixels within distance d of the boundary of class c that are c in
        both maps, and in either.
    """

    def __init__(self, num_classes: int, distances: Sequence[float] = DISTANCES, ignore_label: int = 255):
        """Starts with no pixels.

        Raises:
          InputError: the distances are not positive and ascending.
        """
        steps = np.asarray(distances, np.float64)
        if steps.ndim != 1 or not steps.size or not steps[0] > 0 or not (np.diff(steps) > 0).all():
            raise InputError(f"trimap distances {distances!r}; expected positive and ascending pixels, e.g. (1, 2, 5)")
        self.distances = steps
        self.ignore_label = ignore_label
        self.intersection = np.zeros((steps.size, num_classes), np.int64)
        self.union = np.zeros((steps.size, num_classes), np.int64)

    @property
    def num_classes(self) -> int:
        """C, the number of classes."""
        return self.union.shape[1]

    def update(self, label: np.ndarray, prediction: np.ndarray) -> "Trimap":
        """Adds an image.

        Args:
          label: integers (H, W), the truth, 0 to C - 1 or `ignore_label`.
          prediction: integers (H, W), 0 to C - 1 wherever the label counts.

        Returns:
          This trimap.

        Raises:
          InputError: other shapes or other numbers; the counts are then unchanged.
        """
        label, prediction = np.asarray(label), np.asarray(prediction)
        if label.ndim != 2 or label.shape != prediction.shape:
            raise InputError(f"trimap of label {label.shape} and prediction {prediction.shape}; expected one (H, W)")
        counted = label != self.ignore_label
        for what, numbers in (("label", label[counted]), ("prediction", prediction[counted])):
            if numbers.size and not 0 <= numbers.min() <= numbers.max() < self.num_classes:
                strange = numbers.min() if numbers.min() < 0 else numbers.max()
                raise InputError(f"trimap: {what} holds {strange}; expected 0 to {self.num_classes - 1}")
        for class_id in np.unique(label[counted]):
            self._add_class(int(class_id), label, prediction, counted)
        return self

    def _add_class(self, class_id: int, label: np.ndarray, prediction: np.ndarray, counted: np.ndarray) -> None:
        near = _around(label == class_id, int(np.ceil(self.distances[-1])))
        label, prediction, counted = label[near], prediction[near], counted[near]
        there, found = label == class_id, (prediction == class_id) & counted
        either = there | found
        # The number of thresholds below each distance; the last bin is beyond all.
        beyond = np.searchsorted(self.distances, _distance(there, counted & ~there)[either])
        for counts, chosen in ((self.intersection, (there & found)[either]), (self.union, slice(None))):
            bins = np.bincount(beyond[chosen], minlength=self.distances.size + 1)
            counts[:, class_id] += bins[:-1].cumsum()

    def merge(self, other: "Trimap") -> "Trimap":
        """Adds the counts of another one, and returns this one.

        Raises:
          InputError: it has other distances or another number of classes.
        """
        if self.num_classes != other.num_classes or not np.array_equal(self.distances, other.distances):
            raise InputError("merging trimaps of other classes or distances")
        self.intersection += other.intersection
        self.union += other.union
        return self

    def iou(self) -> np.ndarray:
        """Intersection over union by distance and class: float64 (D, C), 0 to 1; NaN for a class without a pixel."""
        return ratio(self.intersection, self.union)

    def miou(self) -> np.ndarray:
        """Mean of `iou` over the classes that have one: float64 (D,), 0 to 1; NaN where none has."""
        return np.array([mean_over_classes(row) for row in self.iou()])


def trimap_curve(
    labels: Iterable[np.ndarray],
    predictions: Iterable[np.ndarray],
    num_classes: int,
    distances: Sequence[float] = DISTANCES,
    ignore_label: int = 255,
) -> np.ndarray:
    """mIoU of the pixels at most d away from a boundary, for each d (section 5, Figure 4a); see `Trimap`.

    Args:
      labels: integer (H, W) maps of the truth, 0 to num_classes - 1 or `ignore_label`; an array (N, H, W) is fine.
      predictions: as many maps of the same sizes.
      num_classes: number of classes.
      distances: the thresholds d, in pixels, ascending.
      ignore_label: pixels of this label do not count.

    Returns:
      Float64 (len(distances),), 0 to 1; NaN where no class has a boundary.

    Raises:
      InputError: a `ValueError`; maps or distances are not as above.
    """
    trimap = Trimap(num_classes, distances, ignore_label)
    pairs = zip(labels, predictions, strict=True)
    try:
        for label, prediction in pairs:
            trimap.update(label, prediction)
    except InputError:
        raise
    except ValueError as error:  # of zip
        raise InputError("trimap_curve: not as many predictions as labels") from error
    return trimap.miou()


def _around(there: np.ndarray, margin: int) -> tuple[slice, slice]:
    """The bounding box of a class with a margin, which is all that the distance transforms need."""
    rows, columns = np.flatnonzero(there.any(1)), np.flatnonzero(there.any(0))
    top, left = max(0, rows[0] - margin), max(0, columns[0] - margin)
    return slice(top, rows[-1] + margin + 1), slice(left, columns[-1] + margin + 1)


def _distance(there: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The distance of each pixel from the boundary between two sets of pixels: float32 (H, W), in pixels."""
    to_other, to_there = (
        cv2.distanceTransform((~target).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        for target in (other, there)
    )
    return np.where(there, to_other, to_there)
