"""Reads frames of images, videos and cameras ahead, by threads."""

import contextlib
import dataclasses
import functools
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np

from gun_jax.data.images import read_image
from gun_jax.errors import InputError
from gun_jax.prediction.inputs import Input

_DEFAULT_RATE = 25.0  # frames a second, for videos and cameras that do not report theirs
_POLL = 0.05  # seconds between two checks of a waiting thread whether to stop
_TOLERANCE = 0.05  # some formats only estimate their number of frames; a second is allowed besides
_LAST_READ = 5.0  # seconds to wait for a camera or pipe to return its last frame at exit


@dataclasses.dataclass(frozen=True)
class Frame:
    """An image, or a frame of a video or camera.

    Attributes:
      source: the input it belongs to.
      image: uint8 (H, W, 3) RGB.
      seen: the network's input, uint8 (h, w, 3) RGB: the image, shrunk.
      number: index in the video, from 0.
      rate: frames a second of the video; 0.0 for an image.
      seconds: time since a camera's first frame; None for images and videos.
    """

    source: Input
    image: np.ndarray
    seen: np.ndarray
    number: int = 0
    rate: float = 0.0
    seconds: float | None = None


class FramesAhead:
    """Iterates over the frames of inputs in order while threads read the next ones. A context, used once.

    Frames of a camera are dropped while the queue is full.

    Args:
      inputs: images, videos and cameras.
      shrink: makes the network's input from an image.
      refused: called in turn with a message for each input that is unreadable or ends early.
      threads: number of threads that decode images.
      max_frames: limit for each video and camera; None for all frames.
    """

    def __init__(
        self,
        inputs: Sequence[Input],
        shrink: Callable[[np.ndarray], np.ndarray],
        refused: Callable[[str], None],
        threads: int,
        max_frames: int | None = None,
    ):
        self._shrink, self._refused, self._max_frames = shrink, refused, max_frames
        self._pool = ThreadPoolExecutor(threads)
        self._waiting: queue.Queue[Future[Frame] | None] = queue.Queue(2 * threads)
        self._ending = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(inputs,), daemon=True)

    def __enter__(self) -> "FramesAhead":
        self._reader.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._ending.set()
        self._reader.join(_LAST_READ)  # a thread still inside OpenCV would abort the exiting program
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __iter__(self) -> Iterator[Frame]:
        while (future := self._waiting.get()) is not None:
            try:
                yield future.result()
            except InputError as error:
                self._refused(str(error))

    def _read(self, inputs: Sequence[Input]) -> None:
        try:
            for source in inputs:
                works = self._video(source) if source.video else [functools.partial(self._image, source)]
                for work in works:
                    if self._ending.is_set():
                        return
                    self._put(self._pool.submit(work))
        except Exception as error:  # raised again in __iter__
            failed: Future[Frame] = Future()
            failed.set_exception(error)
            self._put(failed)
        finally:
            self._put(None)

    def _put(self, future: Future[Frame] | None) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(queue.Full):
                self._waiting.put(future, timeout=_POLL)
                return

    def _image(self, source: Input) -> Frame:
        assert not isinstance(source.path, int)
        image = read_image(source.path, upright=True)
        return Frame(source, image, self._shrink(image))

    def _video(self, source: Input) -> Iterator[Callable[[], Frame]]:
        """Functions that make the frames; the last one raises if the video cannot be read or ends early."""
        camera = isinstance(source.path, int)
        video = cv2.VideoCapture(source.path if camera else str(source.path))
        announced = 0 if camera else int(video.get(cv2.CAP_PROP_FRAME_COUNT))
        rate = video.get(cv2.CAP_PROP_FPS)
        rate = rate if 1 <= rate <= 1000 else _DEFAULT_RATE
        number, begin = 0, time.monotonic()
        try:
            while number != self._max_frames and not self._ending.is_set():
                there, bgr = video.read()
                if not there:
                    break
                seconds = time.monotonic() - begin if camera else None
                if not (camera and self._waiting.full()):
                    yield functools.partial(self._frame, source, bgr, number, rate, seconds)
                number += 1
        finally:
            video.release()
        if number == 0:
            remedy = "is another program using it?" if camera else "expected an image or a video that FFmpeg reads"
            yield functools.partial(_refuse, f"{source} cannot be read; {remedy}")
        elif camera and number != self._max_frames:
            yield functools.partial(_refuse, f"{source} stopped after {number} frames; is it still connected?")
        elif number + rate < (1 - _TOLERANCE) * announced and number != self._max_frames:
            yield functools.partial(_refuse, f"{source} is cut off after {number} of {announced} frames; copy it again")

    def _frame(self, source: Input, bgr: np.ndarray, number: int, rate: float, seconds: float | None) -> Frame:
        image = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        return Frame(source, image, self._shrink(image), number, rate, seconds)


def frame_count(source: Input, max_frames: int | None = None) -> int | None:
    """Number of frames that will be read from an input; None if it is unknown."""
    if not source.video:
        return 1
    if isinstance(source.path, int) or source.path.is_fifo():  # opening it would consume frames
        return max_frames
    video = cv2.VideoCapture(str(source.path))
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    video.release()
    return min(count, max_frames or count) if count > 0 else max_frames


def _refuse(message: str) -> Frame:
    raise InputError(message)
