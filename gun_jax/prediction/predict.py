"""Labels inputs; threads read the next frames and write the last results meanwhile."""

import collections
import dataclasses
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import rich.console
import rich.progress

from gun_jax.data.classes import ClassMap
from gun_jax.prediction.frames import Frame, FramesAhead, frame_count
from gun_jax.prediction.inputs import Input
from gun_jax.prediction.results import Painter, Results
from gun_jax.prediction.segmenter import Segmenter, enlarge
from gun_jax.prediction.window import Window

_MAX_CLASSES = 4  # printed for an image
_MIN_SHARE = 0.01  # classes with fewer pixels are not printed


@dataclasses.dataclass
class Counts:
    """Outcome of `predict`.

    Attributes:
      frames: number of labelled frames.
      timed: number of frames after the first batch, which compiles.
      seconds: time of the latter, with reading and writing.
      refused: a message for each input that could not be read.
    """

    frames: int = 0
    timed: int = 0
    seconds: float = 0.0
    refused: list[str] = dataclasses.field(default_factory=list)


def predict(
    segmenter: Segmenter,
    inputs: Sequence[Input],
    results: Results,
    painter: Painter,
    console: rich.console.Console,
    window: Window | None = None,
    batch: int = 1,
    threads: int = 4,
    max_frames: int | None = None,
) -> Counts:
    """Labels inputs and writes the results. Unreadable inputs are reported and skipped.

    Args:
      segmenter: the network.
      inputs: images, videos and cameras.
      results: writes files.
      painter: draws the overlays for the window.
      console: for progress and messages.
      window: shows each overlay; closing it skips the remaining frames.
      batch: largest number of frames, all of one size, labelled at once.
      threads: number of reader threads, and of writer threads.
      max_frames: limit for each video and camera; None for all frames.

    Raises:
      InputError: a result cannot be written.
    """
    counts = Counts()

    def refuse(message: str) -> None:
        counts.refused.append(message)
        console.print(message, soft_wrap=True)

    totals = [frame_count(source, max_frames) for source in inputs] if console.is_terminal else [None]
    total = None if None in totals else sum(filter(None, totals))
    begin = time.monotonic()
    with (
        _progress(console) as progress,
        FramesAhead(inputs, segmenter.shrink, refuse, threads, max_frames) as ahead,
        results,
        _Writers(results, threads) as writers,
    ):
        bar = progress.add_task("compiling", total=total, rate="")
        for frames in _batches(ahead, batch):
            shape = frames[0].image.shape[:2]
            found = segmenter.label(_padded([frame.seen for frame in frames], batch), shape)
            for frame, labels in zip(frames, found, strict=False):
                labels = enlarge(labels, shape)
                overlay = painter.overlay(frame.image, labels) if window else None
                writers.write(frame, labels, overlay)
                if window and overlay is not None:
                    window.show(overlay)
                if not frame.source.video:
                    console.print(f"{frame.source}: {_shares(labels, segmenter.classes)}", soft_wrap=True)
            if counts.frames:
                counts.timed += len(frames)
            else:
                begin = time.monotonic()
            counts.frames += len(frames)
            rate = f"{counts.timed / (time.monotonic() - begin):.1f} frames/s" if counts.timed else ""
            progress.update(bar, advance=len(frames), description="labelling", rate=rate)
            if window and window.closed:
                break
    counts.seconds = time.monotonic() - begin
    return counts


def _progress(console: rich.console.Console) -> rich.progress.Progress:
    return rich.progress.Progress(
        "{task.description}",
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        "{task.fields[rate]}",
        rich.progress.TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
        disable=not console.is_terminal,
    )


def _batches(frames: Iterable[Frame], size: int) -> Iterator[list[Frame]]:
    """Batches of consecutive frames of one size; a camera's frames come alone, so that none waits for the next."""
    batch: list[Frame] = []
    for frame in frames:
        if batch and frame.image.shape != batch[0].image.shape:
            yield batch
            batch = []
        batch.append(frame)
        if len(batch) == size or frame.seconds is not None:
            yield batch
            batch = []
    if batch:
        yield batch


def _padded(images: list[np.ndarray], count: int) -> np.ndarray:
    """Images as one array of `count`, with black ones at the end, because each other count would be compiled."""
    return np.stack(images + [np.zeros_like(images[0])] * (count - len(images)))


def _shares(labels: np.ndarray, classes: ClassMap) -> str:
    """The largest classes of an image and their shares."""
    shares = np.bincount(labels.ravel(), minlength=len(classes)) / labels.size
    largest = [place for place in np.argsort(-shares)[:_MAX_CLASSES] if shares[place] >= _MIN_SHARE]
    return ", ".join(f"{classes.names[place]} {100 * shares[place]:.0f} %" for place in largest)


class _Writers:
    """Threads that write results, used as a context: several for images, one for videos, which keeps their order."""

    def __init__(self, results: Results, threads: int):
        self._results, self._max_waiting = results, 2 * threads
        self._images, self._videos = ThreadPoolExecutor(threads), ThreadPoolExecutor(1)
        self._waiting: collections.deque[Future] = collections.deque()

    def __enter__(self) -> "_Writers":
        self._videos.submit(int).result()  # Ctrl-C while its thread starts would hide the thread from __exit__
        return self

    def __exit__(self, *_: object) -> None:
        try:
            while self._waiting:
                self._waiting.popleft().result()
        finally:
            for pool in (self._images, self._videos):
                pool.shutdown()

    def write(self, frame: Frame, labels: np.ndarray, overlay: np.ndarray | None) -> None:
        """Queues a frame's results; raises the errors of earlier ones."""
        pool = self._videos if frame.source.video else self._images
        self._waiting.append(pool.submit(self._results.write, frame, labels, overlay))
        while len(self._waiting) > self._max_waiting:
            self._waiting.popleft().result()
