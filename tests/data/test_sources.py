"""The sources by name, on folders that the tests draw: what each reads, where it is looked for, and what is missing."""

import pathlib
import types

import numpy as np
import pytest
from cityscapesscripts.helpers.labels import id2label
from reference_folders import SIZE, ids, image, label, refusal

from gun_jax.data.classes import CAMVID, CITYSCAPES
from gun_jax.data.sources import find_data_dir, load_source


def settings(source, **changes):
    """The `data` section of a configuration, as far as sources look at it."""
    return types.SimpleNamespace(
        **{
            "source": source,
            "dir": "",
            "images": "{split}/images",
            "labels": "{split}/labels",
            "classes": "classes.json",
            "image_ending": "",
            "label_ending": ".png",
            "split_list": "",
            "partial": True,
            "synthetic_size": (32, 64),
            "synthetic_train": 5,
            "synthetic_val": 3,
            "synthetic_seed": 0,
        }
        | changes
    )


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory, monkeypatch):
    """An empty current folder, and nothing in the environment that says where data lies."""
    monkeypatch.delenv("GUN_DATA_DIR", raising=False)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))


# Cityscapes


@pytest.fixture
def cityscapes(tmp_path):
    """Two frames in the layout of the two archives, with all the files that these hold."""
    for city, name, seed in (("ulm", "ulm_000001_000019", 1), ("bochum", "bochum_000000_000313", 2)):
        image(tmp_path / f"leftImg8bit/train/{city}/{name}_leftImg8bit.png", seed)
        label(tmp_path / f"gtFine/train/{city}/{name}_gtFine_labelIds.png", range(34), seed)
        label(tmp_path / f"gtFine/train/{city}/{name}_gtFine_labelTrainIds.png", [0], seed)
        label(tmp_path / f"gtFine/train/{city}/{name}_gtFine_instanceIds.png", [0], seed)
        image(tmp_path / f"gtFine/train/{city}/{name}_gtFine_color.png", seed)
        (tmp_path / f"gtFine/train/{city}/{name}_gtFine_polygons.json").write_text("{}")
    return tmp_path


def test_cityscapes_pairs_images_with_label_ids_as_the_benchmark_s_train_ids(cityscapes):
    source = load_source(settings("cityscapes", dir=str(cityscapes)), "train")
    assert ids(source) == ["bochum/bochum_000000_000313", "ulm/ulm_000001_000019"]
    assert source.classes is CITYSCAPES
    for record, seed in ((source[0], 2), (source[1], 1)):
        values = np.random.default_rng(seed).choice(range(34), SIZE)
        np.testing.assert_array_equal(record["label"], np.vectorize(lambda i: id2label[i].trainId)(values))
        pixels = np.random.default_rng(seed).integers(0, 256, (*SIZE, 3))
        np.testing.assert_array_equal(record["image"], pixels)


def test_a_split_that_was_not_unpacked_is_missing_data(cityscapes):
    message = refusal(load_source, settings("cityscapes", dir=str(cityscapes)), "val")
    assert "Cityscapes is missing" in message and "leftImg8bit/val" in message


def test_cityscapes_without_its_labels_names_their_folder(tmp_path):
    image(tmp_path / "leftImg8bit/train/ulm/ulm_000001_000019_leftImg8bit.png")
    message = refusal(load_source, settings("cityscapes", dir=str(tmp_path)), "train")
    assert str(tmp_path / "gtFine/train") in message


# CamVid


def camvid(root, split="train"):
    image(root / split / "0001TP_006690.png")
    return label(root / f"{split}annot" / "0001TP_006690.png", range(12))


def test_camvid_pairs_its_folders_and_ignores_what_is_void(tmp_path):
    values = camvid(tmp_path, "val")
    source = load_source(settings("camvid", dir=str(tmp_path)), "val")
    assert ids(source) == ["0001TP_006690"] and source.classes is CAMVID
    assert (values == 11).any()
    np.testing.assert_array_equal(source[0]["label"], np.where(values == 11, 255, values))


# A part of a split


