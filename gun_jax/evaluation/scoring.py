"""Scores of a network on a data set: images in batches, labels at their own size."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import grain
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gun_jax.data.classes import IGNORE
from gun_jax.data.sources import Source
from gun_jax.evaluation.views import ONE_VIEW, Views
from gun_jax.metrics.confusion import ConfusionMatrix
from gun_jax.models import GUN
from gun_jax.ops.normalisation import normalise
from gun_jax.system.distributed import all_reduce_sum

_MAX_PARTIAL_BATCHES = 4  # sizes of images that wait for a full batch

Label = Callable[[np.ndarray, tuple[int, int]], np.ndarray]
Each = Callable[[dict, np.ndarray], None]


def score_labels(
    label: Label, num_classes: int, source: Source, batch_size: int, threads: int, each: Each | None = None
) -> ConfusionMatrix:
    """The confusion matrix of all records of a source, at the size of their labels; the JAX processes share the work.

    Args:
      label: function from images uint8 (B, H, W, 3) and a size (H', W') to integer labels (B, H', W').
      num_classes: number of classes.
      source: the data set.
      batch_size: largest number of images in a batch.
      threads: number of reader threads.
      each: called with each record, to which "index" is added, its index in the source, and its predicted labels.
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


def make_scorer(model: GUN, batch_size: int, threads: int, views: Views = ONE_VIEW) -> Callable[..., ConfusionMatrix]:
    """Builds `score(variables, source, each=None)`: `score_labels` with the network's labels, compiled once.

    The devices of a process share a batch.
    """
    mesh = Mesh(np.asarray(jax.local_devices()), ("data",))
    replicated, sharded = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("data"))
    devices = mesh.size
    batch_size = -(-batch_size // devices) * devices
    compiled: dict[tuple, set[int]] = {}  # batch sizes by the sizes of image and label

    @functools.partial(jax.jit, static_argnums=2, in_shardings=(replicated, sharded))
    def predict(variables: dict[str, Any], images: jax.Array, size: tuple[int, int]) -> Any:
        return views.label(model, variables, normalise(images), size)

    def score(variables: dict[str, Any], source: Source, each: Each | None = None) -> ConfusionMatrix:
        variables = jax.device_put(jax.device_get(variables), replicated)

        def label(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
            # Black images fill up the batch where a larger one is compiled already.
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
    """The records of this process, up to `batch_size` of one size at a time."""
    numbered = grain.MapDataset.source(source).map_with_index(lambda index, record: record | {"index": index})
    records = numbered[jax.process_index() :: jax.process_count()]
    reading = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * batch_size)
    waiting: dict[tuple, list[dict]] = {}
    for record in records.to_iter_dataset(reading):
        size = record["image"].shape, record["label"].shape
        waiting.setdefault(size, []).append(record)
        if len(waiting[size]) == batch_size:
            yield waiting.pop(size)
        elif len(waiting) > _MAX_PARTIAL_BATCHES:
            yield waiting.pop(next(iter(waiting)))
    yield from waiting.values()
