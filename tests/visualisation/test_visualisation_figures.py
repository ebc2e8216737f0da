"""Panels against the tiles and texts that they are put together from, and curves against their colours in the file."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw
from reference_visualisation import CLASSES, FOUR, in_colours, labels, refusal

from gun_jax.data.classes import ClassMap
from gun_jax.visualisation import comparison_figure, curve_figure, error_map, offset_colors, panel

# Panels


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


def place(tile, whole):
    """(top, left) where a tile lies in an image, exactly."""
    difference = cv2.matchTemplate(whole, tile, cv2.TM_SQDIFF)
    top, left = np.unravel_index(difference.argmin(), difference.shape)
    np.testing.assert_array_equal(whole[top : top + tile.shape[0], left : left + tile.shape[1]], tile)
    return int(top), int(left)


def has_colour(image, colour):
    return bool((image == np.array(colour, np.uint8)).all(-1).any())


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
    counts = dict.fromkeys(("both right", "fixed by GUM", "new error", "both wrong"), 0)
    for where in np.ndindex(truth.shape):
        if truth[where] != 255:
            right, baseline_right = guess[where] == truth[where], baseline[where] == truth[where]
            verdict = ("both right" if baseline_right else "fixed by GUM") if right else "both wrong"
            counts["new error" if not right and baseline_right else verdict] += 1
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


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The curves of `run()`."""
    return drawn(run(), tmp_path_factory.mktemp("plain"))


def coloured(image, name):
    """Rows in which a curve of this colour is drawn."""
    wanted = {"blue": (31, 119, 180), "green": (44, 160, 44), "grey": (127, 127, 127)}[name]
    return np.unique(np.nonzero((image == wanted).all(-1))[0])


def test_the_curves_are_a_png_with_loss_and_rate_above_miou(plain):
    assert plain.ndim == 3 and plain.shape[-1] == 3 and min(plain.shape[:2]) >= 500
    blue, grey, green = (coloured(plain, name) for name in ("blue", "grey", "green"))
    assert len(blue) > 50 and len(grey) > 20 and len(green) > 50
    assert blue.max() < green.min()


@pytest.mark.parametrize(("loss", "miou"), [(True, False), (False, True)])
def test_either_half_can_be_missing(loss, miou, tmp_path):
    image = drawn(run(loss=loss, miou=miou), tmp_path)
    # The axes' labels keep their colours, so that a curve is a matter of width.
    widths = {name: np.ptp(np.nonzero((image == colour).all(-1))[1]) for name, colour in
              (("blue", (31, 119, 180)), ("green", (44, 160, 44)))}  # fmt: skip
    assert (widths["blue"] > 400) == loss and (widths["green"] > 400) == miou


def test_of_rows_of_one_epoch_the_last_counts(plain, tmp_path):
    again = [{"epoch": 3, "loss": 9.0, "learning_rate": 1.0}, {"epoch": 3, "val/miou": 0.99}]
    np.testing.assert_array_equal(drawn(again + run(), tmp_path), plain)
    assert (drawn(run() + again, tmp_path) != plain).any()


def test_the_order_of_the_rows_does_not_matter(plain, tmp_path):
    np.testing.assert_array_equal(drawn(run()[::-1], tmp_path), plain)


def test_losses_that_are_not_finite_and_rows_without_epoch_are_left_out(plain, tmp_path):
    strange = [{"epoch": 9, "loss": float("nan")}, {"epoch": 10, "loss": float("inf")}, {"loss": 7.0}, {"epoch": 11}]
    missing = [{"epoch": 12, "loss": None}, {"epoch": None, "val/miou": 0.9}]
    np.testing.assert_array_equal(drawn(run() + strange + missing, tmp_path), plain)


def test_a_rate_that_ends_at_nought_is_drawn(tmp_path):
    drawn([*run(), {"epoch": 9, "loss": 0.1, "learning_rate": 0.0}], tmp_path)


def test_one_row_is_enough(tmp_path):
    image = drawn(run(1), tmp_path)
    for colour in ((31, 119, 180), (44, 160, 44)):  # a point amid the axes, whose labels are on the left
        assert (image[:, 300:500] == colour).all(-1).sum() > 5


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


def test_the_miou_of_a_split_of_another_name_is_drawn(plain, tmp_path):
    renamed = [{name.replace("val/", "valid/"): value for name, value in row.items()} for row in run()]
    np.testing.assert_array_equal(drawn(renamed, tmp_path), plain)


# Curves of several runs

BLUE, ORANGE = (31, 119, 180), (255, 127, 14)  # Matplotlib's first two colours


def compared(runs, tmp_path):
    comparison_figure(runs, tmp_path / "all.png")
    with Image.open(tmp_path / "all.png") as file:
        return np.asarray(file)


def places(image, colour):
    return np.argwhere((image == colour).all(-1))


def test_every_run_has_a_colour_in_both_halves_and_in_the_legend(tmp_path):
    image = compared({"first": run(), "second": run(4)}, tmp_path)
    height = len(image)
    for colour in (BLUE, ORANGE):
        rows = places(image, colour)[:, 0]
        for part in (rows < 0.45 * height, (rows > 0.5 * height) & (rows < 0.85 * height), rows > 0.93 * height):
            assert part.any()


def test_a_run_of_half_the_epochs_ends_half_way(tmp_path):
    image = compared({"first": run(9), "second": run(5)}, tmp_path)
    blue, orange = (places(image[: len(image) // 2], colour)[:, 1] for colour in (BLUE, ORANGE))
    begin = orange.min()  # where the second hides the first
    assert abs((orange.max() - begin) / (blue.max() - begin) - 0.5) < 0.01


def test_a_point_of_a_long_loss_is_the_mean_of_several(tmp_path):
    noisy = [{"epoch": i / 100, "loss": 1.0 + (-1) ** i} for i in range(6000)]
    flat = [{"epoch": i / 100, "loss": 1.0} for i in range(6000)]
    np.testing.assert_array_equal(compared({"a": noisy}, tmp_path), compared({"a": flat}, tmp_path))


@pytest.mark.parametrize("count", [1, 2, 12, 45])
def test_any_number_of_runs_has_its_legend_below_the_axes(tmp_path, count):
    image = compared({f"runs/{number} of some longer name": run(3) for number in range(count)}, tmp_path)
    ink = np.flatnonzero((image < 100).all(-1).any(1))  # lines of text, and axes
    assert len(image) - ink.max() < 40 and ink.min() > 0


def test_runs_without_miou_or_anything_are_drawn_or_refused(tmp_path):
    compared({"a": run(miou=False), "b": [{"epoch": 1}]}, tmp_path)
    (tmp_path / "all.png").unlink()
    assert "no row of 2 runs" in refusal(comparison_figure, {"a": [], "b": [{"epoch": 1}]}, tmp_path / "all.png")
    assert not list(tmp_path.iterdir())
