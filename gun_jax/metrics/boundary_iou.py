"""Boundary IoU (Cheng et al., CVPR 2021): IoU of the pixels inside masks that are close to their contours."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from gun_jax.errors import InputError
from gun_jax.metrics.confusion import mean_over_classes, none_for_nan, ratio

SHARE_OF_DIAGONAL = 0.02  # the width of the band in the paper

_NEIGHBOURS = np.ones((3, 3), np.uint8)


class BoundaryIoU:
    """Counts of the pixels in the bands along the contours of the classes, in the truth and in the prediction.

    The band of a mask is what an erosion by d pixels, of 3x3 each, takes away, as in the authors' code: the border of
    the image is a contour. Ignored pixels count in no band, and a mask has no contour with an ignored region.

    Attributes:
      share: width d of the bands as a share of the image's diagonal; at least 1 pixel.
      intersection, union: int64 (C,), the pixels of each class that are in both bands, and in either.
    """

    def __init__(self, num_classes: int, share: float = SHARE_OF_DIAGONAL, ignore_label: int = 255):
        if not 0 < share <= 1:
            raise InputError(f"boundary IoU: bands of {share} of the diagonal; expected more than 0, and at most 1")
        self.share, self.ignore_label = share, ignore_label
        self.intersection = np.zeros(num_classes, np.int64)
        self.union = np.zeros(num_classes, np.int64)

    def update(self, label: np.ndarray, prediction: np.ndarray) -> "BoundaryIoU":
        """Adds an image.

        Args:
          label: integers (H, W), the truth, 0 to C - 1 or `ignore_label`.
          prediction: integers (H, W), 0 to C - 1 wherever the label counts.

        Raises:
          InputError: other shapes.
        """
        label, prediction = np.asarray(label), np.asarray(prediction)
        if label.ndim != 2 or label.shape != prediction.shape:
            raise InputError(f"boundary IoU of label {label.shape} and prediction {prediction.shape}; expected (H, W)")
        width = max(1, round(self.share * float(np.hypot(*label.shape))))
        ignored = label == self.ignore_label
        for class_id in np.union1d(label[~ignored], prediction[~ignored]):
            truth, found = (_band(there == class_id, ignored, width) for there in (label, prediction))
            self.intersection[class_id] += np.count_nonzero(truth & found)
            self.union[class_id] += np.count_nonzero(truth | found)
        return self

    def iou(self) -> np.ndarray:
        """Intersection over union by class: float64 (C,), 0 to 1; NaN for a class without a pixel in a band."""
        return ratio(self.intersection, self.union)

    def miou(self) -> float:
        """Mean of `iou` over the classes that have one; NaN if none has."""
        return mean_over_classes(self.iou())

    def scores(self, names: Sequence[str]) -> dict[str, Any]:
        """For JSON: "boundary_miou", "boundary_iou" by class name, None without a value; "boundary_share"."""
        iou = {name: none_for_nan(value) for name, value in zip(names, self.iou(), strict=True)}
        return {"boundary_miou": none_for_nan(self.miou()), "boundary_iou": iou, "boundary_share": self.share}


def _band(mask: np.ndarray, ignored: np.ndarray, width: int) -> np.ndarray:
    framed = np.pad((mask | ignored).astype(np.uint8), 1)
    inner = cv2.erode(framed, _NEIGHBOURS, iterations=width)[1:-1, 1:-1]
    return mask & ~ignored & (inner == 0)
