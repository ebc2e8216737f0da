"""Folders of images and labels: what is paired and read, and what is refused in which words."""

import hashlib
import json
import pickle

import numpy as np
import pytest
from PIL import Image
from reference_folders import SIZE, draw, ids, image, label, refusal

from gun_jax.data.classes import ClassMap
from gun_jax.data.sources import FolderSource

THREE = ClassMap(("a", "b", "c"), ((1, 0, 0), (2, 0, 0), (3, 0, 0)), {5: 0, 6: 1, 7: 2, 9: 255})


@pytest.fixture
def folders(tmp_path):
    return tmp_path / "images", tmp_path / "labels"


# Pairs


def test_a_record_is_the_image_the_train_ids_and_the_path_without_ending(folders):
    images, labels = folders
    pixels = image(images / "a.png")
    values = label(labels / "a.png")
    record = FolderSource(images, labels, THREE)[0]
    train_ids = {5: 0, 6: 1, 7: 2, 9: 255}
    np.testing.assert_array_equal(record["image"], pixels)
    np.testing.assert_array_equal(record["label"], np.vectorize(train_ids.get)(values))
    assert record["image"].dtype == record["label"].dtype == np.uint8 and record["id"] == "a"


def test_pairs_are_made_by_path_in_nested_folders(folders):
    images, labels = folders
    expected = {}
    for number, key in enumerate(["a", "berlin/a", "berlin/mitte/a", "ulm/b"]):
        image(images / f"{key}.png", seed=number)
        expected[key] = label(labels / f"{key}.png", seed=number)
    source = FolderSource(images, labels, THREE)
    assert sorted(ids(source)) == sorted(expected)
    for record in map(source.__getitem__, range(4)):
        values = np.array([5, 6, 7])[record["label"] % 255]
        counted = record["label"] != 255
        np.testing.assert_array_equal(values[counted], expected[record["id"]][counted])


def test_the_order_is_that_of_the_paths_whenever_the_files_were_made(folders):
    images, labels = folders
    for key in ("c", "b/z", "a", "b/a"):
        image(images / f"{key}.png")
        label(labels / f"{key}.png")
    assert ids(FolderSource(images, labels, THREE)) == ["a", "b/a", "b/z", "c"]


def test_endings_choose_and_pair_the_files(folders):
    images, labels = folders
    image(images / "berlin/a_image.png")
    image(images / "berlin/a_depth.png")
    label(labels / "berlin/a_label.png")
    label(labels / "berlin/a_instance.png")
    assert ids(FolderSource(images, labels, THREE, "_image.png", "_label.png")) == ["berlin/a"]


@pytest.mark.parametrize("ending", ["png", "jpg", "jpeg", "bmp", "tif", "tiff", "webp", "PNG", "JPG", "Jpeg"])
def test_images_have_any_usual_ending_in_small_or_capital_letters(ending, folders):
    images, labels = folders
    image(images / f"a.{ending}")
    label(labels / "a.PNG")
    assert ids(FolderSource(images, labels, THREE)) == ["a"]


def test_other_files_hidden_ones_and_labels_without_image_do_not_matter(folders):
    images, labels = folders
    image(images / "a.png")
    (images / "notes.txt").write_text("no image")
    (images / "._a.png").write_text("what macOS leaves behind")
    (images / "folder.png").mkdir()
    label(labels / "a.png")
    label(labels / "b.png")
    assert ids(FolderSource(images, labels, THREE)) == ["a"]


def test_links_to_files_and_to_the_folder_itself_are_followed(tmp_path):
    image(tmp_path / "stored/x.png")
    label(tmp_path / "stored_labels/x.png")
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.png").symlink_to(tmp_path / "stored/x.png")
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.png").symlink_to(tmp_path / "stored_labels/x.png")
    (tmp_path / "labels").symlink_to(tmp_path / "real")
    assert ids(FolderSource(tmp_path / "images", tmp_path / "labels", THREE)) == ["a"]


def test_linked_folders_within_the_folder_are_followed(tmp_path):
    image(tmp_path / "images/ulm/a.png")
    label(tmp_path / "labels/ulm/a.png")
    image(tmp_path / "stored/b.png")
    label(tmp_path / "stored_labels/b.png")
    (tmp_path / "images/berlin").symlink_to(tmp_path / "stored")
    (tmp_path / "labels/berlin").symlink_to(tmp_path / "stored_labels")
    assert ids(FolderSource(tmp_path / "images", tmp_path / "labels", THREE)) == ["berlin/b", "ulm/a"]


