"""The further measures of the Cityscapes benchmark: IoU of categories, and IoU weighted by instance.

Cordts et al., CVPR 2016, section 4.1. They equal those of the official `evalPixelLevelSemanticLabeling`, the source of
the average instance sizes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gun_jax.data.classes import CITYSCAPES, IGNORE
from gun_jax.errors import InputError
from gun_jax.metrics.confusion import ConfusionMatrix, mean_over_classes, none_for_nan, ratio

CATEGORIES = {
    "flat": ("road", "sidewalk"),
    "construction": ("building", "wall", "fence"),
    "object": ("pole", "traffic light", "traffic sign"),
    "nature": ("vegetation", "terrain"),
    "sky": ("sky",),
    "human": ("person", "rider"),
    "vehicle": ("car", "truck", "bus", "train", "motorcycle", "bicycle"),
}
# Pixels of an average instance of each class in the training set.
AVERAGE_SIZES = {
    "person": 3462.4756337644,
    "rider": 3930.4788056518,
    "car": 12794.0202738185,
    "truck": 27855.1264367816,
    "bus": 35732.1511111111,
    "train": 67583.7075812274,
    "motorcycle": 6298.7200839748,
    "bicycle": 4672.3249222261,
}
_INSTANCE = 1000  # instance ids are label id * 1000 + number; ids below 1000 are not single instances

_CATEGORY_OF = np.full(256, -1)  # by train id
for _index, _names in enumerate(CATEGORIES.values()):
    _CATEGORY_OF[[CITYSCAPES.names.index(name) for name in _names]] = _index


class InstanceCounts:
    """Pixels of instances, weighted so that each instance counts like one of average size.

    Attributes:
      hits, misses: float64 (19,), weighted pixels of instances by class, with the right and with a wrong prediction.
      category_hits, category_misses: float64 (7,), the same by category.
    """

    def __init__(self) -> None:
        classes, categories = len(CITYSCAPES), len(CATEGORIES)
        self.hits, self.misses = np.zeros(classes), np.zeros(classes)
        self.category_hits, self.category_misses = np.zeros(categories), np.zeros(categories)

    def update(self, instances: np.ndarray, prediction: np.ndarray) -> "InstanceCounts":
        """Adds an image.

        Args:
          instances: integers (H, W), the content of a file `gtFine_instanceIds.png`.
          prediction: integers (H, W), train ids.

        Raises:
          InputError: the shapes differ, or an id is an instance of a class without instances.
        """
        if instances.shape != prediction.shape:
            raise InputError(f"instances {instances.shape} and prediction {prediction.shape}; expected the same shape")
        there = instances > _INSTANCE
        numbers, index, sizes = np.unique(instances[there], return_inverse=True, return_counts=True)
        train_ids = CITYSCAPES.lookup()[np.minimum(numbers // _INSTANCE, IGNORE)]
        right = prediction[there] == train_ids[index]
        right_category = _CATEGORY_OF[prediction[there]] == _CATEGORY_OF[train_ids[index]]
        hits = np.bincount(index, right, len(numbers))
        category_hits = np.bincount(index, right_category, len(numbers))
        for number, train_id in enumerate(train_ids):
            if not 0 <= train_id < len(CITYSCAPES):
                continue  # caravans and trailers are not scored
            if CITYSCAPES.names[train_id] not in AVERAGE_SIZES:
                raise InputError(f"{numbers[number]} is an instance of {CITYSCAPES.names[train_id]}, which has none")
            category = _CATEGORY_OF[train_id]
            weight = AVERAGE_SIZES[CITYSCAPES.names[train_id]] / sizes[number]
            self.hits[train_id] += weight * hits[number]
            self.misses[train_id] += weight * (sizes[number] - hits[number])
            self.category_hits[category] += weight * category_hits[number]
            self.category_misses[category] += weight * (sizes[number] - category_hits[number])
        return self

    def iou(self, matrix: ConfusionMatrix) -> np.ndarray:
        """iIoU by class: float64 (19,), 0 to 1; NaN for classes without instances and absent classes.

        False positives count by their pixels, unweighted.
        """
        wrong = matrix.counts.sum(0) - np.diag(matrix.counts)
        known = np.isin(CITYSCAPES.names, list(AVERAGE_SIZES))
        return np.where(known, ratio(self.hits, self.hits + self.misses + wrong), np.nan)

    def category_iou(self, matrix: ConfusionMatrix) -> np.ndarray:
        """iIoU by category: float64 (7,), 0 to 1; NaN for those with a class without instances."""
        by_category = _category_counts(matrix)
        wrong = by_category.sum(0) - np.diag(by_category)
        known = [all(name in AVERAGE_SIZES for name in names) for names in CATEGORIES.values()]
        iou = ratio(self.category_hits, self.category_hits + self.category_misses + wrong)
        return np.where(known, iou, np.nan)


def category_iou(matrix: ConfusionMatrix) -> np.ndarray:
    """IoU of the categories, in the order of `CATEGORIES`: float64 (7,), 0 to 1; NaN for absent ones."""
    counts = _category_counts(matrix)
    hits = np.diag(counts)
    return ratio(hits, counts.sum(0) + counts.sum(1) - hits)


def cityscapes_scores(matrix: ConfusionMatrix, instances: InstanceCounts | None) -> dict[str, Any]:
    """The scores for JSON, by class or category, and their means; None without a value.

    Returns:
      "category_iou", "category_miou", and with instances "iiou", "miiou", "category_iiou" and
      "category_miiou".
    """
    scores = _named("category_iou", "category_miou", CATEGORIES, category_iou(matrix))
    if instances is not None:
        scores |= _named("iiou", "miiou", CITYSCAPES.names, instances.iou(matrix))
        scores |= _named("category_iiou", "category_miiou", CATEGORIES, instances.category_iou(matrix))
    return scores


def _named(by_name: str, mean: str, names: Sequence[str] | dict, values: np.ndarray) -> dict[str, Any]:
    each = {name: none_for_nan(value) for name, value in zip(names, values, strict=True)}
    return {by_name: each, mean: none_for_nan(mean_over_classes(values))}


def _category_counts(matrix: ConfusionMatrix) -> np.ndarray:
    """The confusion matrix of categories: int64 (7, 7)."""
    member = _CATEGORY_OF[: len(CITYSCAPES), None] == np.arange(len(CATEGORIES))
    return member.T.astype(np.int64) @ matrix.counts @ member
