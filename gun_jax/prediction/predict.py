"""Labelling inputs: frames are read, labelled and written at the same time."""

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

_NAMED = 4  # classes, of an image
_MIN_SHARE = 0.01


@dataclasses.dataclass
class Counts:
    """What was done.

    Attributes:
      frames: that were labelled.
      timed: those after the first batch, which compiles.
      seconds: that they took, with reading and writing.
      refused: a line for each input that could not be read.
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
    most: int | None = None,
) -> Counts:
    """Labels inputs and writes what `results` is for; names what cannot be read, and goes on.

    Args:
      segmenter: the network.
      inputs: what to label.
      results: what to write.
      painter: draws what is shown.
      console: for progress.
      window: in which each overlay is shown; when it is closed, the rest is left out.
      batch: frames at a time, at most, of one size.
      threads: that read, and that write.
      most: frames of a video or camera, at most; None: all.

    Raises:
      InputError: a result cannot be written.
    """
    counts = Counts()

    def refuse(line: str) -> None:
        counts.refused.append(line)
        console.print(line, soft_wrap=True)

    totals = [frame_count(source, most) for source in inputs] if console.is_terminal else [None]
    total = None if None in totals else sum(filter(None, totals))
    begin = time.monotonic()
    with (
        _progress(console) as progress,
        FramesAhead(inputs, segmenter.shrink, refuse, threads, most) as ahead,
        results,
        _Writers(results, threads) as writers,
    ):
        bar = progress.add_task("compiling", total=total, rate="")
        for frames in _batches(ahead, batch):
            shape = frames[0].image.shape[:2]
            found = segmenter.label(_filled_up([frame.seen for frame in frames], batch), shape)
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


def _batches(frames: Iterable[Frame], most: int) -> Iterator[list[Frame]]:
    """Frames that follow each other, of one size; a camera's alone, so that none waits for the next."""
    batch: list[Frame] = []
    for frame in frames:
        if batch and frame.image.shape != batch[0].image.shape:
            yield batch
            batch = []
        batch.append(frame)
        if len(batch) == most or frame.seconds is not None:
            yield batch
            batch = []
    if batch:
        yield batch


def _filled_up(images: list[np.ndarray], count: int) -> np.ndarray:
    """Images as one array of `count`, black ones at the end: other counts would have to be compiled."""
    return np.stack(images + [np.zeros_like(images[0])] * (count - len(images)))


def _shares(labels: np.ndarray, classes: ClassMap) -> str:
    """The classes that fill most of an image."""
    shares = np.bincount(labels.ravel(), minlength=len(classes)) / labels.size
    most = [place for place in np.argsort(-shares)[:_NAMED] if shares[place] >= _MIN_SHARE]
    return ", ".join(f"{classes.names[place]} {100 * shares[place]:.0f} %" for place in most)


class _Writers:
    """Threads that write results: images in any order, videos one after the other; use it as a context."""

    def __init__(self, results: Results, threads: int):
        self._results, self._most = results, 2 * threads
        self._any_order, self._in_order = ThreadPoolExecutor(threads), ThreadPoolExecutor(1)
        self._waiting: collections.deque[Future] = collections.deque()

    def __enter__(self) -> "_Writers":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            while self._waiting:
                self._waiting.popleft().result()
        finally:
            for pool in (self._any_order, self._in_order):
                pool.shutdown()

    def write(self, frame: Frame, labels: np.ndarray, overlay: np.ndarray | None) -> None:
        """Writes a frame's results before long; what was wrong with one before is raised."""
        pool = self._in_order if frame.source.video else self._any_order
        self._waiting.append(pool.submit(self._results.write, frame, labels, overlay))
        while len(self._waiting) > self._most:
            self._waiting.popleft().result()