def test_a_broken_link_is_no_image(folders):
    images, labels = folders
    image(images / "a.png")
    (images / "b.png").symlink_to(images / "nowhere.png")
    label(labels / "a.png")
    assert ids(FolderSource(images, labels, THREE)) == ["a"]


@pytest.fixture
def source_of_one(folders):
    """A source of one pair, "a"."""
    images, labels = folders
    image(images / "a.png")
    label(labels / "a.png")
    return FolderSource(images, labels, THREE)


def test_there_is_no_pair_past_the_end(source_of_one):
    assert len(source_of_one) == 1
    with pytest.raises(IndexError):
        source_of_one[1]


def test_numpy_numbers_are_indices_and_fractions_are_not(source_of_one):
    assert source_of_one[np.int64(0)]["id"] == "a"
    with pytest.raises(TypeError):
        source_of_one[0.0]


# Labels in colours, images and labels in one folder, chosen pairs

COLORS = ClassMap(("a", "b"), ((200, 0, 0), (0, 0, 9)), {0xC80000: 0, 0x000009: 1, 0: 255}, by_color=True)
RED_BLUE_BLACK = np.array([(200, 0, 0), (0, 0, 9), (0, 0, 0)])


def coloured(path, seed=0, mode="RGB"):
    """A label in the map's colours; what it means, as train ids."""
    ids = np.random.default_rng(seed).integers(0, 3, SIZE)
    path.parent.mkdir(parents=True, exist_ok=True)
    if mode == "P":
        drawn = Image.fromarray(ids.astype(np.uint8))
        drawn.putpalette(RED_BLUE_BLACK.ravel().tolist())
    else:
        drawn = Image.fromarray(RED_BLUE_BLACK[ids].astype(np.uint8)).convert(mode)
    drawn.save(path)
    return np.array([0, 1, 255])[ids]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_labels_in_colours_are_read_by_a_map_of_colours(folders, mode):
    images, labels = folders
    image(images / "a.png")
    expected = coloured(labels / "a.png", mode=mode)
    record = FolderSource(images, labels, COLORS)[0]
    assert record["label"].dtype == np.uint8
    np.testing.assert_array_equal(record["label"], expected)


def test_a_strange_colour_is_named_with_its_file(folders):
    images, labels = folders
    image(images / "a.png")
    draw(labels / "a.png", np.full((*SIZE, 3), 77))
    message = refusal(FolderSource(images, labels, COLORS).__getitem__, 0)
    assert f"label {labels / 'a.png'} holds the colour (77, 77, 77) at row 0, column 0" in message


def test_labels_in_colours_with_a_map_of_numbers_are_told_what_to_say(folders):
    images, labels = folders
    image(images / "a.png")
    coloured(labels / "a.png")
    assert '"labels": "colors"' in refusal(FolderSource(images, labels, THREE).__getitem__, 0)


def test_a_label_in_colours_of_another_size_is_named(folders):
    images, labels = folders
    image(images / "a.png", size=(4, 4))
    coloured(labels / "a.png")
    assert "expected the same size" in refusal(FolderSource(images, labels, COLORS).__getitem__, 0)


def test_another_map_of_colours_is_another_data_set(folders):
    images, labels = folders
    image(images / "a.png")
    coloured(labels / "a.png")
    same = ClassMap(("x", "y"), ((1, 1, 1), (2, 2, 2)), dict(COLORS.values), by_color=True)
    other = ClassMap(("a", "b"), COLORS.colors, {**COLORS.values, 0: 1}, by_color=True)
    one, two, three = (FolderSource(images, labels, classes).identity for classes in (COLORS, same, other))
    assert one == two != three


def test_the_identity_of_a_map_of_numbers_is_what_checkpoints_of_before_have(folders):
    images, labels = folders
    image(images / "a.png")
    label(labels / "a.png")
    names = json.dumps([["a"], [{5: 0, 6: 1, 7: 2, 9: 255}.get(value, -1) for value in range(256)]])
    digest = hashlib.sha256(names.encode()).hexdigest()[:16]
    assert FolderSource(images, labels, THREE).identity == f"1 pairs {digest}"


