"""The time that a network takes for an image on this device."""

import collections
import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from gun_jax.models.folding import fold_batch_norm
from gun_jax.ops.normalisation import normalise
from gun_jax.runs.loading import Trained
from gun_jax.system.timing import machine, time_in_turn

_MAX_IMAGES = 4
_SECONDS = 3.0  # of measuring, about
_MIN_ROUNDS, _MAX_ROUNDS = 3, 20


@dataclasses.dataclass(frozen=True)
class Speed:
    """Time from one image to its labels.

    Attributes:
      median, lowest, highest: seconds per image.
      runs: number of timed runs.
      size: (height, width) of the images.
      device: name of the device.
    """

    median: float
    lowest: float
    highest: float
    runs: int
    size: tuple[int, int]
    device: str


def measure_speed(trained: Trained, records: Sequence[dict]) -> Speed:
    """Times `predict` from pixels to labels in memory: one image at a time, batch norm folded, after warming up.

    It takes at most 4 images, of the most frequent size, in a new order each round.

    Args:
      trained: the network.
      records: one or more, with "image".
    """
    (size, _), *_ = collections.Counter(record["image"].shape[:2] for record in records).most_common()
    images = [record["image"] for record in records if record["image"].shape[:2] == size][:_MAX_IMAGES]
    variables = fold_batch_norm(trained.variables)

    @jax.jit
    def predict(variables: dict[str, Any], image: jax.Array) -> Any:
        return trained.model.apply(variables, normalise(image[None]), output_size=size, method="predict")

    runs = [functools.partial(lambda image: np.asarray(predict(variables, image)), image) for image in images]
    time_in_turn(runs, 1)  # compiles
    warm = time_in_turn(runs, 1).sum()
    seconds = time_in_turn(runs, int(np.clip(_SECONDS / warm, _MIN_ROUNDS, _MAX_ROUNDS)))
    return Speed(float(np.median(seconds)), float(seconds.min()), float(seconds.max()), seconds.size, size, machine())
