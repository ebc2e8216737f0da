"""The input pipeline beside `cv2.imread` of the same files: images a second, decoded and augmented, and bare."""

import contextlib
import pathlib
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from gun_jax.configuration import ConfigDict
from gun_jax.data.classes import CITYSCAPES, ClassMap
from gun_jax.data.folders import FolderSource
from gun_jax.data.pipeline import training_batches
from gun_jax.data.synthetic import SyntheticScenes

BATCH = 8
_LEAST_BATCHES = 12  # several a thread


def pipeline_ratio(source: FolderSource, data: ConfigDict, rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """Images a second of the pipeline and of bare decoding, in turn: float64 (rounds,) each.

    Both read as many pictures, with their labels, by as many threads: the source once, or until there are 12 batches.

    Args:
      source: pictures and labels in folders.
      data: the `data` section of a configuration.
      rounds: how many.
    """
    batches = max(_LEAST_BATCHES, len(source) // BATCH)
    order = [index % len(source) for index in range(batches * BATCH)]
    ours, bare = np.zeros(rounds), np.zeros(rounds)
    for number in range(rounds):
        iterator = training_batches(source, data, BATCH, seed=number)
        with contextlib.closing(iterator):
            start = time.perf_counter()
            for _ in range(batches):
                next(iterator)
            ours[number] = batches * BATCH / (time.perf_counter() - start)
        with ThreadPoolExecutor(data.threads) as pool:
            start = time.perf_counter()
            for _ in pool.map(lambda index: _read(source.paths(index)), order):
                pass
            bare[number] = len(order) / (time.perf_counter() - start)
    return ours, bare


def _read(paths: list[pathlib.Path]) -> None:
    for path in paths:
        cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


@contextlib.contextmanager
def drawn_pictures(count: int, size: tuple[int, int]) -> Iterator[FolderSource]:
    """Drawn street scenes in PNG files, of (height, width), in a folder that goes again."""
    scenes = SyntheticScenes(count, size, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        images, labels = pathlib.Path(folder, "images"), pathlib.Path(folder, "labels")
        for part in (images, labels):
            part.mkdir()
        for index in range(count):
            scene = scenes[index]
            noise = np.random.default_rng(index).normal(0, 3, scene["image"].shape)  # a sensor's, which PNG has to keep
            image = np.clip(scene["image"] + noise, 0, 255).astype(np.uint8)
            cv2.imwrite(str(images / f"{index}.png"), image[..., ::-1])
            cv2.imwrite(str(labels / f"{index}.png"), scene["label"])
        yield FolderSource(images, labels, ClassMap(CITYSCAPES.names, CITYSCAPES.colors))
