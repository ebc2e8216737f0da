"""Class maps against the Cityscapes project's own table, and files that are right or wrong in one way each."""

import json

import numpy as np
import pytest
from cityscapesscripts.helpers.labels import labels as official_labels

from gun_jax.data.classes import CAMVID, CITYSCAPES, IGNORE, ClassMap, load_class_map
from gun_jax.errors import InputError

SCORED = sorted((label for label in official_labels if 0 <= label.trainId < 255), key=lambda label: label.trainId)


def entry(**changes):
    """One class as it stands in a file; a change to None leaves the key out."""
    whole = {"name": "road", "color": [128, 64, 128], "values": [7]} | changes
    return {key: value for key, value in whole.items() if value is not None}


def written(tmp_path, content):
    path = tmp_path / "classes.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


# Cityscapes and CamVid


def test_cityscapes_has_the_benchmark_s_names_in_the_order_of_its_train_ids():
    assert CITYSCAPES.names == tuple(label.name for label in SCORED)


def test_cityscapes_has_the_benchmark_s_colours():
    assert CITYSCAPES.colors == tuple(label.color for label in SCORED)


def test_every_cityscapes_label_id_becomes_the_benchmark_s_train_id():
    lookup = CITYSCAPES.lookup()
    expected = {label.id: label.trainId for label in official_labels if label.id >= 0}
    assert {label_id: int(lookup[label_id]) for label_id in range(34)} == expected


def test_cityscapes_ignores_exactly_the_label_ids_that_the_benchmark_does_not_evaluate():
    ignored = {label_id for label_id in range(34) if CITYSCAPES.lookup()[label_id] == IGNORE}
    assert ignored == {label.id for label in official_labels if label.ignoreInEval and label.id >= 0}


def test_the_licence_plate_which_is_255_in_eight_bits_is_ignored():
    plate = next(label for label in official_labels if label.name == "license plate")
    assert CITYSCAPES.lookup()[plate.id % 256] == IGNORE


def test_cityscapes_knows_no_value_from_34_to_254():
    assert (CITYSCAPES.lookup()[34:255] == -1).all()


def test_camvid_keeps_its_eleven_classes_ignores_the_twelfth_value_and_knows_no_other():
    assert CAMVID.lookup().tolist() == [*range(11), 255] + [-1] * 244


# Palette and lookup


def test_a_palette_has_the_classes_colours_and_black_elsewhere():
    palette = ClassMap(("a", "b"), ((1, 2, 3), (250, 0, 9))).palette()
    assert palette.dtype == np.uint8 and palette.shape == (256, 3)
    assert palette[:2].tolist() == [[1, 2, 3], [250, 0, 9]] and not palette[2:].any()


def test_without_values_the_lookup_keeps_train_ids_and_255():
    lookup = ClassMap(("a", "b", "c"), ((0, 0, 0),) * 3).lookup()
    assert lookup.tolist() == [0, 1, 2] + [-1] * 252 + [255]


def test_the_length_is_the_number_of_classes():
    assert len(CITYSCAPES) == 19 and len(CAMVID) == 11


@pytest.mark.parametrize(
    ("names", "colors", "named"),
    [
        (("a", "b"), ((0, 0, 0),), "2 names but 1 colours"),
        ((), (), "0 classes"),
        (("x",) * 255, ((0, 0, 0),) * 255, "255 classes"),
    ],
)
def test_impossible_class_maps_stop_with_one_line(names, colors, named):
    with pytest.raises(InputError, match=named) as error:
        ClassMap(names, colors)
    assert "\n" not in str(error.value)


def test_254_classes_are_possible_and_do_not_touch_the_ignored_value():
    lookup = ClassMap(tuple(map(str, range(254))), ((0, 0, 0),) * 254).lookup()
    assert lookup[253] == 253 and lookup[254] == -1 and lookup[255] == 255


# Files


def test_a_file_gives_names_colours_and_values(tmp_path):
    content = {
        "classes": [
            {"name": "road", "color": [128, 64, 128], "values": [7, 6]},
            {"name": "sky", "color": [70, 130, 180], "values": [23]},
        ],
        "ignore": [0, 255],
    }
    classes = load_class_map(written(tmp_path, content))
    assert classes.names == ("road", "sky") and classes.colors == ((128, 64, 128), (70, 130, 180))
    known = {value: int(train_id) for value, train_id in enumerate(classes.lookup()) if train_id >= 0}
    assert known == {6: 0, 7: 0, 23: 1, 0: 255, 255: 255}


