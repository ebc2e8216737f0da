"""What is proposed: class maps that can be read back, settings by rules, a file that is data whatever it is called."""

import ast
import collections
import json
import runpy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gun_jax import configuration
from gun_jax.data.classes import IGNORE, load_class_map
from gun_jax.own_data.balance import balance_table, balance_warnings
from gun_jax.own_data.choices import Choice, Machine, choose, typical_size
from gun_jax.own_data.class_map import propose_class_map
from gun_jax.own_data.config_file import config_text
from gun_jax.own_data.label_stats import LabelStats
from gun_jax.own_data.layout import Layout
from gun_jax.training.optimizer import learning_rate

LAYOUT = Layout("images", "masks", "", "_m.png", "train", "val", "gun-{split}.txt", {"train": ["a"], "val": ["b"]}, ())
CPU = Machine("cpu", 1, 2)


def stats(pixels, images=10, sizes=None):
    occurs = collections.Counter(dict.fromkeys(pixels, images))
    return LabelStats(images, collections.Counter(sizes or {(360, 480): images}), collections.Counter(pixels), occurs)


def proposed(tmp_path, pixels, by_color=False, palette=None):
    path = tmp_path / "classes.json"
    path.write_text(propose_class_map(stats(pixels), by_color, palette))
    return load_class_map(path)


# Class maps


def test_numbers_become_classes_of_their_names_and_255_is_ignored(tmp_path):
    classes = proposed(tmp_path, {26: 10, 7: 30, 255: 5})
    assert classes.names == ("class 7", "class 26")
    assert classes.values == {7: 0, 26: 1, 255: IGNORE} and not classes.by_color


@pytest.mark.parametrize("values", [(0, 255), (255,)])
def test_the_255_of_a_mask_of_two_values_is_its_foreground(tmp_path, values):
    classes = proposed(tmp_path, dict.fromkeys(values, 4))
    assert classes.values == {value: place for place, value in enumerate(values)}


def test_colours_become_classes_the_largest_first(tmp_path):
    classes = proposed(tmp_path, {0x010203: 5, 0x804080: 50}, by_color=True)
    assert classes.by_color and classes.names == ("class 0", "class 1")
    assert classes.colors == ((128, 64, 128), (1, 2, 3)) and classes.values == {0x804080: 0, 0x010203: 1}


def test_a_class_says_how_many_of_the_pixels_it_has(tmp_path):
    text = propose_class_map(stats({0: 1, 1: 3}), False, None)
    comments = [entry["comment"] for entry in json.loads(text)["classes"]]
    assert comments == ["25 % of the pixels, in 10 of 10 images", "75 % of the pixels, in 10 of 10 images"]


def test_the_palette_s_colours_are_the_classes(tmp_path):
    classes = proposed(tmp_path, {0: 1, 2: 3, 9: 1}, palette=np.array([[9, 8, 7], [0, 0, 0], [1, 2, 3]], np.uint8))
    assert classes.colors[:2] == ((9, 8, 7), (1, 2, 3)) and len(set(classes.colors)) == 3


def test_made_up_colours_can_be_told_apart(tmp_path):
    colors = np.array(proposed(tmp_path, dict.fromkeys(range(20), 1)).colors).astype(int)
    distances = np.abs(colors[:, None] - colors[None]).sum(-1) + 1000 * np.eye(20)
    assert distances.min() > 40 and (colors.max(1) > 100).all()


# Settings


def chosen(images=367, sizes=None, machine=CPU):
    choices = choose(LAYOUT, stats({0: 1}, images, sizes or {(360, 480): images}), "/data", "classes.json", machine)
    return {choice.name: choice.value for choice in choices}


def test_the_data_section_is_what_was_found():
    values = chosen()
    assert values["data.dir"] == "/data" and values["data.source"] == "folder"
    for name in ("images", "labels", "image_ending", "label_ending", "train_split", "eval_split", "split_list"):
        assert values[f"data.{name}"] == getattr(LAYOUT, name)


def test_camvid_gets_about_what_its_configuration_has():
    values = chosen()
    assert values["data.crop"] == (256, 320) and values["model.input_subsampling"] == 2 and values["batch_size"] == 8
    # 7 minutes for 24 epochs of 180x240 on one core: an hour on two is 24 * 60/7 * 2 * (180*240) / (256*320)
    assert abs(values["epochs"] - 24 * 60 / 7 * 2 * 180 * 240 / (256 * 320)) < 15


def test_large_images_are_seen_as_cityscapes_are():
    values = chosen(sizes={(1024, 2048): 367}, machine=Machine("gpu", 1, 8))
    assert values["model.input_subsampling"] == 1 and values["model.width"] == 1.0
    assert values["data.crop"] == (672, 1376)
    assert chosen(sizes={(1024, 2048): 367})["data.crop"] == (512, 1024)


def test_a_short_training_reports_more_often():
    assert chosen(images=8)["log_every_steps"] == 3 and chosen()["log_every_steps"] == 20


def test_the_batch_is_a_multiple_of_the_devices_and_no_more_than_the_images():
    assert chosen(images=5)["batch_size"] == 5
    assert chosen(images=500, machine=Machine("gpu", 3, 8))["batch_size"] == 9
    assert chosen(images=2, machine=Machine("gpu", 4, 8))["batch_size"] == 4


