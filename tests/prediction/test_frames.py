"""Reading images and videos ahead."""

import os
import pathlib
import threading

import cv2
import numpy as np
import pytest
from reference_videos import read_video, scenes, write_image, write_video

from gun_jax.prediction import frames as frames_module
from gun_jax.prediction.frames import FramesAhead, frame_count
from gun_jax.prediction.inputs import Input

CAMERA = Input(0, "camera0", True)


def photo(path):
    return Input(path, path.stem, False)


def video(path):
    return Input(path, path.stem, True)


def read(*inputs, max_frames=None, shrink=lambda image: image[::2, ::2]):
    refused = []
    with FramesAhead(inputs, shrink, refused.append, threads=2, max_frames=max_frames) as ahead:
        return list(ahead), refused


@pytest.fixture(scope="module")
def images():
    return scenes(12)


def test_images_come_in_order_as_they_were_written(images, tmp_path):
    inputs = [photo(write_image(tmp_path / f"{i}.png", image)) for i, image in enumerate(images)]
    found, refused = read(*inputs)
    assert [frame.source for frame in found] == inputs and refused == []
    for frame, image in zip(found, images, strict=True):
        np.testing.assert_array_equal(frame.image, image)
        np.testing.assert_array_equal(frame.seen, image[::2, ::2])


def test_a_video_is_its_frames_numbered_with_its_rate(images, tmp_path):
    path = write_video(tmp_path / "a.mp4", images)
    found, refused = read(video(path))
    np.testing.assert_array_equal([frame.image for frame in found], read_video(path)[0])
    assert [frame.number for frame in found] == list(range(12)) and refused == []
    assert {frame.rate for frame in found} == {12.5} and {frame.seconds for frame in found} == {None}


def test_no_more_frames_of_a_video_are_read_than_requested(images, tmp_path):
    found, refused = read(video(write_video(tmp_path / "a.mp4", images)), max_frames=5)
    assert len(found) == 5 and refused == []


def test_an_unreadable_input_is_reported_in_turn_and_skipped(images, tmp_path):
    (tmp_path / "b.png").write_text("no image")
    (tmp_path / "c.mp4").write_text("no video")
    good = [photo(write_image(tmp_path / name, images[0])) for name in ("a.png", "d.png")]
    found, refused = read(good[0], photo(tmp_path / "b.png"), video(tmp_path / "c.mp4"), good[1])
    assert [frame.source for frame in found] == good
    assert "b.png is not an image" in refused[0] and "c.mp4 cannot be read" in refused[1] and len(refused) == 2


def test_a_video_that_is_cut_off_gives_its_frames_and_a_message(images, tmp_path):
    path = write_video(tmp_path / "a.avi", np.tile(images, (5, 1, 1, 1)), code="MJPG")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    found, refused = read(video(path))
    assert 0 < len(found) < 60
    assert [f"is cut off after {len(found)} of 60 frames" in line for line in refused] == [True]


def test_a_pipe_is_read_while_it_is_written(images, tmp_path):
    path = write_video(tmp_path / "a.avi", images, code="MJPG")
    os.mkfifo(tmp_path / "stream")
    writing = threading.Thread(target=lambda: (tmp_path / "stream").write_bytes(path.read_bytes()))
    writing.start()
    found, _ = read(video(tmp_path / "stream"))
    writing.join()
    np.testing.assert_array_equal([frame.image for frame in found], read_video(path)[0])


def test_reading_ends_with_the_context(images, tmp_path):
    source = video(write_video(tmp_path / "a.mp4", np.tile(images, (5, 1, 1, 1))))
    before = threading.active_count()
    with FramesAhead([source], lambda image: image, print, threads=2) as ahead:
        next(iter(ahead))
    ahead._reader.join(10)
    assert threading.active_count() == before


class FakeCamera:
    """Delivers an image on every read, each brighter than the last."""

    def __init__(self, device):
        assert device == 0
        self.count = 0

    def get(self, what):
        return {cv2.CAP_PROP_FPS: 0.0}[what]

    def read(self):
        self.count += 1
        return True, np.full((4, 6, 3), self.count % 256, np.uint8)

    def release(self):
        pass


def test_frames_of_a_camera_are_dropped_while_the_queue_is_full(monkeypatch):
    monkeypatch.setattr(frames_module.cv2, "VideoCapture", FakeCamera)
    numbers, times = [], []
    with FramesAhead([CAMERA], lambda image: image, print, threads=1) as ahead:
        for frame in ahead:
            numbers.append(frame.number)
            times.append(frame.seconds)
            threading.Event().wait(0.05)  # meanwhile the camera delivers frames
            if len(numbers) == 8:
                threading.Event().wait(0.2)  # the queue is full
                break
    assert not ahead._reader.is_alive()
    assert numbers == sorted(set(numbers)) and numbers[-1] > 20
    assert times == sorted(times) and times[-1] > 0.2


def test_a_missing_camera_is_reported(monkeypatch):
    found, refused = read(Input(93, "camera93", True))
    assert found == [] and refused == ["camera 93 cannot be read; is another program using it?"]


@pytest.mark.parametrize(("max_frames", "count"), [(None, 12), (5, 5), (50, 12)])
def test_the_frames_of_a_video_are_counted_before_it_is_read(images, tmp_path, max_frames, count):
    path = write_video(tmp_path / "a.mp4", images)
    assert frame_count(video(path), max_frames) == count


def test_the_count_of_other_inputs(tmp_path):
    os.mkfifo(tmp_path / "stream")
    assert frame_count(photo(pathlib.Path("a.png"))) == 1
    assert frame_count(CAMERA) is None and frame_count(video(tmp_path / "stream")) is None


def test_a_disconnected_camera_is_reported_even_with_a_full_queue(monkeypatch):
    class PulledOut(FakeCamera):
        def read(self):
            return (True, super().read()[1]) if self.count < 5 else (False, None)

    monkeypatch.setattr(frames_module.cv2, "VideoCapture", PulledOut)
    refused = []
    with FramesAhead([CAMERA], lambda image: image, refused.append, threads=1) as ahead:
        threading.Event().wait(0.3)  # the queue is full, and the camera gone
        assert 0 < len(list(ahead)) <= 5
    assert refused == ["camera 0 stopped after 5 frames; is it still connected?"]


def test_a_video_with_a_few_frames_less_than_estimated_is_not_reported(monkeypatch, images, tmp_path):
    class Guessing:
        def __init__(self, path):
            self.left = 500

        def get(self, what):
            return {cv2.CAP_PROP_FPS: 25.0, cv2.CAP_PROP_FRAME_COUNT: 540.0}[what]

        def read(self):
            self.left -= 1
            return (True, np.zeros((4, 6, 3), np.uint8)) if self.left >= 0 else (False, None)

        release = print

    monkeypatch.setattr(frames_module.cv2, "VideoCapture", lambda path: Guessing(path))
    found, refused = read(video(tmp_path / "a.webm"))
    assert len(found) == 500 and refused == []


def test_an_error_while_reading_is_raised_where_frames_are_requested(monkeypatch, tmp_path):
    def fail(path):
        raise MemoryError("full")

    monkeypatch.setattr(frames_module.cv2, "VideoCapture", fail)
    with pytest.raises(MemoryError, match="full"):
        read(video(tmp_path / "a.mp4"))
