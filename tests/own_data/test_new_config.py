"""`train.py --new-config` as it is called: what it writes, shows and refuses, and that a training can begin with it."""

import json
import re
import runpy

import numpy as np
import pytest
from reference_own_data import SIZE, fill, photo, save

from gun_jax import configuration
from gun_jax.data.checking import check_data
from gun_jax.data.classes import load_class_map
from gun_jax.data.pipeline import training_batches
from gun_jax.data.sources import load_source
from gun_jax.errors import InputError
from gun_jax.own_data.new_config import new_config

NAMES = [f"frame {number}" for number in range(10)]
RED_BLUE = np.array([(200, 0, 0), (0, 0, 9)])
BIG = (40, 64)


@pytest.fixture
def folder(tmp_path):
    """Ten pairs without splits, of the numbers 7, 26 and 255."""
    fill(tmp_path / "my data", NAMES, values=(7, 7, 7, 26, 255), size=BIG)
    return tmp_path / "my data"


def config_of(path):
    config = runpy.run_path(str(path))["get_config"]()
    configuration.validate(config)
    return config


def test_it_writes_a_class_map_two_lists_and_a_configuration_that_reads_the_data(folder):
    new_config(folder)
    assert {path.name for path in folder.iterdir()} == {
        "images", "labels", "classes.json", "gun-train.txt", "gun-val.txt", "gun.py",
    }  # fmt: skip
    config = config_of(folder / "gun.py")
    train, val = (load_source(config.data, split) for split in ("train", "val"))
    assert (len(train), len(val)) == (8, 2)
    assert sorted(source[i]["id"] for source in (train, val) for i in range(len(source))) == NAMES
    label = np.random.default_rng(0).choice((7, 7, 7, 26, 255), BIG)
    (record,) = [source[i] for source in (train, val) for i in range(len(source)) if source[i]["id"] == NAMES[0]]
    np.testing.assert_array_equal(record["label"], np.select([label == 7, label == 26], [0, 1], 255))


def test_the_configuration_gives_batches(folder):
    new_config(folder)
    config = config_of(folder / "gun.py")
    batches = training_batches(load_source(config.data, "train"), config.data, config.batch_size, 0)
    batch = next(batches)
    batches.close()
    assert batch["image"].shape == (8, *config.data.crop, 3)
    check_data(config)


def test_colours_become_a_class_map_of_colours(tmp_path):
    for number in range(4):
        photo(tmp_path / f"{number}.jpg", number)
        save(tmp_path / f"{number}_mask.png", RED_BLUE[np.random.default_rng(number).integers(0, 2, SIZE)])
    new_config(tmp_path)
    config = config_of(tmp_path / "gun.py")
    assert set(load_class_map(tmp_path / "classes.json").colors) == {(200, 0, 0), (0, 0, 9)}
    source = load_source(config.data, "train")
    which = np.random.default_rng(int(source[0]["id"])).integers(0, 2, SIZE)
    colors = np.array(source.classes.colors)[source[0]["label"]]
    np.testing.assert_array_equal(colors, RED_BLUE[which])


def test_a_palette_s_colours_are_kept(tmp_path):
    for number in range(4):
        photo(tmp_path / f"images/{number}.jpg", number)
        save(tmp_path / f"labels/{number}.png", np.random.default_rng(number).integers(0, 2, SIZE), RED_BLUE)
    new_config(tmp_path)
    classes = load_class_map(tmp_path / "classes.json")
    assert classes.colors == ((200, 0, 0), (0, 0, 9)) and not classes.by_color


def test_a_class_map_and_lists_that_are_there_stay(folder):
    new_config(folder)
    content = json.loads((folder / "classes.json").read_text())
    content["classes"][0]["name"] = "road"
    (folder / "classes.json").write_text(json.dumps(content))
    (folder / "gun-val.txt").write_text(f"{NAMES[3]}\n")
    (folder / "gun-train.txt").write_text("\n".join(NAMES[5:]))
    before = {path.name: path.read_bytes() for path in folder.glob("*.*") if path.name != "gun.py"}
    new_config(folder, overwrite=True)
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert len(load_source(config_of(folder / "gun.py").data, "train")) == 5


# What it shows


