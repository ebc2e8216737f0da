"""Files of results."""

import pathlib

import cv2
import numpy as np
import pytest
from cityscapesscripts.helpers.labels import trainId2label
from PIL import Image
from reference_videos import read_video, scenes

from gun_jax.data.classes import CAMVID, CITYSCAPES
from gun_jax.errors import InputError
from gun_jax.prediction.frames import Frame
from gun_jax.prediction.inputs import Input
from gun_jax.prediction.results import KINDS, Painter, Results

IMAGE = scenes(1)[0]
LABELS = np.random.default_rng(0).integers(0, 19, (64, 128)).astype(np.uint8)


def frame(name, number=0, seconds=None, video=False, image=IMAGE):
    return Frame(Input(name, name, video), image, image, number, 10.0 if video else 0.0, seconds)


def write(folder, *frames, kinds=KINDS, labels=LABELS, classes=CITYSCAPES):
    with Results(folder, kinds, classes, Painter(classes, 0.25)) as results:
        for one in frames:
            results.write(one, labels)


def blend(image, labels, opacity):
    colors = np.array([CITYSCAPES.colors[label] for label in labels.ravel()]).reshape(*labels.shape, 3)
    return image * (1 - opacity) + colors * opacity


def test_an_image_has_all_kinds_under_its_name(tmp_path):
    write(tmp_path, frame("in/a"))
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert found == ["in/a_colors.png", "in/a_label_ids.png", "in/a_overlay.jpg", "in/a_train_ids.png"]


def test_label_images_hold_the_numbers(tmp_path):
    write(tmp_path, frame("a"))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a_train_ids.png")), LABELS)
    expected = [[trainId2label[label].id for label in row] for row in LABELS.tolist()]
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a_label_ids.png")), expected)


def test_colours_are_those_of_the_classes(tmp_path):
    write(tmp_path, frame("a"))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a_colors.png")), blend(IMAGE, LABELS, 1.0))


def test_an_overlay_is_the_image_with_colours_over_it(tmp_path):
    np.testing.assert_allclose(Painter(CITYSCAPES, 0.25).overlay(IMAGE, LABELS), blend(IMAGE, LABELS, 0.25), atol=1)
    smooth = np.sort(LABELS, axis=None).reshape(LABELS.shape)  # JPEG is true to large areas
    grey = np.full_like(IMAGE, 100)
    write(tmp_path, frame("a", image=grey), labels=smooth)
    assert np.abs(np.asarray(Image.open(tmp_path / "a_overlay.jpg")) - blend(grey, smooth, 0.25)).mean() < 5


def test_a_video_makes_videos_and_folders_of_numbers(tmp_path):
    write(tmp_path, *(frame("a", number, video=True) for number in range(5)))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a_colors.mp4", "a_label_ids", "a_overlay.mp4", "a_train_ids",
    ]  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "a_train_ids").iterdir())[-1] == "000004.png"
    images, rate = read_video(tmp_path / "a_overlay.mp4")
    assert images.shape == (5, 64, 128, 3) and rate == 10.0


def test_a_video_gets_its_name_when_it_is_complete(tmp_path):
    with Results(tmp_path, ["overlay"], CITYSCAPES, Painter(CITYSCAPES, 0.5)) as results:
        results.write(frame("a", 0, video=True), LABELS)
        assert not (tmp_path / "a_overlay.mp4").exists()
        results.write(frame("b", 0, video=True), LABELS)
        assert (tmp_path / "a_overlay.mp4").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a_overlay.mp4", "b_overlay.mp4"]


def test_a_camera_s_video_takes_the_time_that_the_frames_took(tmp_path):
    times = [0.0, 0.5, 0.55, 0.58, 2.0]  # at 10 frames a second the fourth comes too early
    write(tmp_path, *(frame("a", i, seconds, video=True) for i, seconds in enumerate(times)), kinds=["overlay"])
    images, rate = read_video(tmp_path / "a_overlay.mp4")
    assert (len(images), rate) == (21, 10.0)


def test_cityscapes_numbers_of_other_classes_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"label_ids writes Cityscapes' label ids.*sky, building"):
        write(tmp_path, frame("a"), classes=CAMVID)


def test_an_unknown_kind_is_refused_with_the_nearest_one(tmp_path):
    with pytest.raises(InputError, match="did you mean 'train_ids'"):
        write(tmp_path, frame("a"), kinds=["trainids"])


@pytest.mark.parametrize("opacity", [-0.1, 1.1, float("nan")])
def test_an_opacity_out_of_range_is_refused(opacity):
    with pytest.raises(InputError, match=r"--opacity is .*; expected 0 .* to 1"):
        Painter(CITYSCAPES, opacity)


def test_a_folder_that_cannot_be_written_is_reported_for_images_and_videos(tmp_path):
    (tmp_path / "file").touch()
    for video in (False, True):
        with pytest.raises(InputError, match="cannot write"):
            write(tmp_path / "file", frame("a", video=video), kinds=["overlay"])


def test_a_video_that_lost_frames_is_reported_and_deleted(tmp_path, monkeypatch):
    class FullDisk:
        fourcc = cv2.VideoWriter.fourcc

        def __init__(self, path, *_):
            pathlib.Path(path).write_bytes(b"what fitted")

        isOpened = write = release = lambda self, *_: True  # noqa: N815

    monkeypatch.setattr(cv2, "VideoWriter", FullDisk)
    with pytest.raises(InputError, match="0 of 1 frames were written; free disk space"):
        write(tmp_path, frame("a", video=True), kinds=["overlay"])
    assert list(tmp_path.iterdir()) == []


def test_an_error_keeps_the_earlier_video(tmp_path):
    write(tmp_path, *(frame("a", number, video=True) for number in range(3)), kinds=["overlay"])
    with (
        pytest.raises(MemoryError),
        Results(tmp_path, ["overlay"], CITYSCAPES, Painter(CITYSCAPES, 0.5)) as results,
    ):
        results.write(frame("a", 0, video=True), LABELS)
        raise MemoryError
    assert [path.name for path in tmp_path.iterdir()] == ["a_overlay.mp4"]
    assert len(read_video(tmp_path / "a_overlay.mp4")[0]) == 3
