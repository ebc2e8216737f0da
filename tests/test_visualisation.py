"""Pictures against loops over their pixels, `colorsys`, Pillow and closed forms."""

import colorsys
import itertools
import math
import pathlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from gun_jax.data.classes import CITYSCAPES, ClassMap
from gun_jax.errors import InputError
from gun_jax.visualisation import colorize, curve_figure, error_map, offset_colors, panel, wheel_key, write_png

FOUR = ClassMap(("sky", "road", "tree", "car"), ((10, 120, 240), (130, 60, 130), (20, 140, 30), (0, 0, 150)))
CLASSES = tuple(range(4))
VERDICTS = {  # as the module's docstrings put it in words
    "both right": "grey",
    "mended": "green",
    "spoiled": "red",
    "both wrong": "yellow",
    "ignored": "black",
}


def labels(seed, size=(160, 320), choice=CLASSES):
    """A label map of patches."""
    height, width = size
    small = np.random.default_rng(seed).choice(choice, (-(-height // 8), -(-width // 8)))
    return small.repeat(8, 0).repeat(8, 1)[:height, :width].astype(np.int32)


def offsets(seed, size=(160, 320)):
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.normal(0, 1, (4, 8, 2)).astype(np.float32), size[::-1], interpolation=cv2.INTER_CUBIC)


def example(seed=0, size=(160, 320), image_size=None, truth=True, **changes):
    """Arguments of a panel."""
    height, width = image_size or size
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    arguments = {
        "image": cv2.blur(image, (5, 5)),
        "truth": labels(seed + 1, size, (*CLASSES, 255)) if truth else None,
        "bilinear_labels": labels(seed + 2, size),
        "labels": labels(seed + 3, size),
        "offsets": offsets(seed, size),
        "classes": FOUR,
    }
    return arguments | changes


def in_colours(label_map, classes=FOUR):
    """A label map in its colours, pixel by pixel."""
    picture = np.zeros((*label_map.shape, 3), np.uint8)
    for place in np.ndindex(label_map.shape):
        if label_map[place] != 255:
            picture[place] = classes.colors[label_map[place]]
    return picture


def colour_name(pixel):
    red, green, blue = (int(channel) for channel in pixel)
    if red == green == blue:
        return "black" if red == 0 else "white" if red == 255 else "grey"
    hue, saturation, value = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
    assert saturation > 0.7 and value > 0.7, "a colour that has no plain name"
    ends = {20: "red", 40: "orange", 75: "yellow", 165: "green", 200: "cyan", 260: "blue", 335: "violet", 360: "red"}
    return next(name for end, name in ends.items() if 360 * hue <= end)


def place(tile, whole):
    """(top, left) where a tile lies in a picture, exactly."""
    difference = cv2.matchTemplate(whole, tile, cv2.TM_SQDIFF)
    top, left = np.unravel_index(difference.argmin(), difference.shape)
    np.testing.assert_array_equal(whole[top : top + tile.shape[0], left : left + tile.shape[1]], tile)
    return int(top), int(left)


def has_colour(picture, colour):
    return bool((picture == np.array(colour, np.uint8)).all(-1).any())


@pytest.fixture
def texts(monkeypatch):
    """All that Pillow is asked to write."""
    written = []
    draw = ImageDraw.ImageDraw.text

    def spy(self, xy, text, *arguments, **options):
        written.append(text)
        return draw(self, xy, text, *arguments, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", spy)
    return written


def refusal(call, *arguments, **options):
    with pytest.raises(InputError) as error:
        call(*arguments, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


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
            verdict = "both right" if baseline_right else "mended"
        else:
            verdict = "spoiled" if baseline_right else "both wrong"
        assert colour_name(ours[where]) == VERDICTS[verdict]
        seen.add(verdict)
    assert seen == set(VERDICTS)


@pytest.mark.parametrize("changed", ["labels", "baseline"])
def test_maps_of_other_sizes_are_named(changed):
    maps = {"truth": np.zeros((4, 5), int), "labels": np.zeros((4, 5), int), "baseline": np.zeros((4, 5), int)}
    message = refusal(error_map, **maps | {changed: np.zeros((5, 4), int)})
    assert changed in message and "(5, 4)" in message and "(4, 5)" in message


# Panels


def test_a_panel_has_six_tiles_in_two_rows_of_three():
    arguments = example()
    whole = panel(**arguments)
    assert whole.dtype == np.uint8 and whole.ndim == 3
    tiles = [
        arguments["image"],
        in_colours(arguments["truth"]),
        in_colours(arguments["bilinear_labels"]),
        in_colours(arguments["labels"]),
        offset_colors(arguments["offsets"])[0][:100],  # below lies the wheel
        error_map(arguments["truth"], arguments["labels"], arguments["bilinear_labels"]),
    ]
    tops, lefts = zip(*[place(tile, whole) for tile in tiles], strict=True)
    assert tops[0] == tops[1] == tops[2] < tops[0] + 160 < tops[3] == tops[4] == tops[5]
    assert lefts[:3] == lefts[3:] and lefts[0] + 320 < lefts[1] < lefts[1] + 320 < lefts[2]
    assert lefts[2] + 320 < whole.shape[1] and tops[3] + 160 < whole.shape[0]


def test_without_truth_four_tiles_are_left_in_two_rows_of_two():
    arguments = example(truth=False)
    whole = panel(**arguments)
    tiles = [
        arguments["image"],
        in_colours(arguments["bilinear_labels"]),
        in_colours(arguments["labels"]),
        offset_colors(arguments["offsets"])[0][:100],
    ]
    (top, left), (top_2, left_2), (top_3, left_3), (top_4, left_4) = [place(tile, whole) for tile in tiles]
    assert top == top_2 < top_3 == top_4 and left == left_3 < left_2 == left_4
    assert whole.shape[1] < 3 * 320


def test_the_wheel_lies_in_the_lower_right_corner_of_the_offsets():
    arguments = example(offsets=np.zeros((160, 320, 2)))  # white, so that the wheel is all the colour there is
    whole = panel(**arguments)
    _, image_left = place(arguments["image"], whole)
    error_top, error_left = place(
        error_map(arguments["truth"], arguments["labels"], arguments["bilinear_labels"]), whole
    )
    middle = (image_left + error_left) // 2
    tile = whole[error_top : error_top + 160, middle : middle + 320].astype(int)
    coloured = np.argwhere(tile.max(-1) - tile.min(-1) > 100)
    assert coloured[:, 0].min() > 80 and coloured[:, 1].min() > 240
    assert coloured.max(0)[0] > 145 and coloured.max(0)[1] > 305


def test_the_legend_has_the_colours_of_the_classes_that_occur_and_of_no_other():
    here = {"truth": (0, 255), "bilinear_labels": (0, 1), "labels": (0, 2)}
    whole = panel(**example() | {name: labels(1, choice=choice) for name, choice in here.items()})
    bottom = whole[-40:]  # below the tiles
    assert [has_colour(bottom, colour) for colour in FOUR.colors] == [True, True, True, False]
    assert has_colour(bottom, (0, 0, 0))


def test_the_texts_name_the_tiles_the_title_the_classes_that_occur_and_the_reach_of_the_wheel(texts):
    here = dict.fromkeys(("truth", "bilinear_labels", "labels"), labels(3, choice=(0, 2)))
    arguments = example(title="frame 7") | here
    panel(**arguments)
    joined = " | ".join(texts)
    for expected in ("image", "ground truth", "bilinear upsampling", "GUM", "offsets", "errors", "frame 7"):
        assert expected in joined
    assert {"sky", "tree"} <= set(texts) and not {"road", "car"} & set(texts)
    assert f"{offset_colors(arguments['offsets'])[1]:.2g} px" in joined


def test_the_shares_of_errors_are_of_the_pixels_that_count(texts):
    arguments = example()
    panel(**arguments)
    truth, guess, baseline = arguments["truth"], arguments["labels"], arguments["bilinear_labels"]
    counts = dict.fromkeys(("both right", "mended", "spoiled", "both wrong"), 0)
    for where in np.ndindex(truth.shape):
        if truth[where] != 255:
            right, baseline_right = guess[where] == truth[where], baseline[where] == truth[where]
            verdict = ("both right" if baseline_right else "mended") if right else "both wrong"
            counts["spoiled" if not right and baseline_right else verdict] += 1
    for verdict, count in counts.items():
        assert f"{verdict} {100 * count / sum(counts.values()):.1f} %" in texts


@pytest.mark.parametrize(("size", "factor"), [((40, 80), 4), ((30, 100), 4), ((50, 160), 2), ((20, 320), 1)])
def test_small_maps_are_enlarged_by_a_whole_factor_pixel_by_pixel(size, factor):
    arguments = example(size=size, image_size=(100, 200))
    whole = panel(**arguments)
    place(in_colours(arguments["labels"]).repeat(factor, 0).repeat(factor, 1), whole)


def test_wide_maps_are_shrunk_to_640_with_the_sides_in_proportion():
    coarse = labels(0, (16, 40))
    arguments = example(size=(512, 1280), labels=coarse.repeat(32, 0).repeat(32, 1))
    place(in_colours(coarse).repeat(16, 0).repeat(16, 1), panel(**arguments))


def test_the_tiles_width_can_be_chosen():
    arguments = example(tile_width=640)
    place(in_colours(arguments["labels"]).repeat(2, 0).repeat(2, 1), panel(**arguments))
    for width in (319, 641):
        assert str(width) in refusal(panel, **example(tile_width=width))


def test_a_title_stands_above_the_tiles_and_no_title_takes_no_room():
    plain, empty, titled = (panel(**example(title=title)) for title in ("", "   ", "a title"))
    np.testing.assert_array_equal(plain, empty)
    assert titled.shape[0] > plain.shape[0] and titled.shape[1] == plain.shape[1]
    added = titled.shape[0] - plain.shape[0]
    margin = 8
    np.testing.assert_array_equal(titled[added + margin :], plain[margin:])


def test_long_titles_and_class_names_are_cut_to_the_panel_s_width(texts):
    classes = ClassMap(("x" * 900, *FOUR.names[1:]), FOUR.colors)
    whole = panel(**example(title="frame " * 200, classes=classes))
    assert whole.shape[1] == panel(**example()).shape[1]
    assert sum(text.endswith("…") for text in texts) >= 2


def test_the_image_may_have_any_size():
    assert panel(**example(image_size=(37, 1001))).shape == panel(**example()).shape


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"image": np.zeros((160, 320, 3))}, "float64"),
        ({"image": np.zeros((160, 320), np.uint8)}, "(160, 320)"),
        ({"image": np.zeros((0, 320, 3), np.uint8)}, "(0, 320, 3)"),
        ({"labels": np.zeros((160, 320))}, "float64"),
        ({"offsets": np.zeros((160, 321, 2))}, "(160, 321, 2)"),
        ({"offsets": np.zeros((160, 320))}, "(160, 320)"),
        ({"truth": np.zeros((80, 160), int)}, "truth of shape (80, 160)"),
        ({"bilinear_labels": np.zeros((80, 160), int)}, "bilinear labels of shape (80, 160)"),
        ({"labels": np.full((160, 320), 4)}, "labels hold 4"),
        ({"truth": np.full((160, 320), 77)}, "labels hold 77"),
    ],
)
def test_what_a_panel_cannot_draw_is_named(changes, named):
    assert named in refusal(panel, **example() | changes)


