"""The input pipeline of training: source, order, augmentation, this process's share, batches, workers.

Order and augmentation depend only on the seed and the number of the record. The position is the number of batches
consumed, for any number of workers or processes, so a resumed run continues with the next batch.
"""

import multiprocessing
import os
import signal
import threading

import grain
import numpy as np
from absl import flags
from ml_collections import ConfigDict

from gun_jax.data import appearance
from gun_jax.data.augment import RandomCrop, RandomFlip, RandomScale
from gun_jax.data.skip_bad import SkippingSource
from gun_jax.data.sources import Source
from gun_jax.errors import InputError

_CHECKED = 8  # images that a crop is compared with
_EPOCHS = 1_000_000  # more than any run has; Grain's endless repetition cannot be cut into batches of 1


def augmentations(data: ConfigDict, source: Source) -> list[grain.transforms.RandomMap]:
    """The transformations that the `data` section of a configuration asks for, in order.

    Lighting jitter reads some images of the source for the covariance of their colours.
    """
    transforms: list[grain.transforms.RandomMap] = []
    if data.random_scale:
        transforms.append(RandomScale(*data.random_scale, data.random_scale_distribution))
    if data.crop or data.random_scale:
        transforms.append(RandomCrop(tuple(data.crop), data.rare_crops))
    if data.flip:
        transforms.append(RandomFlip())
    if data.color_jitter:
        transforms.append(appearance.ColorJitter(data.color_jitter))
    if data.lighting_jitter:
        covariance = appearance.color_covariance(source).tolist()
        transforms.append(appearance.LightingJitter(data.lighting_jitter, covariance))
    if data.gamma_jitter:
        transforms.append(appearance.GammaJitter(data.gamma_jitter))
    if data.grey:
        transforms.append(appearance.Grey(data.grey))
    if data.blur:
        transforms.append(appearance.Blur(data.blur))
    if data.noise:
        transforms.append(appearance.Noise(data.noise))
    if data.jpeg_quality:
        transforms.append(appearance.JpegArtefacts(data.jpeg_quality))
    return transforms


def training_batches(
    source: Source,
    data: ConfigDict,
    batch_size: int,
    seed: int,
    start: int = 0,
    process: tuple[int, int] = (0, 1),
) -> grain.DatasetIterator[dict]:
    """Endless batches for training.

    Args:
      source: the data set, shuffled anew in every epoch.
      data: the `data` section of a configuration.
      batch_size: records in a batch of all processes together.
      seed: for order and augmentation.
      start: number of batches to skip, the step at which a run resumes.
      process: (index, count) of the JAX processes that share the batch.

    Returns:
      An iterator, to be closed after use, over `{"image": uint8 (b, H, W, 3), "label": uint8 (b, H, W)}` with
      b = batch_size / count, "id", the names of the b records, and "skipped", an error message for each record that
      `data.on_bad_record="skip"` skipped.

    Raises:
      InputError: the batch cannot be divided among the processes, or the crop is larger than the images; or, while
        iterating, the source raises it for a record.
    """
    index, count = process
    if not len(source):
        raise InputError(f"{source} is empty; expected at least one image")
    if batch_size < 1 or batch_size % count:
        raise InputError(f"config.batch_size is {batch_size}; expected a multiple of the {count} processes")
    if data.on_bad_record == "skip":
        source = SkippingSource(source)
    records = grain.MapDataset.source(source).seed(seed).shuffle().repeat(_EPOCHS, reseed_each_epoch=True)
    if data.crop:
        _check_crop(data, source)
    for transform in augmentations(data, source):
        records = records.random_map(transform)
    # Process p takes records p, p + count, ... so that the global batch holds the same records for any count.
    batches = records.slice(slice(index, None, count)).batch(batch_size // count, batch_fn=_stack)
    reading = grain.ReadOptions(num_threads=data.threads, prefetch_buffer_size=data.prefetch)
    iterator = batches.slice(slice(start, None)).to_iter_dataset(reading)
    if data.workers:
        if not flags.FLAGS.is_parsed():  # Grain reads its own flags, which no program may have parsed here
            flags.FLAGS.mark_as_parsed()
        workers = grain.MultiprocessingOptions(num_workers=data.workers)
        iterator = iterator.mp_prefetch(workers, worker_init_fn=_ignore_signals)
    return iter(iterator)


def _ignore_signals(*_: int) -> None:  # index and number of the workers
    """In a worker process: a terminal or a cluster signals all processes, and only the training answers."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(0)  # the training was killed


def _check_crop(data: ConfigDict, source: Source) -> None:
    """Refuses a crop that is higher and wider than some checked images, enlarged as far as `random_scale` can."""
    enlarged = data.random_scale[1] if data.random_scale else 1.0
    largest = (0, 0)
    for index in range(0, len(source), max(1, len(source) // _CHECKED)):
        size = source[index]["label"].shape
        if size[0] * enlarged >= data.crop[0] or size[1] * enlarged >= data.crop[1]:
            return  # usually the first image
        largest = max(largest, size)
    raise InputError(
        f"config.data.crop is {tuple(data.crop)}; expected a height or a width of at most {enlarged:g} times "
        f"those of the images, which are up to {largest} in {source}; a larger crop is mostly padding"
    )


def _stack(records: list[dict]) -> dict:
    sizes = {record["label"].shape for record in records}
    if len(sizes) > 1:
        raise InputError(
            f"images of one batch differ in size, {sorted(sizes)[:3]} (height, width); set config.data.crop"
        )
    arrays = {key: np.stack([record[key] for record in records]) for key in ("image", "label")}
    skipped = [reason for record in records for reason in record.get("skipped", ())]
    return arrays | {"id": [record["id"] for record in records], "skipped": skipped}
