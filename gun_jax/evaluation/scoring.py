"""Scoring a network on a data set: images in batches through `predict`, labels at their own size."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import grain
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gun_jax.data.classes import IGNORE
from gun_jax.data.images import normalise
from gun_jax.data.sources import Source
from gun_jax.metrics.confusion import ConfusionMatrix
from gun_jax.models import GUN
from gun_jax.system.distributed import all_reduce_sum

_SIZES_WAITING = 4  # image sizes of which fewer than a batch has been read

Label = Callable[[np.ndarray, tuple[int, int]], np.ndarray]
Each = Callable[[dict, np.ndarray], None]


def score_labels(
    label: Label, num_classes: int, source: Source, batch_size: int, threads: int, each: Each | None = None
) -> ConfusionMatrix:
    """The confusion matrix of all records of a source, in the size of their labels; shared among the JAX processes.

    Args:
      label: gives integer (B, H', W') for images uint8 (B, H, W, 3) and the size (H', W').
      num_classes: how many labels there are.
      source: the data set.
      batch_size: images at a time, at most.
      threads: that read.
      each: is called with every record, which has its "index" in the source, and its labels.
    """
    matrix = ConfusionMatrix(num_classes, IGNORE)
    for records in _batches(source, batch_size, threads):
        images, labels = (np.stack([record[key] for record in records]) for key in ("image", "label"))
        predictions = label(images, labels.shape[1:])
        matrix.update(labels, predictions)
        for record, prediction in zip(records, predictions, strict=True):
            if each:
                each(record, prediction)
    matrix.counts = all_reduce_sum(matrix.counts)
    return matrix


def make_scorer(model: GUN, batch_size: int, threads: int) -> Callable[..., ConfusionMatrix]:
    """Builds `score(variables, source, each=None)`, which keeps what it has compiled, however often it is called.

    It is `score_labels` by the network's `predict`; a batch is shared among the devices of a process.
    """
    mesh = Mesh(np.asarray(jax.local_devices()), ("data",))
    whole, shared = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("data"))
    devices = mesh.size
    batch_size = -(-batch_size // devices) * devices
    compiled: dict[tuple, set[int]] = {}  # images a batch, by size of image and label

    @functools.partial(jax.jit, static_argnums=2, in_shardings=(whole, shared))
    def predict(variables: dict[str, Any], images: jax.Array, size: tuple[int, int]) -> Any:
        return model.apply(variables, normalise(images), output_size=size, method="predict")

    def score(variables: dict[str, Any], source: Source, each: Each | None = None) -> ConfusionMatrix:
        variables = jax.device_put(jax.device_get(variables), whole)

        def label(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
            # Filled up with black images if that spares compiling anew.
            counts = compiled.setdefault((images.shape[1:], size), set())
            count = min(
                (known for known in counts if known >= len(images)), default=-(-len(images) // devices) * devices
            )
            counts.add(count)
            padding = [(0, count - len(images))] + [(0, 0)] * 3
            return np.asarray(predict(variables, np.pad(images, padding), size))[: len(images)]

        return score_labels(label, model.num_classes, source, batch_size, threads, each)

    return score


def _batches(source: Source, batch_size: int, threads: int) -> Iterator[list[dict]]:
    """Records of this process's share, up to `batch_size` of one size at a time."""
    numbered = grain.MapDataset.source(source).map_with_index(lambda index, record: record | {"index": index})
    records = numbered[jax.process_index() :: jax.process_count()]
    reading = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * batch_size)
    waiting: dict[tuple, list[dict]] = {}
    for record in records.to_iter_dataset(reading):
        size = record["image"].shape, record["label"].shape
        waiting.setdefault(size, []).append(record)
        if len(waiting[size]) == batch_size:
            yield waiting.pop(size)
        elif len(waiting) > _SIZES_WAITING:
            yield waiting.pop(next(iter(waiting)))
    yield from waiting.values()
