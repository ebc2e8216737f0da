"""Inputs of a command line: files, folders, patterns, cameras."""

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


def test_a_folder_stands_for_its_images_and_videos_except_hidden_ones_and_results(place):
    names = [("a.jpg", "a", False), ("b.PNG", "b", False), ("in/c.png", "in/c", False), ("in/d.mp4", "in/d", True)]
    assert found(".") == (names, [])


def test_a_pattern_stands_for_the_files_that_match(place):
    assert found("*.jpg", "**/c*") == ([("a.jpg", "a", False), ("in/c.png", "c", False)], [])


def test_a_named_file_is_an_input_whatever_its_ending(place):
    assert found("notes.txt")[0] == [("notes.txt", "notes", False)]


def test_a_pipe_is_a_video(place):
    os.mkfifo("stream")
    assert found("stream")[0] == [("stream", "stream", True)]


def test_an_existing_file_is_not_taken_for_a_pattern(place):
    (place / "a[1].png").touch()
    assert found("a[1].png")[0] == [("a[1].png", "a[1]", False)]


def test_inputs_of_one_name_get_distinct_results(place):
    (place / "a.png").touch()
    (place / "in" / "a.png").touch()
    names = [name for _, name, _ in found("a.jpg", "a.png", "in/a.png")[0]]
    assert names == ["a", "a.png", "a.png-2"]


def test_an_input_named_twice_is_labelled_once(place):
    assert len(found("a.jpg", "a.jpg", "*.jpg")[0]) == 1


def test_a_camera_comes_last(place):
    assert found("a.jpg", camera=2)[0][1:] == [("camera 2", "camera2", True)]


def test_a_missing_input_is_reported_and_the_rest_found(place):
    inputs, missing = found("a.jpg", "b.jpg", "x/*.png")
    assert [name for name, *_ in inputs] == ["a.jpg"]
    assert [line.split(":")[0] for line in missing] == ["b.jpg", "x/*.png"]


def test_an_empty_command_line_is_refused_with_an_example(place):
    with pytest.raises(InputError, match=r"nothing to label.*street.jpg.*--camera=0"):
        found()


@pytest.mark.parametrize("output", ["in", "in/../in/", "in/"])
def test_an_output_folder_that_is_the_input_folder_is_refused(place, output):
    with pytest.raises(InputError, match="the folder of the images; choose another"):
        found("in", output=output)


def test_a_pattern_does_not_match_earlier_results(place):
    assert [name for name, *_ in found("**/a.*")[0]] == ["a.jpg"]


def test_a_video_named_like_the_camera_keeps_its_name(place):
    (place / "camera0.mp4").touch()
    assert [name for _, name, _ in found("camera0.mp4", camera=0)[0]] == ["camera0", "camera0-2"]