@settings(derandomize=True, deadline=None)
@given(
    st.integers(1, 100_000), st.integers(32, 5000), st.integers(32, 5000),
    st.sampled_from([CPU, Machine("cpu", 1, 128), Machine("gpu", 1, 8), Machine("gpu", 8, 96)]),
)  # fmt: skip
def test_any_data_set_gets_settings_that_a_training_takes(images, height, width, machine):
    values = chosen(images, {(height, width): images}, machine)
    config = configuration.default_config()
    config.update_from_flattened_dict(values)
    configuration.validate(config)
    steps_per_epoch = images / config.batch_size
    learning_rate(config.optimizer, steps_per_epoch, round(config.epochs * steps_per_epoch))
    assert config.batch_size % machine.devices == 0
    crop = config.data.crop
    assert all(side % 32 == 0 for side in crop)
    assert crop[0] <= 2 * height or crop[1] <= 2 * width  # else all images would lie in padding


def test_the_typical_size_is_the_median():
    sizes = {(10, 30): 2, (20, 20): 2, (500, 10): 1}
    assert typical_size(stats({0: 1}, 5, sizes)) == (20, 20)


# The file


def written(tmp_path, title, choices, commands=("python train.py",)):
    path = tmp_path / "gun.py"
    path.write_text(config_text(title, commands, ["Data: some."], choices))
    return path


def test_only_what_differs_from_the_defaults_is_in_the_file(tmp_path):
    defaults = configuration.default_config()
    choices = [Choice("batch_size", defaults.batch_size, "as it is"), Choice("data.crop", (32, 64), "why not")]
    path = written(tmp_path, "t", choices)
    assert "batch_size" not in path.read_text() and "config.data.crop = (32, 64)  # why not\n" in path.read_text()
    config = runpy.run_path(str(path))["get_config"]()
    defaults.data.crop = (32, 64)
    assert config.to_dict() == defaults.to_dict()


HOSTILE = [
    'a"b', "it's", '"""', "\\", "\\'''", 'x"""\nimport os; os.abort()\n"""', "new\nline", "straße", "{x}", "\x1b[0m",
    "tab\there", "\udcff", "%s", "end\\", 'end"', "\u2028", "\r", "# no comment", "nul\0",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_whatever_a_folder_is_called_the_file_says_it_and_runs_nothing_of_it(tmp_path, name):
    path = written(tmp_path, f"Of {name}.", [Choice("data.dir", name)], [f"python train.py --config={name}/gun.py"])
    tree = ast.parse(path.read_bytes())
    assert [type(part).__name__ for part in tree.body] == ["Expr", "ImportFrom", "FunctionDef"]
    shown = name.replace("\udcff", "\ufffd")  # which no docstring can hold, since Python 3.13
    assert ast.get_docstring(tree, clean=False).startswith(
        f"Of {shown}.\n\n    python train.py --config={shown}/gun.py\n"
    )
    assert runpy.run_path(str(path))["get_config"]().data.dir == name


@settings(derandomize=True, deadline=None)
@given(st.text(min_size=1, max_size=30))
def test_any_text_comes_back_from_the_file(text):
    code = config_text(text, [text], [text], [Choice("data.dir", text)])
    tree = ast.parse(code.encode())
    assert ast.get_docstring(tree, clean=False) == f"{text}\n\n    {text}\n\n{text}\n"
    (assigned,) = [
        node for node in ast.walk(tree) if isinstance(node, ast.Assign) and "dir" in ast.dump(node.targets[0])
    ]
    assert ast.literal_eval(assigned.value) == text


# The balance


def test_classes_that_are_rare_or_missing_in_a_split_are_reported():
    classes = load("all", "train only", "val only", "nowhere", "small")
    train, val = stats({0: 99_950, 1: 950, 4: 50}), stats({0: 100, 2: 5, 4: 5})
    lines = balance_warnings(classes, train, val)
    assert [line.split("'")[1] for line in lines] == ["train only", "val only", "nowhere", "small"]
    assert "is not in val" in lines[0] and "only in val" in lines[1] and "in no label" in lines[2]
    assert "0.05 %" in lines[3]


def test_balanced_classes_have_nothing_said_of_them_and_many_ignored_pixels_have():
    classes = load("a", "b")
    assert balance_warnings(classes, stats({0: 5, 1: 5}), stats({0: 5, 1: 5})) == []
    (line,) = balance_warnings(classes, stats({0: 5, 1: 5, 255: 30}), stats({0: 5, 1: 5}))
    assert "75 %" in line


def test_the_table_has_shares_of_all_pixels_and_images():
    train, val = stats({0: 30, 255: 10}, images=4), stats({0: 5, 1: 5}, images=2)
    columns = balance_table(load("a", "b"), train, val).columns
    cells = [list(column.cells) for column in columns]
    assert cells == [["a", "b", "(ignored)"], ["75.00", "0.00", "25.00"], ["50.00", "50.00", "0.00"],
                     ["4", "0", "4"], ["2", "2", "0"]]  # fmt: skip


def load(*names):
    from gun_jax.data.classes import ClassMap

    return ClassMap(names, ((0, 0, 0),) * len(names))
