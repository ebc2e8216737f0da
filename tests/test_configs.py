"""The files under configs/: each loads, names its own command, and has the values that its experiment promises."""

import ast
import pathlib
import re
import runpy

import pytest

import gun_jax
from gun_jax import configuration
from gun_jax.errors import InputError
from gun_jax.training.optimizer import learning_rate

ROOT = pathlib.Path(gun_jax.__file__).parents[1]
FILES = sorted((ROOT / "configs").glob("*.py"))
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def load(name, *variant):
    return runpy.run_path(str(ROOT / "configs" / name))["get_config"](*variant)


def docstring(path):
    return ast.get_docstring(ast.parse(path.read_text())) or ""


def test_there_are_configs_for_the_paper_for_camvid_and_for_the_demo():
    assert {"gun.py", "camvid.py", "synthetic.py"} <= {path.name for path in FILES}


@every_file
def test_a_config_has_every_setting_and_no_other(path):
    assert configuration.setting_names(load(path.name)) == configuration.setting_names(configuration.default_config())


@every_file
def test_a_config_has_possible_values(path):
    config = load(path.name)
    configuration.validate(config)
    configuration.build_model(config.model, 19)
    learning_rate(config.optimizer, 100.0, round(config.epochs * 100))


@every_file
def test_a_config_s_docstring_says_the_command_that_runs_it(path):
    commands = re.findall(r"^ *python train\.py --config=(\S+?)(?::\S+)?(?= |$)", docstring(path), flags=re.MULTILINE)
    assert commands and set(commands) == {f"configs/{path.name}"}


@every_file
def test_a_config_s_docstring_evaluates_the_workdir_that_it_trains(path):
    trained, evaluated = (
        set(re.findall(rf"python {program}\.py .*--workdir=(\S+)", docstring(path)))
        for program in ("train", "evaluate")
    )
    assert evaluated and evaluated <= trained


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 250.0),  # section 5.1: 250 epochs,
        ("batch_size", 8),  # batches of 8,
        ("optimizer.peak_rate", 0.001),  # a rate of 0.001
        ("optimizer.schedule", "step"),  # divided by 10
        ("optimizer.step_epochs", 100.0),  # every 100 epochs,
        ("optimizer.step_factor", 0.1),
        ("optimizer.warmup_epochs", 0.0),
        ("optimizer.momentum", 0.9),
        ("optimizer.weight_decay", 1e-4),
        ("data.source", "cityscapes"),
        ("data.random_scale", (0.5, 2.0)),
        ("model.encoder", "enc24shared"),
        ("model.fusion", "postproc_sum"),
        ("model.guidance", "fusion"),
        ("model.method", "bilinear"),
        ("model.width", 1.0),
        ("model.input_subsampling", 1),
        ("model.variant", "d22"),
        ("model.dtype", "float32"),
    ],
)
def test_gun_is_the_paper_s_recipe(name, value):
    assert configuration.setting(load("gun.py"), name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [("data.source", "camvid"), ("model.input_subsampling", 2), ("model.width", 1.0), ("model.encoder", "enc24shared"),
     ("optimizer.schedule", "poly")],
)  # fmt: skip
def test_camvid_is_the_full_network_on_half_size_images_with_the_rate_brought_to_its_end(name, value):
    assert configuration.setting(load("camvid.py"), name) == value


def test_camvid_trains_for_40_epochs_at_least():
    assert load("camvid.py").epochs >= 40


def test_the_demo_needs_no_data_and_scores_64_scenes_that_it_does_not_train_on():
    data = load("synthetic.py").data
    assert (data.source, data.synthetic_val, data.eval_split, data.train_split) == ("synthetic", 64, "val", "train")


@pytest.mark.parametrize("name", ["camvid.py", "camvid_narrow.py", "camvid_lite0.py"])
def test_a_fold_leaves_one_drive_out_and_changes_nothing_else(name):
    whole, fold = load(name), load(name, "fold=0006R0")
    changed = {
        setting: configuration.setting(fold, setting)
        for setting in configuration.setting_names(whole)
        if configuration.setting(fold, setting) != configuration.setting(whole, setting)
    }
    assert changed == {"data.train_split": "train@-0006R0", "data.eval_split": "train@0006R0"}


@pytest.mark.parametrize("variant", ["0006R0", "fold=", "drive=0006R0"])
def test_a_fold_of_another_form_is_refused(variant):
    with pytest.raises(InputError, match=rf"^variant '{variant}'; expected fold=DRIVE, e\.g\. fold=0006R0$"):
        load("camvid.py", variant)


def test_the_fast_model_of_a_fold_starts_from_the_model_of_that_fold():
    config = load("camvid_lite0.py", "fast,fold=0006R0")
    assert (config.init, config.data.train_split) == ("runs/camvid_lite0-fold=0006R0", "train@-0006R0")
    assert config.model.logits_stride == load("camvid_lite0.py", "fast").model.logits_stride == 8
