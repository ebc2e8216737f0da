"""Colours as numbers and their train ids, against Python's own arithmetic, pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gun_jax.data.classes import IGNORE, ClassMap, load_class_map
from gun_jax.data.color_labels import nearest_color, pack_color, pack_colors, unpack_color
from gun_jax.errors import InputError

THREE = {(128, 64, 128): 0, (0, 0, 142): 1, (0, 0, 70): 1, (255, 255, 255): 2, (0, 0, 0): IGNORE}
colors = st.tuples(*[st.integers(0, 255)] * 3)


def color_map():
    values = {int("{:02x}{:02x}{:02x}".format(*color), 16): train_id for color, train_id in THREE.items()}
    return ClassMap(("road", "car", "snow"), ((128, 64, 128), (0, 0, 142), (255, 255, 255)), values, by_color=True)


def drawn(seed=0, size=(13, 17)):
    """Pixels of the map's colours."""
    return np.array(list(THREE), np.uint8)[np.random.default_rng(seed).integers(0, len(THREE), size)]


@settings(derandomize=True, deadline=None)
@given(colors)
def test_a_colour_s_number_is_that_of_the_web(color):
    assert f"{pack_color(color):06x}" == "{:02x}{:02x}{:02x}".format(*color)
    assert unpack_color(pack_color(color)) == color


def test_the_colours_of_an_image_are_the_numbers_of_its_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (7, 11, 3)).astype(np.uint8)
    packed = pack_colors(pixels)
    assert packed.shape == (7, 11) and packed.dtype == np.int32
    assert packed.tolist() == [[pack_color(map(int, pixel)) for pixel in row] for row in pixels]


def test_a_part_of_an_image_has_the_numbers_of_that_part():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 3)).astype(np.uint8)
    np.testing.assert_array_equal(pack_colors(pixels[1::2, ::-1]), pack_colors(pixels)[1::2, ::-1])


def test_every_pixel_gets_the_train_id_of_its_colour():
    pixels = drawn()
    ids = color_map().train_ids(pixels, "label a.png")
    assert ids.dtype == np.uint8
    assert ids.tolist() == [[THREE[tuple(map(int, pixel))] for pixel in row] for row in pixels]


def test_maps_do_not_get_each_other_s_train_ids():
    one = color_map()
    other = ClassMap(("a", "b"), ((1, 1, 1), (2, 2, 2)), {pack_color(color): 1 for color in THREE}, by_color=True)
    pixels = drawn()
    before = one.train_ids(pixels, "")
    assert (other.train_ids(pixels, "") == 1).all()
    np.testing.assert_array_equal(one.train_ids(pixels, ""), before)


def test_254_classes_are_told_apart_and_from_what_is_unknown():
    colors = [(i, 255 - i, i // 2) for i in range(254)]
    values = {pack_color(color): i for i, color in enumerate(colors)}
    classes = ClassMap(tuple(map(str, range(254))), tuple(colors), values, by_color=True)
    assert classes.train_ids(np.array([colors], np.uint8), "").tolist() == [list(range(254))]
    with pytest.raises(InputError):
        classes.train_ids(np.full((1, 1, 3), 9, np.uint8), "")


def test_a_colour_outside_the_map_is_named_with_its_first_place_and_the_nearest_class():
    pixels = np.full((6, 8, 3), (128, 64, 128), np.uint8)
    pixels[2, 3] = pixels[4, 1] = (1, 0, 75)
    with pytest.raises(InputError) as caught:
        color_map().train_ids(pixels, "label masks/a.png")
    message = str(caught.value)
    assert "label masks/a.png holds the colour (1, 0, 75) at row 2, column 3" in message and "\n" not in message
    assert "its nearest colour is (0, 0, 70), of 'car'" in message


def test_a_colour_near_an_ignored_one_is_reported_as_such():
    with pytest.raises(InputError, match=r"nearest colour is \(0, 0, 0\), which is ignored"):
        color_map().train_ids(np.full((1, 1, 3), 1, np.uint8), "a")


@settings(derandomize=True, deadline=None)
@given(colors, st.lists(colors, min_size=1, max_size=8))
def test_the_nearest_colour_is_that_of_numpy(color, others):
    distances = np.linalg.norm(np.subtract(others, color).astype(float), axis=1)
    found = unpack_color(nearest_color(pack_color(color), map(pack_color, others)))
    assert np.linalg.norm(np.subtract(found, color)) == distances.min()


# Files


def test_a_file_of_colours_has_a_class_s_own_colour_and_ignores_nothing_else(tmp_path):
    path = tmp_path / "classes.json"
    path.write_text(
        '{"labels": "colors", "classes": [{"name": "a", "color": [1, 2, 3]}, {"name": "b", "color": [4, 5, 6]}]}'
    )
    classes = load_class_map(path)
    assert classes.by_color and classes.values == {0x010203: 0, 0x040506: 1}


def test_a_class_of_several_colours_lists_them_and_what_is_ignored_is_colours(tmp_path):
    path = tmp_path / "classes.json"
    path.write_text(
        '{"labels": "colors", "ignore": [[0, 0, 0], [9, 9, 9]], "comment": "from the web", '
        '"classes": [{"name": "a", "color": [1, 2, 3], "values": [[1, 0, 0], [0, 1, 0]], "comment": "two"}]}'
    )
    assert load_class_map(path).values == {0x010000: 0, 0x000100: 0, 0: IGNORE, 0x090909: IGNORE}


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ('{"labels": "images", "classes": []}', "'images'"),
        ('{"labels": "colors", "classes": [{"name": "a", "color": [1, 2, 3], "values": [7]}]}', "7 is not a colour"),
        ('{"labels": "colors", "classes": [{"name": "a", "color": [1, 2, 3], "values": [[1, 2]]}]}', r"\[1, 2\]"),
        ('{"labels": "colors", "classes": [{"name": "a", "color": [1, 2, 3], "values": [[1, 2, 256]]}]}', "256"),
        ('{"labels": "colors", "ignore": [255], "classes": [{"name": "a", "color": [1, 2, 3]}]}', "255 is not a col"),
        (
            '{"labels": "colors", "classes": [{"name": "a", "color": [1, 2, 3]}, {"name": "b", "color": [1, 2, 3]}]}',
            r"value \(1, 2, 3\) belongs to 'a' and to 'b'",
        ),
        (
            '{"labels": "colors", "ignore": [[1, 2, 3]], "classes": [{"name": "a", "color": [1, 2, 3]}]}',
            r"value \(1, 2, 3\) is ignored and belongs to 'a'",
        ),
    ],
)
def test_a_bad_file_of_colours_is_refused_in_a_line_that_names_what_is_bad(tmp_path, content, named):
    path = tmp_path / "classes.json"
    path.write_text(content)
    with pytest.raises(InputError, match=named) as caught:
        load_class_map(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_files_of_numbers_mean_what_they_meant(tmp_path):
    path = tmp_path / "classes.json"
    path.write_text('{"labels": "numbers", "classes": [{"name": "a", "color": [1, 2, 3], "values": [7]}]}')
    classes = load_class_map(path)
    assert not classes.by_color and classes.values == {7: 0, 255: IGNORE}