@pytest.fixture
def drives(tmp_path):
    """CamVid's training split with five frames of three drives."""
    for name in ("0001TP_01", "0006R0_01", "0006R0_02", "0016E5_01", "0016E5_02"):
        image(tmp_path / "train" / f"{name}.png")
        label(tmp_path / "trainannot" / f"{name}.png", range(12))
    return settings("camvid", dir=str(tmp_path))


@pytest.mark.parametrize("drive", ["0001TP", "0006R0", "0016E5"])
def test_a_drive_and_all_others_are_the_two_parts_of_a_split(drives, drive):
    every = ids(load_source(drives, "train"))
    assert ids(load_source(drives, f"train@{drive}")) == [name for name in every if name.startswith(drive)]
    assert ids(load_source(drives, f"train@-{drive}")) == [name for name in every if not name.startswith(drive)]


def test_the_parts_of_a_split_are_other_data_than_the_split(drives):
    sources = [load_source(drives, split) for split in ("train", "train@0006R0", "train@-0006R0")]
    assert len({source.identity for source in sources}) == 3


@pytest.mark.parametrize("part", ["0006R", "-0006R", "-"])
def test_a_drive_that_there_is_not_is_refused_with_those_there_are(drives, part):
    message = refusal(load_source, drives, f"train@{part}")
    assert f"has no part '{part}'; expected one of 0001TP, 0006R0, 0016E5, or one with - before it" in message


def test_a_part_of_cityscapes_is_a_city_and_is_not_checked_to_be_whole(cityscapes):
    whole = settings("cityscapes", dir=str(cityscapes), partial=False)
    assert ids(load_source(whole, "train@-ulm")) == ["bochum/bochum_000000_000313"]
    assert "found 2 of the 2975" in refusal(load_source, whole, "train")


# A folder of one's own


def test_a_folder_has_its_class_map_beside_its_splits(tmp_path):
    image(tmp_path / "train/images/a.jpg", size=SIZE)
    values = label(tmp_path / "train/labels/a.png", [3, 200])
    (tmp_path / "classes.json").write_text(
        '{"classes": [{"name": "yes", "color": [1, 2, 3], "values": [200]}], "ignore": [3]}'
    )
    source = load_source(settings("folder", dir=str(tmp_path)), "train")
    assert source.classes.names == ("yes",)
    np.testing.assert_array_equal(source[0]["label"], np.where(values == 200, 0, 255))


def test_the_folders_and_the_class_map_s_name_are_settings(tmp_path):
    image(tmp_path / "photos-test/a.png")
    label(tmp_path / "masks/test/a.png", [0])
    (tmp_path / "map.json").write_text('{"classes": [{"name": "yes", "color": [1, 2, 3]}]}')
    names = {"images": "photos-{split}", "labels": "masks/{split}", "classes": "map.json"}
    assert ids(load_source(settings("folder", dir=str(tmp_path), **names), "test")) == ["a"]


def test_the_endings_and_the_lists_of_the_splits_are_settings(tmp_path):
    for key in ("a", "b", "c"):
        image(tmp_path / f"all/{key}_rgb.png")
        label(tmp_path / f"all/{key}_L.png", [0])
    (tmp_path / "classes.json").write_text('{"classes": [{"name": "yes", "color": [1, 2, 3]}]}')
    (tmp_path / "train.txt").write_bytes(b"c\r\n\na\n")
    (tmp_path / "val.txt").write_text("b")
    folders = {"images": "all", "labels": "all", "image_ending": "_rgb.png", "label_ending": "_L.png"}
    data = settings("folder", dir=str(tmp_path), split_list="{split}.txt", **folders)
    assert ids(load_source(data, "train")) == ["a", "c"] and ids(load_source(data, "val")) == ["b"]
    assert ids(load_source(settings("folder", dir=str(tmp_path), **folders), "val")) == ["a", "b", "c"]


def test_a_split_whose_list_is_missing_is_refused_by_the_file(tmp_path):
    image(tmp_path / "images/a.png")
    (tmp_path / "classes.json").write_text('{"classes": [{"name": "yes", "color": [1, 2, 3]}]}')
    data = settings("folder", dir=str(tmp_path), images="images", labels="images", split_list="{split}.txt")
    assert str(tmp_path / "test.txt") in refusal(load_source, data, "test")
    data.split_list = "nul\0"
    assert "list of a split" in refusal(load_source, data, "test")