def test_a_file_without_values_and_ignore_means_places_and_255(tmp_path):
    content = {"classes": [{"name": name, "color": [1, 2, 3]} for name in "abc"]}
    assert load_class_map(written(tmp_path, content)).lookup().tolist() == [0, 1, 2] + [-1] * 252 + [255]


def test_a_file_of_cityscapes_written_from_the_official_table_is_the_built_in_map(tmp_path):
    content = {
        "classes": [{"name": label.name, "color": list(label.color), "values": [label.id]} for label in SCORED],
        "ignore": [label.id % 256 for label in official_labels if label.ignoreInEval],
    }
    assert load_class_map(str(written(tmp_path, content))) == CITYSCAPES


BAD_FILES = {
    "not JSON": "{'classes': ",
    "an empty file": "",
    "a list": [entry()],
    "null": "null",
    "no classes": {"ignore": [255]},
    "classes that are a number": {"classes": 3},
    "classes that are a table": {"classes": {"road": [7]}},
    "a class that is a word": {"classes": ["road"]},
    "a class without name": {"classes": [entry(name=None)]},
    "a class without colour": {"classes": [entry(color=None)]},
    "a colour of two numbers": {"classes": [entry(color=[1, 2])]},
    "a colour of four numbers": {"classes": [entry(color=[1, 2, 3, 4])]},
    "a colour that is a word": {"classes": [entry(color="red")]},
    "a colour above 255": {"classes": [entry(color=[0, 0, 256])]},
    "a colour below 0": {"classes": [entry(color=[0, -1, 0])]},
    "a colour in 0 to 1": {"classes": [entry(color=[0.5, 0.5, 1.0])]},
    "values that are no list": {"classes": [entry(values=7)]},
    "a value above 255": {"classes": [entry(values=[256])]},
    "a value that is true": {"classes": [entry(values=[True])]},
    "a value that is a word": {"classes": [entry(values=["7"])]},
    "a value of two classes": {"classes": [entry(), entry(name="sky")]},
    "a value ignored and of a class": {"classes": [entry()], "ignore": [7]},
    "ignore that is no list": {"classes": [entry()], "ignore": 255},
    "ignore below 0": {"classes": [entry()], "ignore": [-1]},
}


@pytest.mark.parametrize("content", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_file_is_named_on_one_line_with_what_was_expected(content, tmp_path):
    path = written(tmp_path, content)
    with pytest.raises(InputError) as error:
        load_class_map(path)
    assert str(path) in str(error.value) and "expected" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("count", [0, 255])
def test_a_file_of_too_few_or_too_many_classes_is_named_on_one_line(count, tmp_path):
    path = written(tmp_path, {"classes": [entry(values=[i]) for i in range(count)]})
    with pytest.raises(InputError) as error:
        load_class_map(path)
    assert str(path) in str(error.value) and "expected" in str(error.value) and "\n" not in str(error.value)


def test_a_value_ignored_twice_is_no_defect_of_ours(tmp_path):
    content = {"classes": [entry()], "ignore": [255, 255]}
    assert load_class_map(written(tmp_path, content)).lookup()[255] == IGNORE


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"classes": [entry(color=None)]}, "'color'"),
        ({"classes": [entry(color=[0, 0, 256])]}, "256"),
        ({"classes": [entry(), entry(name="sky")]}, "7 belongs to 'road' and to 'sky'"),
        ({"classes": [entry()], "ignore": [7]}, "7 is ignored and belongs to 'road'"),
    ],
)
def test_the_offending_entry_of_a_bad_file_is_named(content, named, tmp_path):
    with pytest.raises(InputError, match=named):
        load_class_map(written(tmp_path, content))


def test_a_file_that_is_not_text_is_named_on_one_line(tmp_path):
    path = tmp_path / "classes.json"
    path.write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(InputError, match=str(path)) as error:
        load_class_map(path)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named_with_an_example_of_one(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.json: No such file.*expected.*\"classes\"") as error:
        load_class_map(tmp_path / "nowhere.json")
    assert "\n" not in str(error.value)


def test_a_folder_in_place_of_a_file_is_named(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path}: Is a directory"):
        load_class_map(tmp_path)


@pytest.mark.parametrize(
    ("names", "message"), [(("a", "b", "a"), "2 classes are called 'a'"), (("a", " "), "called ' '")]
)
def test_each_class_has_a_name_of_its_own(names, message):
    with pytest.raises(InputError, match=message):
        ClassMap(names, ((0, 0, 0),) * len(names))