def test_it_shows_the_balance_of_the_classes(folder, capsys):
    new_config(folder)
    shown = capsys.readouterr().out
    splits = {split: (folder / f"gun-{split}.txt").read_text().splitlines() for split in ("train", "val")}
    labels = {
        split: np.stack([np.random.default_rng(NAMES.index(name)).choice((7, 7, 7, 26, 255), BIG) for name in names])
        for split, names in splits.items()
    }
    for name, value in (("class 7", 7), ("class 26", 26), ("(ignored)", 255)):
        (line,) = [line for line in shown.splitlines() if f" {name} " in line]
        numbers = re.findall(r"[\d.]+", line.replace(name, ""))
        expected = [f"{100 * (labels[split] == value).mean():.2f}" for split in splits]
        assert numbers == [*expected, *(str((labels[split] == value).any((1, 2)).sum()) for split in splits)]


def test_it_shows_sizes_reasons_and_the_next_command_lines(folder, capsys):
    new_config(folder)
    shown = capsys.readouterr().out
    assert "train, 8 images of 64x40 (width x height)" in shown and "val, 2 images of 64x40" in shown
    assert "note: there is no validation split" in shown and "made-up names" in shown
    assert f"    python train.py '--config={folder}/gun.py' --workdir=runs/my-data\n" in shown
    assert "    python evaluate.py --workdir=runs/my-data --panels=8\n" in shown
    assert re.search(r"model\.width .* 0\.25 .* no GPU", shown)


def test_a_class_that_validation_lacks_is_reported(tmp_path, capsys):
    fill(tmp_path, NAMES[:6], "train/images/{}.png", "train/labels/{}.png", values=(1, 2))
    fill(tmp_path, NAMES[6:], "val/images/{}.png", "val/labels/{}.png", values=(1,))
    new_config(tmp_path)
    assert "note: 'class 2' is not in val" in capsys.readouterr().out


def test_images_of_many_sizes_are_summed_up(tmp_path, capsys):
    for number in range(12):
        fill(tmp_path, [str(number)], size=(12 + number // 2, 16))
    new_config(tmp_path)
    assert "other sizes" in capsys.readouterr().out


def test_the_installed_program_names_installed_programs(folder, capsys):
    new_config(folder, program="gun-{}")
    assert "    gun-evaluate --workdir=" in capsys.readouterr().out


# What it refuses


def refused(*arguments, **options):
    with pytest.raises(InputError) as caught:
        new_config(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_existing_configuration_is_not_replaced_without_a_flag(folder):
    (folder / "gun.py").write_text("mine")
    assert "--overwrite" in refused(folder)
    assert (folder / "gun.py").read_text() == "mine" and not (folder / "classes.json").exists()
    new_config(folder, overwrite=True)
    assert (folder / "gun.py").read_text() != "mine"


def test_another_file_can_be_named(folder, tmp_path):
    new_config(folder, tmp_path / "configs" / "mine.py")
    assert not (folder / "gun.py").exists()
    assert config_of(tmp_path / "configs" / "mine.py").data.dir == str(folder)


def test_a_colon_in_the_path_would_be_a_variant(tmp_path):
    fill(tmp_path / "a:b", NAMES)
    assert "--output" in refused(tmp_path / "a:b")
    new_config(tmp_path / "a:b", tmp_path / "gun.py")
    assert config_of(tmp_path / "gun.py").data.dir.endswith("a:b")


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    assert "does not exist" in refused(tmp_path / "nowhere")


def test_labels_in_jpeg_are_refused(tmp_path):
    fill(tmp_path, NAMES, labels="labels/{}.jpg")
    assert "JPEG" in refused(tmp_path)


def test_a_broken_label_is_named_and_nothing_written(folder):
    (folder / "labels" / f"{NAMES[4]}.png").write_bytes(b"no image")
    assert f"{NAMES[4]}.png" in refused(folder)
    assert {path.name for path in folder.iterdir()} == {"images", "labels"}


def test_a_label_outside_the_class_map_that_is_there_is_named(folder):
    (folder / "classes.json").write_text(
        '{"classes": [{"name": "a", "color": [1, 2, 3], "values": [7, 26]}], "ignore": []}'
    )
    assert "holds 255 at row" in refused(folder)
