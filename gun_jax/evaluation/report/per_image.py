"""What is kept of every image while a network is scored."""

import dataclasses

import numpy as np

from gun_jax.data.classes import IGNORE
from gun_jax.metrics.confusion import ConfusionMatrix
from gun_jax.metrics.trimap import Trimap


@dataclasses.dataclass(frozen=True, order=True)
class Scored:
    """An image: its mIoU, 0 to 1, and its place in the source. The order is from worst to best."""

    miou: float
    index: int


class PerImageScores:
    """Counts of all images, and the mIoU of each.

    The mIoU of an image is the mean of IoU over the classes that occur in its truth or in its prediction, of the
    pixels that count. An image of which no pixel counts has none.

    Attributes:
      matrix: of all images.
      trimap: of all images, or None if it was not asked for.
      images: those that have an mIoU, as they came.
    """

    def __init__(self, num_classes: int, trimap: bool = True):
        self.matrix = ConfusionMatrix(num_classes, IGNORE)
        self.trimap = Trimap(num_classes, ignore_label=IGNORE) if trimap else None
        self.images: list[Scored] = []

    def add(self, record: dict, prediction: np.ndarray) -> None:
        """Adds an image.

        Args:
          record: with its "index" in the source and its "label", integers (H, W).
          prediction: integers (H, W).
        """
        matrix = ConfusionMatrix(self.matrix.num_classes, IGNORE).update(record["label"], prediction)
        self.matrix.merge(matrix)
        if self.trimap is not None:
            self.trimap.update(record["label"], prediction)
        if not np.isnan(matrix.miou()):
            self.images.append(Scored(matrix.miou(), int(record["index"])))

    def worst_and_best(self, count: int) -> tuple[list[Scored], list[Scored]]:
        """The `count` worst images, the worst first, and the `count` best, the best first.

        Where there are not enough images for both, all are among the worst and none among the best.
        """
        ordered = sorted(self.images)
        if len(ordered) <= 2 * count:
            return ordered if count else [], []
        return ordered[:count], ordered[::-1][:count]
