"""Arrays in colours against `colorsys` and loops over pixels, and images as files against Pillow."""

import colorsys
import itertools
import math
import pathlib

import numpy as np
import pytest
from PIL import Image
from reference_visualisation import CLASSES, FOUR, in_colours, labels, refusal

from gun_jax.data.classes import CITYSCAPES
from gun_jax.visualisation import colorize, error_map, offset_colors, wheel_key, write_png

VERDICTS = {  # the colours by the names in the docstring
    "both right": "grey",
    "fixed by GUM": "green",
    "new error": "red",
    "both wrong": "yellow",
    "ignored": "black",
}


# Label maps


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_a_label_map_is_drawn_in_the_colours_of_its_classes_and_ignored_pixels_in_black(dtype):
    label_map = np.random.default_rng(1).choice([*range(19), 255], (20, 30)).astype(dtype)
    ours = colorize(label_map, CITYSCAPES)
    assert ours.dtype == np.uint8
    np.testing.assert_array_equal(ours, in_colours(label_map, CITYSCAPES))


@pytest.mark.parametrize("strange", [4, 254, -1, 300])
def test_a_number_that_is_no_class_is_named(strange):
    assert f"labels hold {strange}; expected 0 to 3" in refusal(colorize, np.array([[0, strange]]), FOUR)


@pytest.mark.parametrize("bad", [np.zeros((2, 3, 1), int), np.zeros(4, int), np.zeros((2, 3)), np.zeros((2, 3), bool)])
def test_an_array_that_is_no_label_map_is_named_by_shape_and_type(bad):
    message = refusal(colorize, bad, FOUR)
    assert str(bad.shape) in message and str(bad.dtype) in message


# Offsets


def test_the_direction_is_the_hue_and_the_length_the_saturation():
    table = np.random.default_rng(2).normal(0, 1, (12, 15, 2))
    ours, largest = offset_colors(table, largest=2.5)
    assert ours.dtype == np.uint8 and largest == 2.5
    for i, j in np.ndindex(12, 15):
        x, y = table[i, j]
        hue, saturation = math.atan2(y, x) / (2 * math.pi) % 1, min(math.hypot(x, y) / 2.5, 1)
        expected = 255 * np.array(colorsys.hsv_to_rgb(hue, saturation, 1))
        assert np.abs(ours[i, j] - expected).max() <= 0.5 + 1e-6


def test_right_is_red_down_yellow_green_left_cyan_and_up_violet():
    table = np.array([[[1, 0], [0, 1], [-1, 0], [0, -1]]], float)
    right, down, left, up = offset_colors(table, 1.0)[0][0].tolist()
    assert (right, left) == ([255, 0, 0], [0, 255, 255])
    assert down == [128, 255, 0] and up in ([127, 0, 255], [128, 0, 255])


def test_no_offset_is_white_whatever_the_largest():
    table = np.zeros((3, 4, 2))
    table[0, 0] = 5, 0
    ours, _ = offset_colors(table)
    assert (ours[1:] == 255).all()


def test_longer_offsets_than_the_largest_have_the_full_colour():
    table = np.array([[[2.0, 0], [1e6, 0]]])
    assert offset_colors(table, 2.0)[0].tolist() == [[[255, 0, 0], [255, 0, 0]]]


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_black_and_does_not_count_for_the_largest(strange):
    table = np.random.default_rng(3).normal(0, 1, (20, 20, 2))
    expected_largest = offset_colors(np.delete(table, 4, axis=1))[1]
    table[:, 4, 1] = strange
    ours, largest = offset_colors(table)
    assert not ours[:, 4].any() and largest == expected_largest
    assert ours[:, 5].any(-1).all()


def test_a_table_without_any_finite_offset_is_black():
    ours, largest = offset_colors(np.full((3, 3, 2), np.nan))
    assert not ours.any() and largest == 0.1


def test_the_largest_is_by_default_what_99_of_100_offsets_stay_below():
    lengths = np.arange(1, 1001) / 100
    angles = np.random.default_rng(4).uniform(0, 7, 1000)
    table = (lengths[:, None] * np.stack([np.cos(angles), np.sin(angles)], -1)).reshape(20, 50, 2)
    _, largest = offset_colors(table)
    assert largest == pytest.approx(9.9, abs=0.011)


def test_offsets_below_a_tenth_of_a_pixel_are_not_blown_up():
    ours, largest = offset_colors(np.full((2, 2, 2), [0.001, 0.0]))
    assert largest == 0.1 and ours.min() >= 252


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3), (1, 4, 5, 2)])
def test_offsets_of_another_shape_are_named(shape):
    assert str(shape) in refusal(offset_colors, np.zeros(shape))


@pytest.mark.parametrize("largest", [0, -1.0, float("nan"), float("inf")])
def test_a_largest_that_is_no_positive_number_is_named(largest):
    assert repr(largest) in refusal(offset_colors, np.zeros((2, 2, 2)), largest)


