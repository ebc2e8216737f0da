"""Scores of each image by itself: files, and the worst and the best images for the report."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from gun_jax.data.classes import IGNORE
from gun_jax.metrics.confusion import ConfusionMatrix
from gun_jax.metrics.trimap import Trimap
from gun_jax.runs.image_counts import ImageCounts
from gun_jax.system.files import atomic_write


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
      names: the "id" of each image by its index.
      matrices: the counts of each image by its index, int64 (C, C).
    """

    def __init__(self, num_classes: int, trimap: bool = True):
        self.matrix = ConfusionMatrix(num_classes, IGNORE)
        self.trimap = Trimap(num_classes, ignore_label=IGNORE) if trimap else None
        self.images: list[ImageScore] = []
        self.names: dict[int, str] = {}
        self.matrices: dict[int, np.ndarray] = {}

    def add(self, record: dict, prediction: np.ndarray) -> None:
        """Adds an image.

        Args:
          record: "index" in the source, "id", and "label", integers (H, W).
          prediction: integers (H, W).
        """
        matrix = ConfusionMatrix(self.matrix.num_classes, IGNORE).update(record["label"], prediction)
        self.matrix.merge(matrix)
        if self.trimap is not None:
            self.trimap.update(record["label"], prediction)
        index = int(record["index"])
        self.names[index], self.matrices[index] = record["id"], matrix.counts
        if not np.isnan(matrix.miou()):
            self.images.append(ImageScore(matrix.miou(), index, matrix.accuracy()))

    def rows(self) -> list[dict[str, Any]]:
        """JSON values: "id", "miou" and "accuracy" (0 to 1) of each image that has them, in the order of the source."""
        ordered = sorted(self.images, key=lambda image: image.index)
        return [{"id": self.names[image.index], "miou": image.miou, "accuracy": image.accuracy} for image in ordered]

    def write(self, stem: pathlib.Path, names: Sequence[str], step: int) -> list[pathlib.Path]:
        """Writes `STEM-images.json`, the `rows`, and `STEM-images.npz`, the confusion matrices (see `ImageCounts`).

        Args:
          stem: path without the ending, e.g. "runs/camvid/evaluation/val".
          names: of the classes.
          step: of the checkpoint.

        Returns:
          Both paths.

        Raises:
          InputError: a file cannot be written.
        """
        paths = [stem.with_name(f"{stem.name}-images{ending}") for ending in (".json", ".npz")]
        atomic_write(paths[0], json.dumps(self.rows(), indent=2) + "\n")
        order = sorted(self.matrices)
        counts = np.stack([self.matrices[index] for index in order]) if order else self.matrix.counts[None][:0]
        ImageCounts([self.names[index] for index in order], counts, names, step).write(paths[1])
        return paths

    def worst_and_best(self, count: int) -> tuple[list[ImageScore], list[ImageScore]]:
        """The `count` worst images, the worst first, and the `count` best, the best first.

        With fewer than `2 * count` images, all of them are in the first list and none in the second.
        """
        ordered = sorted(self.images)
        if len(ordered) <= 2 * count:
            return ordered if count else [], []
        return ordered[:count], ordered[::-1][:count]
