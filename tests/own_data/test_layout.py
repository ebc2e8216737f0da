"""Where images and labels are found, in the layouts that data sets have; and what is read from what was found."""

import pytest
from reference_own_data import fill, photo, save

from gun_jax.data.classes import ClassMap
from gun_jax.data.folders import IMAGE_ENDINGS, FolderSource
from gun_jax.errors import InputError
from gun_jax.own_data.endings import find_endings
from gun_jax.own_data.layout import find_layout, split_by_name

ANY = ClassMap(("any",), ((0, 0, 0),))
TEN = [f"frame_{number:04}" for number in range(10)]


def read(root, layout, split):
    """The names that the pipeline will find by what the layout says."""
    images, labels = layout.folders(root, split)
    ending = layout.image_ending or IMAGE_ENDINGS
    source = FolderSource(images, labels, ANY, ending, layout.label_ending, chosen=layout.names[split])
    return [source._pairs[index][0] for index in range(len(source))]


@pytest.mark.parametrize(
    ("images", "labels", "expected"),
    [
        ("{split}/images/{}.jpg", "{split}/labels/{}.png", ("{split}/images", "{split}/labels", ".png")),
        ("images/{split}/{}.png", "labels/{split}/{}.png", ("images/{split}", "labels/{split}", ".png")),
        ("{split}/{}.png", "{split}annot/{}.png", ("{split}", "{split}annot", ".png")),
        ("{split}/img/{}.jpg", "{split}/masks/{}_mask.png", ("{split}/img", "{split}/masks", "_mask.png")),
        ("Images/{split}/{}.JPG", "Annotations/{split}/{}_L.png", ("Images/{split}", "Annotations/{split}", "_L.png")),
        ("{split}/{}.png", "{split}/{}_mask.png", ("{split}", "{split}", "_mask.png")),
        ("{split}/images/ulm/{}.tif", "{split}/labels/ulm/{}.png", ("{split}/images", "{split}/labels", ".png")),
    ],
)
@pytest.mark.parametrize("splits", [("train", "val"), ("training", "validation"), ("Train", "Valid")])
def test_layouts_with_splits_are_found(tmp_path, images, labels, expected, splits):
    for split, names in zip(splits, (TEN[:7], TEN[7:]), strict=True):
        fill(tmp_path, names, images.replace("{split}", split), labels.replace("{split}", split))
    layout = find_layout(tmp_path)
    assert (layout.images, layout.labels, layout.label_ending) == expected
    assert (layout.train_split, layout.eval_split, layout.split_list) == (*splits, "")
    found = [[name.rpartition("/")[2] for name in read(tmp_path, layout, split)] for split in splits]
    assert found == [TEN[:7], TEN[7:]] and not layout.notes


@pytest.mark.parametrize(
    ("images", "labels", "expected"),
    [
        ("images/{}.jpg", "labels/{}.png", ("images", "labels", "", ".png")),
        ("{}.jpg", "{}_mask.png", (".", ".", "", "_mask.png")),
        ("{}.png", "{}_L.png", (".", ".", "", "_L.png")),
        ("{}.jpg", "{}.png", (".", ".", ".jpg", ".png")),
        ("rgb/{}_rgb.png", "gt/{}_label.png", ("rgb", "gt", "_rgb.png", "_label.png")),
        ("Pictures/{}.jpg", "masks/{}.png", ("Pictures", "masks", "", ".png")),
        ("JPEGImages/{}.jpg", "SegmentationClass/{}.png", ("JPEGImages", "SegmentationClass", "", ".png")),
        ("train/images/{}.jpg", "train/labels/{}.png", ("train/images", "train/labels", "", ".png")),
    ],
)
def test_layouts_without_splits_are_found_and_split_by_lists(tmp_path, images, labels, expected):
    fill(tmp_path, TEN, images, labels)
    layout = find_layout(tmp_path)
    assert (layout.images, layout.labels, layout.image_ending, layout.label_ending) == expected
    assert layout.split_list == "gun-{split}.txt"
    assert "2 of 10 images were chosen by their names" in layout.notes[-1]
    train, val = read(tmp_path, layout, "train"), read(tmp_path, layout, "val")
    assert sorted(train + val) == TEN and len(val) == 2


def test_cityscapes_own_names_are_found(tmp_path):
    for split, city in (("train", "ulm"), ("val", "bonn")):
        for number in range(3):
            name = f"{split}/{city}/{city}_{number:06}_000019"
            photo(tmp_path / f"images/{name}_leftImg8bit.png")
            for kind in ("color", "instanceIds", "labelIds", "labelTrainIds"):
                save(tmp_path / f"gt/{name}_gtFine_{kind}.png", [[0]])
    layout = find_layout(tmp_path)
    assert (layout.image_ending, layout.label_ending) == ("_leftImg8bit.png", "_gtFine_labelIds.png")
    assert read(tmp_path, layout, "val") == [f"bonn/bonn_{number:06}_000019" for number in range(3)]


def test_hidden_files_and_other_files_do_not_matter(tmp_path):
    fill(tmp_path, TEN)
    (tmp_path / "images/._frame_0000.jpg").write_bytes(b"what macOS leaves")
    (tmp_path / "images/notes.txt").write_text("no image")
    (tmp_path / "labels/.DS_Store").write_bytes(b"")
    assert not [note for note in find_layout(tmp_path).notes if "no label" in note]


def test_images_without_label_are_left_out_of_new_lists_and_counted(tmp_path):
    fill(tmp_path, TEN)
    (tmp_path / "labels/frame_0003.png").unlink()
    layout = find_layout(tmp_path)
    assert "1 of 10 images have no label: they are not used" in layout.notes
    assert "frame_0003" not in layout.names["train"] + layout.names["val"]