def test_the_wheel_has_the_colour_of_the_offset_that_leads_there():
    size = 81
    wheel = wheel_key(size)
    assert wheel.shape == (size, size, 3) and wheel.dtype == np.uint8
    for i, j in itertools.product(range(0, size, 3), repeat=2):
        x, y = (2 * j + 1) / size - 1, (2 * i + 1) / size - 1
        radius = math.hypot(x, y)
        if 0.1 < radius < 0.95:  # the centre mixes all hues, the rim mixes with the white around
            expected = 255 * np.array(colorsys.hsv_to_rgb(math.atan2(y, x) / (2 * math.pi) % 1, radius, 1))
            assert np.abs(wheel[i, j] - expected).max() < 12
        elif radius > 1.05:
            assert (wheel[i, j] == 255).all()


def test_the_smallest_wheel_is_one_pixel_and_there_is_none_of_nought():
    assert wheel_key(1).shape == (1, 1, 3)
    assert "0 pixels" in refusal(wheel_key, 0)


# Errors


def colour_name(pixel):
    red, green, blue = (int(channel) for channel in pixel)
    if red == green == blue:
        return "black" if red == 0 else "white" if red == 255 else "grey"
    hue, saturation, value = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
    assert saturation > 0.7 and value > 0.7, "a colour that has no plain name"
    ends = {20: "red", 40: "orange", 75: "yellow", 165: "green", 200: "cyan", 260: "blue", 335: "violet", 360: "red"}
    return next(name for end, name in ends.items() if 360 * hue <= end)


def test_errors_are_red_and_what_is_right_grey_and_what_is_ignored_black():
    truth, guess = labels(1, (24, 32), (*CLASSES, 255)), labels(2, (24, 32))
    ours = error_map(truth, guess)
    for where in np.ndindex(truth.shape):
        expected = "black" if truth[where] == 255 else "grey" if truth[where] == guess[where] else "red"
        assert colour_name(ours[where]) == expected


def test_against_a_baseline_each_verdict_has_its_colour():
    truth, guess, baseline = labels(1, (40, 64), (*CLASSES, 255)), labels(2, (40, 64)), labels(3, (40, 64))
    guess = np.where(labels(4, (40, 64)) < 2, truth % 255, guess)
    ours = error_map(truth, guess, baseline)
    seen = set()
    for where in np.ndindex(truth.shape):
        right, baseline_right = guess[where] == truth[where], baseline[where] == truth[where]
        if truth[where] == 255:
            verdict = "ignored"
        elif right:
            verdict = "both right" if baseline_right else "fixed by GUM"
        else:
            verdict = "new error" if baseline_right else "both wrong"
        assert colour_name(ours[where]) == VERDICTS[verdict]
        seen.add(verdict)
    assert seen == set(VERDICTS)


@pytest.mark.parametrize("changed", ["labels", "baseline"])
def test_maps_of_other_sizes_are_named(changed):
    maps = {"truth": np.zeros((4, 5), int), "labels": np.zeros((4, 5), int), "baseline": np.zeros((4, 5), int)}
    message = refusal(error_map, **maps | {changed: np.zeros((5, 4), int)})
    assert changed in message and "(5, 4)" in message and "(4, 5)" in message


# Files


def test_a_written_image_is_read_back_by_pillow_pixel_by_pixel(tmp_path):
    image = np.random.default_rng(5).integers(0, 256, (13, 17, 3)).astype(np.uint8)
    write_png(tmp_path / "new/folder/a.png", image)
    with Image.open(tmp_path / "new/folder/a.png") as file:
        assert file.format == "PNG"
        np.testing.assert_array_equal(np.asarray(file), image)


def test_a_file_that_was_there_is_replaced_and_nothing_else_is_left(tmp_path):
    for value in (3, 200):
        write_png(str(tmp_path / "a.png"), np.full((4, 4, 3), value, np.uint8))
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]
    assert np.asarray(Image.open(tmp_path / "a.png")).max() == 200


@pytest.mark.parametrize("stage", ["write_bytes", "replace"])
def test_a_write_that_fails_leaves_the_old_file_whole_and_no_half_one(stage, tmp_path, monkeypatch):
    write_png(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    before = (tmp_path / "a.png").read_bytes()

    def full_disk(self, content):
        if stage == "write_bytes":
            self.open("wb").write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pathlib.Path, stage, full_disk)
    message = refusal(write_png, tmp_path / "a.png", np.full((40, 40, 3), 9, np.uint8))
    monkeypatch.undo()
    assert str(tmp_path / "a.png") in message and "No space left" in message
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == before


def test_a_path_below_a_file_is_named(tmp_path):
    (tmp_path / "file").touch()
    message = refusal(write_png, tmp_path / "file/a.png", np.zeros((2, 2, 3), np.uint8))
    assert str(tmp_path / "file/a.png") in message


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 4), "u1")],
)
def test_what_is_no_image_is_named_and_not_written(image, tmp_path):
    message = refusal(write_png, tmp_path / "a.png", image)
    assert str(image.shape) in message and not list(tmp_path.iterdir())
