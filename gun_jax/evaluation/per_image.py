"""Scores of each image by itself, for the worst and the best images of the report."""

import dataclasses
from typing import Any

import numpy as np

from gun_jax.data.classes import IGNORE
from gun_jax.metrics.confusion import ConfusionMatrix
from gun_jax.metrics.trimap import Trimap


@dataclasses.dataclass(frozen=True, order=True)
class ImageScore:
    """mIoU of an image, 0 to 1, its index in the source, and its pixel accuracy. The order is from worst to best."""

    miou: float
    index: int
    accuracy: float


class PerImageScores:
    """The mIoU of each image, and the counts of all.

    The mIoU of an image is the mean IoU over the classes in its truth or its prediction, without ignored pixels. An
    image whose pixels are all ignored has none.

    Attributes:
      matrix: the confusion matrix of all images.
      trimap: the trimap of all images, or None.
      images: the score of each image that has one, in the order of `add`.
    """

    def __init__(self, num_classes: int, trimap: bool = True):
        self.matrix = ConfusionMatrix(num_classes, IGNORE)
        self.trimap = Trimap(num_classes, ignore_label=IGNORE) if trimap else None
        self.images: list[ImageScore] = []
        self.names: dict[int, str] = {}

    def add(self, record: dict, prediction: np.ndarray) -> None:
        """Adds an image.

        Args:
          record: "index" in the source and "label", integers (H, W).
          prediction: integers (H, W).
        """
        matrix = ConfusionMatrix(self.matrix.num_classes, IGNORE).update(record["label"], prediction)
        self.matrix.merge(matrix)
        if self.trimap is not None:
            self.trimap.update(record["label"], prediction)
        if not np.isnan(matrix.miou()):
            self.images.append(ImageScore(matrix.miou(), int(record["index"]), matrix.accuracy()))
            self.names[int(record["index"])] = record["id"]

    def rows(self) -> list[dict[str, Any]]:
        """JSON values: "id", "miou" and "accuracy" (0 to 1) of each image that has them, in the order of the source."""
        ordered = sorted(self.images, key=lambda image: image.index)
        return [{"id": self.names[image.index], "miou": image.miou, "accuracy": image.accuracy} for image in ordered]

    def worst_and_best(self, count: int) -> tuple[list[ImageScore], list[ImageScore]]:
        """The `count` worst images, the worst first, and the `count` best, the best first.

        With fewer than `2 * count` images, all of them are in the first list and none in the second.
        """
        ordered = sorted(self.images)
        if len(ordered) <= 2 * count:
            return ordered if count else [], []
        return ordered[:count], ordered[::-1][:count]