def test_a_folder_without_class_map_names_the_file_that_is_missing(tmp_path):
    image(tmp_path / "train/images/a.png")
    label(tmp_path / "train/labels/a.png")
    message = refusal(load_source, settings("folder", dir=str(tmp_path)), "train")
    assert str(tmp_path / "classes.json") in message and "No such file" in message


# Where data is looked for


def test_the_environment_says_where_data_lies(tmp_path, monkeypatch):
    camvid(tmp_path)
    monkeypatch.setenv("GUN_DATA_DIR", str(tmp_path))
    assert find_data_dir(settings("camvid")) == tmp_path
    assert len(load_source(settings("camvid"), "train")) == 1


def test_the_setting_goes_before_the_environment(tmp_path, monkeypatch):
    for name in ("one", "other"):
        camvid(tmp_path / name)
    monkeypatch.setenv("GUN_DATA_DIR", str(tmp_path / "other"))
    assert find_data_dir(settings("camvid", dir=str(tmp_path / "one"))) == tmp_path / "one"


def test_without_either_data_lies_below_the_current_folder():
    camvid(pathlib.Path("data"))
    found = find_data_dir(settings("camvid"))
    assert found == pathlib.Path.cwd() / "data" and found.is_absolute()


def test_a_folder_of_data_sets_holds_one_of_the_source_s_name(tmp_path):
    camvid(tmp_path / "camvid")
    assert find_data_dir(settings("camvid", dir=str(tmp_path))) == tmp_path / "camvid"


def test_a_relative_setting_becomes_an_absolute_folder():
    camvid(pathlib.Path("here"))
    assert find_data_dir(settings("camvid", dir="here")) == pathlib.Path.cwd() / "here"


def test_the_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    camvid(tmp_path / "sets")
    assert find_data_dir(settings("camvid", dir="~/sets")) == tmp_path / "sets"


def test_another_split_is_looked_for_in_its_own_folder(tmp_path):
    camvid(tmp_path, "val")
    assert find_data_dir(settings("camvid", dir=str(tmp_path)), "val") == tmp_path
    refusal(find_data_dir, settings("camvid", dir=str(tmp_path)), "train")


@pytest.mark.parametrize(
    ("source", "looked_for", "remedy"),
    [
        ("cityscapes", "leftImg8bit/val", "leftImg8bit_trainvaltest.zip"),
        ("camvid", "val", "SegNet split"),
        ("folder", "val/images", "your images"),
    ],
)
def test_missing_data_says_what_was_looked_for_where_and_what_to_do(source, looked_for, remedy, tmp_path):
    message = refusal(load_source, settings(source, dir=str(tmp_path)), "val")
    assert f"looked for {looked_for} in {tmp_path} and in {tmp_path / source}" in message
    assert remedy in message and "GUN_DATA_DIR=" in message and "--config.data.dir=" in message


def test_missing_data_without_any_setting_names_the_absolute_default_folder():
    assert f"in {pathlib.Path.cwd() / 'data'} " in refusal(load_source, settings("cityscapes"), "train")


def test_an_unknown_source_is_named_with_those_there_are():
    message = refusal(load_source, settings("kitti"), "train")
    assert "'kitti'" in message
    assert all(name in message for name in ("synthetic", "cityscapes", "camvid", "folder"))
    refusal(find_data_dir, settings("kitti"))


# Drawn scenes


def test_drawn_scenes_have_the_set_length_and_size_and_need_no_folder():
    data = settings("synthetic")
    source = load_source(data, "train")
    assert len(source) == 5 and len(load_source(data, "val")) == 3
    assert source[0]["image"].shape == (32, 64, 3)
    assert find_data_dir(data) is None


def test_no_scene_is_drawn_in_both_splits_or_with_two_seeds():
    sources = [
        load_source(settings("synthetic", synthetic_seed=s), split) for s in (0, 1) for split in ("train", "val")
    ]
    scenes = [source[i]["image"].tobytes() for source in sources for i in range(3)]
    assert len(set(scenes)) == len(scenes)


def test_drawn_scenes_have_no_other_split():
    message = refusal(load_source, settings("synthetic"), "test")
    assert "'test'" in message and "train or val" in message
