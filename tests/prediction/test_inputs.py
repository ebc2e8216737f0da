"""What a command line stands for: files, folders, patterns, cameras."""

import os
import pathlib

import pytest

from gun_jax.errors import InputError
from gun_jax.prediction.inputs import find_inputs


@pytest.fixture
def place(tmp_path, monkeypatch):
    for name in ("a.jpg", "b.PNG", "notes.txt", "in/c.png", "in/d.mp4", "in/.hidden.png", ".git/e.png", "out/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*arguments, camera=None, output="out"):
    inputs, missing = find_inputs(arguments, camera, pathlib.Path(output))
    return [(str(one), one.name, one.video) for one in inputs], missing


def test_a_file_has_its_name_without_the_ending(place):
    assert found("a.jpg", "in/d.mp4") == ([("a.jpg", "a", False), ("in/d.mp4", "d", True)], [])


def test_a_folder_is_all_images_and_videos_in_it_but_hidden_ones_and_results(place):
    names = [("a.jpg", "a", False), ("b.PNG", "b", False), ("in/c.png", "in/c", False), ("in/d.mp4", "in/d", True)]
    assert found(".") == (names, [])


def test_a_pattern_is_what_it_matches(place):
    assert found("*.jpg", "**/c*") == ([("a.jpg", "a", False), ("in/c.png", "c", False)], [])


def test_a_file_that_is_named_is_taken_whatever_its_ending(place):
    assert found("notes.txt")[0] == [("notes.txt", "notes", False)]


def test_a_pipe_is_a_video(place):
    os.mkfifo("stream")
    assert found("stream")[0] == [("stream", "stream", True)]


def test_a_name_with_the_signs_of_a_pattern_is_a_file_first(place):
    (place / "a[1].png").touch()
    assert found("a[1].png")[0] == [("a[1].png", "a[1]", False)]


def test_two_of_one_name_do_not_write_over_each_other(place):
    (place / "a.png").touch()
    (place / "in" / "a.png").touch()
    names = [name for _, name, _ in found("a.jpg", "a.png", "in/a.png")[0]]
    assert names == ["a", "a.png", "a.png-2"]


def test_what_is_named_twice_is_labelled_once(place):
    assert len(found("a.jpg", "a.jpg", "*.jpg")[0]) == 1


def test_a_camera_comes_last(place):
    assert found("a.jpg", camera=2)[0][1:] == [("camera 2", "camera2", True)]


def test_what_is_not_there_is_told_and_the_rest_found(place):
    inputs, missing = found("a.jpg", "b.jpg", "x/*.png")
    assert [name for name, *_ in inputs] == ["a.jpg"]
    assert [line.split(":")[0] for line in missing] == ["b.jpg", "x/*.png"]


def test_nothing_is_refused_with_what_could_be_named(place):
    with pytest.raises(InputError, match=r"nothing to label.*street.jpg.*--camera=0"):
        found()


@pytest.mark.parametrize("output", ["in", "in/../in/", "in/"])
def test_results_among_the_images_would_be_read_next_time_and_are_refused(place, output):
    with pytest.raises(InputError, match="the folder of the images; choose another"):
        found("in", output=output)


def test_results_of_before_are_not_read_by_a_pattern(place):
    assert [name for name, *_ in found("**/a.*")[0]] == ["a.jpg"]


def test_a_video_that_is_called_as_the_camera_is_keeps_its_name(place):
    (place / "camera0.mp4").touch()
    assert [name for _, name, _ in found("camera0.mp4", camera=0)[0]] == ["camera0", "camera0-2"]
