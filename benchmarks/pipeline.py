"""The input pipeline: its images per second beside those of `cv2.imread`, and how long training waits for it."""

import contextlib
import json
import pathlib
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from benchmarks.startup import run_program
from gun_jax.configuration import ConfigDict
from gun_jax.data.classes import CITYSCAPES
from gun_jax.data.folders import FolderSource
from gun_jax.data.pipeline import training_batches
from gun_jax.data.synthetic import SyntheticScenes
from gun_jax.runs.rows import read_rows
from gun_jax.runs.workdir import METRICS

BATCH = 8
_MIN_BATCHES = 12  # several for each thread
_SHORT_TRAINING = (
    "--config.steps=20",
    "--config.log_every_steps=5",
    "--config.optimizer.warmup_epochs=0.0",
    "--config.eval_every_epochs=0.0",
)


def pipeline_ratio(source: FolderSource, data: ConfigDict, rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """Images per second of the pipeline and of bare decoding, in turn: float64 (rounds,) each.

    Both read the same images with their labels, by the same number of threads: the source once, or at least 12 batches.

    Args:
      source: images and labels in folders.
      data: the `data` section of a configuration.
      rounds: number of rounds.
    """
    batches = max(_MIN_BATCHES, len(source) // BATCH)
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


def waiting_share(root: pathlib.Path, *settings: str) -> np.ndarray:
    """The share of the time that `train.py` waits for batches, for each 5 steps after the first 5: float64.

    Args:
      root: folder of train.py.
      settings: arguments of train.py.
    """
    with tempfile.TemporaryDirectory() as workdir:
        run_program(root, "train.py", *settings, *_SHORT_TRAINING, f"--workdir={workdir}")
        rows = read_rows(pathlib.Path(workdir, METRICS))
    return np.asarray([row["waiting"] for row in rows if row.get("waiting") is not None][1:])


@contextlib.contextmanager
def drawn_images(count: int, size: tuple[int, int]) -> Iterator[pathlib.Path]:
    """A temporary folder of drawn street scenes for configs/folder.py: PNG files of (height, width).

    Split "train" has `count` scenes, "val" has one.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        classes = zip(CITYSCAPES.names, CITYSCAPES.colors, strict=True)
        content = {"classes": [{"name": name, "color": color} for name, color in classes]}
        (root / "classes.json").write_text(json.dumps(content))
        for seed, (split, length) in enumerate((("train", count), ("val", 1))):
            scenes = SyntheticScenes(length, size, seed)
            for part in ("images", "labels"):
                (root / split / part).mkdir(parents=True)
            for index in range(length):
                scene = scenes[index]
                # Noise like that of a sensor: without it PNG files would be smaller than those of a camera.
                noise = np.random.default_rng(index).normal(0, 3, scene["image"].shape)
                image = np.clip(scene["image"] + noise, 0, 255).astype(np.uint8)
                cv2.imwrite(str(root / split / "images" / f"{index}.png"), image[..., ::-1])
                cv2.imwrite(str(root / split / "labels" / f"{index}.png"), scene["label"])
        yield root