def test_images_without_label_in_a_split_of_its_own_stay_for_the_source_to_refuse(tmp_path):
    fill(tmp_path, TEN[:5], "train/images/{}.png", "train/labels/{}.png")
    fill(tmp_path, TEN[5:], "val/images/{}.png", "val/labels/{}.png")
    (tmp_path / "train/labels/frame_0003.png").unlink()
    with pytest.raises(InputError, match=r"frame_0003\.png has no label"):
        read(tmp_path, find_layout(tmp_path), "train")


@pytest.mark.parametrize("lists", ["{}.txt", "gun-{}.txt", "ImageSets/Segmentation/{}.txt"])
def test_lists_that_are_there_are_the_splits(tmp_path, lists):
    fill(tmp_path, TEN)
    (tmp_path / "ImageSets/Segmentation").mkdir(parents=True)
    (tmp_path / lists.format("train")).write_text("\n".join(TEN[:4]) + "\n")
    (tmp_path / lists.format("val")).write_text("\n".join(TEN[4:7]))
    layout = find_layout(tmp_path)
    assert (read(tmp_path, layout, "train"), read(tmp_path, layout, "val")) == (TEN[:4], TEN[4:7])
    assert layout.split_list == lists.format("{split}")
    assert "3 of 10 images with labels are in neither of the two lists" in layout.notes


def test_images_in_both_lists_are_reported(tmp_path):
    fill(tmp_path, TEN)
    (tmp_path / "train.txt").write_text("\n".join(TEN))
    (tmp_path / "val.txt").write_text("\n".join(TEN[4:7]))
    assert any(note.startswith("3 images are in both lists") for note in find_layout(tmp_path).notes)


def test_lists_of_another_form_are_not_used_which_is_said(tmp_path):
    fill(tmp_path, TEN)
    for split in ("train", "val"):
        (tmp_path / f"{split}.txt").write_text("images/frame_0001.jpg labels/frame_0001.png\n")
    layout = find_layout(tmp_path)
    assert layout.split_list == "gun-{split}.txt" and "they are not used" in layout.notes[0]


def test_own_lists_with_a_name_that_is_gone_are_refused(tmp_path):
    fill(tmp_path, TEN)
    (tmp_path / "gun-train.txt").write_text("\n".join([*TEN[:4], "gone"]))
    (tmp_path / "gun-val.txt").write_text("\n".join(TEN[4:7]))
    with pytest.raises(InputError, match=r"gun-train\.txt.*'gone'"):
        find_layout(tmp_path)


@pytest.mark.parametrize("what", ["empty", "no labels", "other names", "one pair"])
def test_a_folder_without_pairs_is_refused_in_a_line(tmp_path, what):
    if what == "no labels":
        photo(tmp_path / "images/a.jpg")
    elif what == "other names":
        fill(tmp_path, ["a"], labels="labels/x{}.png")
    elif what == "one pair":
        fill(tmp_path, ["a"])
    with pytest.raises(InputError) as caught:
        find_layout(tmp_path)
    assert str(tmp_path) in str(caught.value) and "expected" in str(caught.value) and "\n" not in str(caught.value)


def test_a_name_with_a_line_break_cannot_be_listed(tmp_path):
    fill(tmp_path, ["a\nb", "c"])
    with pytest.raises(InputError, match="line break") as caught:
        find_layout(tmp_path)
    assert "\n" not in str(caught.value)


# The split


def test_the_split_depends_on_the_names_alone():
    names = [f"{number}" for number in range(50)]
    split = split_by_name(names)
    assert split == split_by_name(names[::-1]) and sorted(split["train"] + split["val"]) == sorted(names)
    assert len(split["val"]) == 10
    # The ten that `sha256sum` puts first.
    assert split["val"] == ["13", "29", "39", "41", "43", "46", "47", "49", "8", "9"]


def test_an_image_more_moves_few_others():
    names = [f"{number}" for number in range(50)]
    before, after = (set(split_by_name(listed)["val"]) for listed in (names, [*names, "new"]))
    assert len(before ^ after) <= 2


@pytest.mark.parametrize("count", [2, 3, 4])
def test_of_two_images_one_is_for_validation(count):
    split = split_by_name([str(number) for number in range(count)])
    assert (len(split["train"]), len(split["val"])) == (count - 1, 1)


# Endings


@pytest.mark.parametrize(
    ("images", "labels", "expected"),
    [
        (["a.jpg", "b.png"], ["a.png", "b.png"], ("", ".png")),
        (["a.jpg"], ["a.bmp"], ("", ".bmp")),
        (["10.png", "20.png"], ["10.png", "20.png"], ("", ".png")),
        (["1.png", "11.png"], ["1_m.png", "11_m.png"], ("", "_m.png")),
        (["a.jpg", "b.jpg"], ["a.jpg", "b.jpg", "a.png", "b.png"], ("", ".png")),
        (["a.jpg"], ["a.jpg"], ("", ".jpg")),
        (["a_rgb.png", "b_rgb.png", "a_depth.png", "b_depth.png"], ["a.png", "b.png"], ("_rgb.png", ".png")),
        (["a.jpg", "b.jpg", "a.png", "b.png"], ["a.png", "b.png"], (".jpg", ".png")),
        (["a.png"], ["b.png"], None),
        ([], ["b.png"], None),
    ],
)
def test_the_endings_of_two_folders(images, labels, expected):
    assert find_endings(images, labels, shared=False) == expected
