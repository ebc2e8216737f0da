"""What images and labels hold, against NumPy's count of every pixel."""

import collections

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from reference_own_data import SIZE, photo, save

from gun_jax.data.classes import ClassMap
from gun_jax.data.folders import FolderSource
from gun_jax.errors import InputError
from gun_jax.own_data.label_stats import LabelStats, count, count_labels, palette_of, shows_colors

ANY = ClassMap(("any",), ((0, 0, 0),))
RED_BLUE = np.array([(200, 0, 0), (0, 0, 9)])


@pytest.fixture
def folder(tmp_path):
    """Four pairs, of two sizes; labels of the numbers 3, 7 and, in one, 9."""
    labels = {}
    for number, size in enumerate([SIZE, SIZE, SIZE, (6, 8)]):
        photo(tmp_path / f"images/{number}.jpg", number, size)
        labels[number] = np.random.default_rng(number).choice([3, 7], size)
        labels[number][0, 0] = 9 if number == 2 else 3
        save(tmp_path / f"labels/{number}.png", labels[number])
    return tmp_path, labels


def taken(root, by_color=False, classes=None):
    calls = []
    source = FolderSource(root / "images", root / "labels", ANY)
    stats = count_labels(source, by_color, classes, 2, lambda: calls.append(1))
    assert len(calls) == len(source)
    return stats


@settings(derandomize=True, deadline=None)
@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=1, max_dims=3), elements=st.integers(0, 5)))
def test_counting_runs_counts_pixels(values):
    found, pixels = count(values)
    expected = collections.Counter(values.ravel().tolist())
    assert dict(zip(found.tolist(), pixels.tolist(), strict=True)) == expected
    assert sorted(found) == list(found)


def test_a_census_counts_pixels_images_and_sizes(folder):
    root, labels = folder
    stats = taken(root)
    everything = collections.Counter(np.concatenate([label.ravel() for label in labels.values()]).tolist())
    assert stats.pixels == everything and stats.occurs == {3: 4, 7: 4, 9: 1}
    assert stats.images == 4 and stats.sizes == {SIZE: 3, (6, 8): 1}


def test_counts_by_a_class_map_have_a_train_id_of_several_values_once_an_image(folder):
    root, labels = folder
    stats = taken(root, classes=ClassMap(("a",), ((0, 0, 0),), {3: 0, 7: 0, 9: 255}))
    ignored = sum((label == 9).sum() for label in labels.values())
    assert stats.pixels == {0: sum(label.size for label in labels.values()) - ignored, 255: ignored}
    assert stats.occurs == {0: 4, 255: 1}


def test_a_value_outside_a_class_map_is_refused_by_file_and_place(folder):
    root, _ = folder
    with pytest.raises(InputError, match=r"labels/2\.png holds 9 at row 0, column 0"):
        taken(root, classes=ClassMap(("a", "b"), ((0, 0, 0),) * 2, {3: 0, 7: 1}))


def test_a_census_of_colours_counts_them_as_numbers(tmp_path):
    photo(tmp_path / "images/a.png")
    which = np.random.default_rng(0).integers(0, 2, SIZE)
    save(tmp_path / "labels/a.png", RED_BLUE[which])
    stats = taken(tmp_path, by_color=True)
    assert stats.pixels == {0xC80000: (which == 0).sum(), 0x000009: (which == 1).sum()}


def test_a_label_of_another_size_than_its_image_is_refused(folder):
    root, _ = folder
    save(root / "labels/3.png", np.zeros((6, 9)))
    with pytest.raises(InputError, match=r"labels/3\.png is 9x6 .*, its image .*3\.jpg 8x6"):
        taken(root)


@pytest.mark.parametrize("channels", [(), (3,)], ids=["grey", "colours"])
def test_a_photo_in_place_of_a_label_is_refused(tmp_path, channels):
    photo(tmp_path / "images/a.png", size=(40, 40))
    save(tmp_path / "labels/a.png", np.resize(np.random.default_rng(0).permutation(256), (40, 40, *channels)))
    what = "colours" if channels else "numbers"
    with pytest.raises(InputError, match=rf"more than 255 {what}, \d+ of them .*a\.png") as caught:
        taken(tmp_path, by_color=bool(channels))
    assert "\n" not in str(caught.value)


def test_two_censuses_add_up(folder):
    root, _ = folder
    whole = taken(root) + taken(root)
    assert whole.images == 8 and whole.occurs[9] == 2 and whole.pixels[9] == 2 * taken(root).pixels[9]


def test_a_census_by_class_has_train_ids_for_values():
    stats = LabelStats(
        3, collections.Counter({SIZE: 3}), collections.Counter({7: 5, 255: 2}), collections.Counter({7: 3})
    )
    mapped = stats.by_class(ClassMap(("a", "b"), ((0, 0, 0),) * 2, {1: 0, 7: 1, 255: 255}))
    assert mapped.pixels == {1: 5, 255: 2} and mapped.occurs == {1: 3} and mapped.images == 3


# Numbers or colours


def labelled(tmp_path, *drawn):
    paths = [tmp_path / f"{number}.png" for number in range(len(drawn))]
    for path, image in zip(paths, drawn, strict=True):
        image.save(path)
    return paths


def with_palette(*colors):
    image = Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([part for color in colors for part in color])
    return image


GREY = Image.fromarray(np.array([[0, 7]], np.uint8))
RGB = Image.fromarray(np.array([[(0, 0, 7), (1, 1, 1)]], np.uint8))


@pytest.mark.parametrize(
    ("drawn", "colors"),
    [
        ([GREY, GREY], False),
        ([GREY, with_palette((1, 2, 3), (4, 5, 6))], False),
        ([with_palette((1, 2, 3), (4, 5, 6)), with_palette((1, 2, 3), (4, 5, 6), (7, 8, 9))], False),
        ([with_palette((1, 2, 3), (4, 5, 6)), with_palette((4, 5, 6), (1, 2, 3))], True),
        ([GREY, RGB], True),
        ([RGB.convert("RGBA")], True),
    ],
    ids=["grey", "palette", "a longer palette", "a palette in another order", "one RGB", "RGBA"],
)
def test_labels_show_colours_where_numbers_cannot_be_meant(tmp_path, drawn, colors):
    assert shows_colors(labelled(tmp_path, *drawn)) == colors


def test_sixteen_bits_a_pixel_are_refused(tmp_path):
    paths = labelled(tmp_path, Image.fromarray(np.array([[0, 700]], np.uint16)))
    with pytest.raises(InputError, match="mode I;16"):
        shows_colors(paths)


def test_the_palette_is_the_longest_that_has_a_colour(tmp_path):
    paths = labelled(tmp_path, with_palette((1, 2, 3), (4, 5, 6)), with_palette((1, 2, 3), (4, 5, 6), (7, 8, 9)), GREY)
    assert palette_of(paths)[:3].tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert palette_of(labelled(tmp_path, GREY, with_palette((1, 1, 1), (2, 2, 2)))) is None