def test_images_and_labels_may_lie_in_one_folder(tmp_path):
    for key in ("a", "b", "c/d"):
        image(tmp_path / f"{key}.png")
        label(tmp_path / f"{key}_mask.png")
    assert ids(FolderSource(tmp_path, tmp_path, THREE, label_ending="_mask.png")) == ["a", "b", "c/d"]
    assert ids(FolderSource(tmp_path, None, THREE, label_ending="_mask.png")) == ["a", "b", "c/d"]


def test_in_one_folder_the_longer_ending_says_what_a_file_is(tmp_path):
    image(tmp_path / "a_image.png")
    label(tmp_path / "a.png")
    assert ids(FolderSource(tmp_path, tmp_path, THREE, image_ending="_image.png")) == ["a"]


def test_chosen_pairs_are_all_that_there_is(folders):
    images, labels = folders
    for key in ("a", "b", "c"):
        image(images / f"{key}.png")
    label(labels / "a.png")
    label(labels / "c.png")
    assert ids(FolderSource(images, labels, THREE, chosen=["c", "a", "c"])) == ["a", "c"]
    chosen, others = (FolderSource(images, labels, THREE, chosen=keys).identity for keys in (["a"], ["c"]))
    assert chosen != others


@pytest.mark.parametrize(("chosen", "words"), [(["a", "z"], "no image 'z'"), ([], "names none")])
def test_a_choice_that_is_not_there_is_refused(folders, chosen, words):
    images, labels = folders
    image(images / "a.png")
    label(labels / "a.png")
    message = refusal(lambda: FolderSource(images, labels, THREE, chosen=chosen))
    assert words in message and str(images) in message


def test_a_pickled_source_reads_the_same(source_of_one):
    copy = pickle.loads(pickle.dumps(source_of_one))
    assert copy.classes == source_of_one.classes
    np.testing.assert_array_equal(copy[0]["label"], source_of_one[0]["label"])


# What is refused


def test_an_image_without_label_is_named_with_the_label_that_was_expected(folders):
    images, labels = folders
    for key in ("a", "berlin/b", "c"):
        image(images / f"{key}.png")
    label(labels / "a.png")
    message = refusal(FolderSource, images, labels, THREE)
    assert str(images / "berlin/b.png") in message and str(labels / "berlin/b.png") in message
    assert "of 3 images 2 have none" in message


def test_a_missing_folder_is_named(folders):
    images, labels = folders
    image(images / "a.png")
    assert f"folder {labels} does not exist" in refusal(FolderSource, images, labels, THREE)
    assert f"folder {labels} does not exist" in refusal(FolderSource, labels, images, THREE)


def test_an_empty_folder_is_named_with_the_endings_that_were_looked_for(folders):
    images, labels = folders
    images.mkdir()
    (images / "a.txt").touch()
    message = refusal(FolderSource, images, labels, THREE)
    assert str(images) in message and ".png" in message and ".jpg" in message


def test_two_images_of_one_name_are_refused_by_both_names(folders):
    images, labels = folders
    image(images / "a.png")
    image(images / "a.jpg")
    label(labels / "a.png")
    message = refusal(FolderSource, images, labels, THREE)
    assert "a.png" in message and "a.jpg" in message


def test_sizes_that_differ_are_named_with_both_files(folders):
    images, labels = folders
    image(images / "a.png", size=(6, 8))
    label(labels / "a.png", size=(8, 6))
    message = refusal(FolderSource(images, labels, THREE).__getitem__, 0)
    assert f"{images / 'a.png'} 8x6" in message and f"{labels / 'a.png'} is 6x8" in message


def test_a_value_outside_the_class_map_is_named_with_its_place_and_the_values_expected(folders):
    images, labels = folders
    image(images / "a.png")
    values = np.full(SIZE, 5)
    values[2, 3] = values[4, 1] = 8
    draw(labels / "a.png", values)
    message = refusal(FolderSource(images, labels, THREE).__getitem__, 0)
    assert str(labels / "a.png") in message and "holds 8 at row 2, column 3" in message
    assert "expected one of 5 to 7, 9" in message


@pytest.mark.parametrize("broken", ["images", "labels"])
def test_a_broken_file_is_named_when_it_is_read(broken, folders, tmp_path):
    images, labels = folders
    image(images / "a.png")
    label(labels / "a.png")
    (tmp_path / broken / "a.png").write_bytes(b"no image")
    source = FolderSource(images, labels, THREE)
    assert str(tmp_path / broken / "a.png") in refusal(source.__getitem__, 0)
