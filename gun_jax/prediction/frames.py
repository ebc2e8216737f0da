"""The images of inputs, read ahead by threads."""

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

_USUAL_RATE = 25.0  # frames a second, of videos and cameras that do not say
_PATIENCE = 0.05  # seconds, after which a waiting thread looks whether it shall end
_UNSURE = 0.05  # of the frames that a video is said to have, as some kinds only guess, and a second besides
_LAST_READ = 5.0  # seconds that a frame may take, of a camera or a pipe, when the program ends


@dataclasses.dataclass(frozen=True)
class Frame:
    """An image, or one of a video.

    Attributes:
      source: of which it is.
      image: uint8 (H, W, 3) RGB.
      seen: what the network sees of it, uint8 (h, w, 3) RGB.
      number: in the video, from 0.
      rate: frames a second of the video; 0.0 for an image.
      seconds: of a camera, since its first frame.
    """

    source: Input
    image: np.ndarray
    seen: np.ndarray
    number: int = 0
    rate: float = 0.0
    seconds: float | None = None


class FramesAhead:
    """The frames of inputs in their order, while threads read the next ones; use it as a context, once.

    A camera's frames are left out while there is no time for them.

    Args:
      inputs: what to read.
      shrink: makes of an image what the network sees of it.
      refused: is told, in its turn, of each input that cannot be read or ends early: a line.
      threads: that decode images.
      most: frames of each video and camera, at most; None: all.
    """

    def __init__(
        self,
        inputs: Sequence[Input],
        shrink: Callable[[np.ndarray], np.ndarray],
        refused: Callable[[str], None],
        threads: int,
        most: int | None = None,
    ):
        self._shrink, self._refused, self._most = shrink, refused, most
        self._pool = ThreadPoolExecutor(threads)
        self._waiting: queue.Queue[Future[Frame] | None] = queue.Queue(2 * threads)
        self._ending = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(inputs,), daemon=True)

    def __enter__(self) -> "FramesAhead":
        self._reader.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._ending.set()
        self._reader.join(_LAST_READ)  # a thread within OpenCV would abort the program that ends
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
        except Exception as error:  # to be raised where the frames are asked for
            failed: Future[Frame] = Future()
            failed.set_exception(error)
            self._put(failed)
        finally:
            self._put(None)

    def _put(self, future: Future[Frame] | None) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(queue.Full):
                self._waiting.put(future, timeout=_PATIENCE)
                return

    def _image(self, source: Input) -> Frame:
        assert not isinstance(source.path, int)
        image = read_image(source.path, upright=True)
        return Frame(source, image, self._shrink(image))

    def _video(self, source: Input) -> Iterator[Callable[[], Frame]]:
        """What makes each frame, and at the end, if something is wrong, what tells of it."""
        camera = isinstance(source.path, int)
        video = cv2.VideoCapture(source.path if camera else str(source.path))
        promised = 0 if camera else int(video.get(cv2.CAP_PROP_FRAME_COUNT))
        rate = video.get(cv2.CAP_PROP_FPS)
        rate = rate if 1 <= rate <= 1000 else _USUAL_RATE
        number, begin = 0, time.monotonic()
        try:
            while number != self._most and not self._ending.is_set():
                there, picture = video.read()
                if not there:
                    break
                seconds = time.monotonic() - begin if camera else None
                if not (camera and self._waiting.full()):
                    yield functools.partial(self._frame, source, picture, number, rate, seconds)
                number += 1
        finally:
            video.release()
        if number == 0:
            remedy = "is another program using it?" if camera else "expected an image or a video that FFmpeg reads"
            yield functools.partial(_refuse, f"{source} cannot be read; {remedy}")
        elif camera and number != self._most:
            yield functools.partial(_refuse, f"{source} gave no more images after {number}; is it still connected?")
        elif number + rate < (1 - _UNSURE) * promised and number != self._most:
            yield functools.partial(_refuse, f"{source} ends after {number} of {promised} frames; copy it anew")

    def _frame(self, source: Input, picture: np.ndarray, number: int, rate: float, seconds: float | None) -> Frame:
        image = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        return Frame(source, image, self._shrink(image), number, rate, seconds)


def frame_count(source: Input, most: int | None = None) -> int | None:
    """How many frames an input has, by its own word, of which `most` are read; None if it does not say."""
    if not source.video:
        return 1
    if isinstance(source.path, int) or source.path.is_fifo():  # to look would take from what is to be read
        return most
    video = cv2.VideoCapture(str(source.path))
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    video.release()
    return min(count, most or count) if count > 0 else most


def _refuse(line: str) -> Frame:
    raise InputError(line)
