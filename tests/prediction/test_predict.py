"""Labelling by threads."""

import contextlib
import pathlib
import threading
import time

import numpy as np

from gun_jax.prediction.frames import Frame
from gun_jax.prediction.inputs import Input
from gun_jax.prediction.predict import _Writers

IMAGE = np.zeros((4, 6, 3), np.uint8)
VIDEO_FRAME = Frame(Input(pathlib.Path("a.mp4"), "a", True), IMAGE, IMAGE, rate=25.0)


class SlowResults:
    ended = False

    def write(self, *_):
        time.sleep(0.3)
        self.ended = True


def test_ctrl_c_while_the_video_writer_starts_waits_for_its_frame(monkeypatch):
    start, results = threading.Thread.start, SlowResults()

    def interrupted(thread):
        start(thread)
        raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt), _Writers(results, 1) as writers:
        monkeypatch.setattr(threading.Thread, "start", interrupted)
        writers.write(VIDEO_FRAME, IMAGE[..., 0], None)
    assert results.ended  # the video is closed next, which crashes under a writing thread