# Files


def test_a_written_picture_is_read_back_by_pillow_pixel_by_pixel(tmp_path):
    picture = np.random.default_rng(5).integers(0, 256, (13, 17, 3)).astype(np.uint8)
    write_png(tmp_path / "new/folder/a.png", picture)
    with Image.open(tmp_path / "new/folder/a.png") as file:
        assert file.format == "PNG"
        np.testing.assert_array_equal(np.asarray(file), picture)


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
    "picture",
    [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 4), "u1")],
)
def test_what_is_no_picture_is_named_and_not_written(picture, tmp_path):
    message = refusal(write_png, tmp_path / "a.png", picture)
    assert str(picture.shape) in message and not list(tmp_path.iterdir())


# Curves


def run(epochs=8, loss=True, miou=True):
    rows = []
    for epoch in range(1, epochs + 1):
        if loss:
            rows.append({"epoch": epoch, "step": 10 * epoch, "loss": 3 / epoch, "learning_rate": 0.1**epoch})
        if miou:
            rows.append({"epoch": epoch, "val/miou": 0.7 - 0.5 / epoch, "val/accuracy": 0.9})
    return rows


def drawn(rows, tmp_path):
    curve_figure(rows, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as file:
        assert file.format == "PNG"
        return np.asarray(file)


def coloured(picture, name):
    """Rows in which a curve of this colour is drawn."""
    wanted = {"blue": (31, 119, 180), "green": (44, 160, 44), "grey": (127, 127, 127)}[name]
    return np.unique(np.nonzero((picture == wanted).all(-1))[0])


def test_the_curves_are_a_png_with_loss_and_rate_above_miou(tmp_path):
    picture = drawn(run(), tmp_path)
    assert picture.ndim == 3 and picture.shape[-1] == 3 and min(picture.shape[:2]) >= 500
    blue, grey, green = (coloured(picture, name) for name in ("blue", "grey", "green"))
    assert len(blue) > 50 and len(grey) > 20 and len(green) > 50
    assert blue.max() < green.min()


@pytest.mark.parametrize(("loss", "miou"), [(True, False), (False, True)])
def test_either_half_can_be_missing(loss, miou, tmp_path):
    picture = drawn(run(loss=loss, miou=miou), tmp_path)
    # The axes' labels keep their colours, so that a curve is a matter of width.
    widths = {name: np.ptp(np.nonzero((picture == colour).all(-1))[1]) for name, colour in
              (("blue", (31, 119, 180)), ("green", (44, 160, 44)))}  # fmt: skip
    assert (widths["blue"] > 400) == loss and (widths["green"] > 400) == miou


def test_of_rows_of_one_epoch_the_last_counts(tmp_path):
    again = [{"epoch": 3, "loss": 9.0, "learning_rate": 1.0}, {"epoch": 3, "val/miou": 0.99}]
    np.testing.assert_array_equal(drawn(again + run(), tmp_path), drawn(run(), tmp_path))
    assert (drawn(run() + again, tmp_path) != drawn(run(), tmp_path)).any()


def test_the_order_of_the_rows_does_not_matter(tmp_path):
    np.testing.assert_array_equal(drawn(run()[::-1], tmp_path), drawn(run(), tmp_path))


def test_losses_that_are_not_finite_and_rows_without_epoch_are_left_out(tmp_path):
    strange = [{"epoch": 9, "loss": float("nan")}, {"epoch": 10, "loss": float("inf")}, {"loss": 7.0}, {"epoch": 11}]
    missing = [{"epoch": 12, "loss": None}, {"epoch": None, "val/miou": 0.9}]
    np.testing.assert_array_equal(drawn(run() + strange + missing, tmp_path), drawn(run(), tmp_path))


def test_a_rate_that_ends_at_nought_is_drawn(tmp_path):
    drawn([*run(), {"epoch": 9, "loss": 0.1, "learning_rate": 0.0}], tmp_path)


def test_one_row_is_enough(tmp_path):
    drawn(run(1), tmp_path)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{}],
        [{"epoch": 1}],
        [{"loss": 1.0}],
        [{"epoch": 1, "loss": float("nan")}],
        [{"epoch": 1, "learning_rate": 1}],
    ],
    ids=str,
)
def test_rows_without_anything_to_draw_are_refused_and_no_file_is_made(rows, tmp_path):
    message = refusal(curve_figure, rows, tmp_path / "curves.png")
    assert f"none of {len(rows)} rows" in message and not list(tmp_path.iterdir())
