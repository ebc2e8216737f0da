"""Settings: their checks, their names, and the way to the workdir and back."""

import json
import math
import pathlib
import runpy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gun_jax import GUN, configuration
from gun_jax.configuration import default_config, nearest_setting, validate
from gun_jax.data.classes import CAMVID
from gun_jax.data.pipeline import augmentations
from gun_jax.data.sources import load_source
from gun_jax.errors import InputError
from gun_jax.runs.workdir import save_config, saved_config, saved_parameters
from gun_jax.training.optimizer import learning_rate, make_optimizer


def test_the_defaults_are_possible_values():
    validate(default_config())


def test_every_caller_gets_defaults_of_its_own():
    default_config().optimizer.peak_rate = 7.0
    assert default_config().optimizer.peak_rate == 0.001


@pytest.mark.parametrize("section", ["", "data", "model", "optimizer"])
def test_an_unknown_setting_cannot_be_assigned(section):
    config = default_config()
    with pytest.raises((AttributeError, KeyError)):
        (config[section] if section else config).widht = 1


# Values


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0.0),
        ("epochs", float("nan")),
        ("epochs", float("inf")),
        ("optimizer.warmup_epochs", float("inf")),
        ("optimizer.poly_power", -1.0),
        ("model.width", 1e9),
        ("data.random_scale", (0.5, 1e9)),
        ("data.random_scale", (2.0, 0.5)),
        ("data.crop", (240.0, 320.0)),
        ("data.crop", (0, 320)),
        ("batch_size", 0),
        ("batch_size", -8),
        ("keep_checkpoints", 0),
        ("log_every_steps", 0),
        ("model.width", 0.0),
        ("optimizer.peak_rate", -0.1),
        ("optimizer.step_epochs", 0.0),
        ("optimizer.step_factor", 0.0),
        ("data.threads", 0),
        ("data.prefetch", 0),
        ("seed", -1),
        ("steps", -1),
        ("data.color_jitter", -0.1),
        ("data.color_jitter", 1.5),
        ("data.lighting_jitter", -0.1),
        ("eval_every_epochs", -1.0),
        ("checkpoint_every_epochs", -0.5),
        ("data.workers", -1),
        ("optimizer.warmup_epochs", -1.0),
        ("optimizer.momentum", -0.9),
        ("optimizer.weight_decay", -1e-4),
        ("data.crop", (240,)),
        ("data.crop", (1, 2, 3)),
        ("data.random_scale", (0.5,)),
        ("model.dtype", "float16"),
        ("data.on_bad_record", "slip"),
        ("data.crop", (10**9, 320)),
        ("data.crop", (240, True)),
        ("max_bad_steps", 0),
        ("optimizer.clip_norm", -1.0),
        ("seed", 2**31),
        ("batch_size", 10**9),
        ("data.threads", 10**9),
        ("epochs", None),
        ("data.flip", None),
        ("data.dir", None),
        ("data.label_ending", ""),
        ("data.crop", None),
        ("data.source", "kitti"),
        ("data.synthetic_size", (64, 0)),
        ("data.synthetic_val", 0),
        ("data.synthetic_seed", -1),
        ("model.encoder", "enc8"),
        ("model.fusion", "sum"),
        ("model.guidance", "high_rse"),
        ("model.method", "cubic"),
        ("model.input_subsampling", 0),
        ("model.variant", "d105"),
        ("model.branch_norm", "both"),
        ("model.padding", "reflect"),
        ("data.random_scale_distribution", "normal"),
        ("optimizer.schedule", "linear"),
    ],
)
def test_an_impossible_value_is_refused_in_a_line_by_the_name_of_its_setting(name, value):
    config = default_config()
    config.update_from_flattened_dict({name: value})
    with pytest.raises(InputError) as caught:
        validate(config)
    message = str(caught.value)
    assert message.startswith(f"config.{name} is {value!r}; expected ") and "\n" not in message


@pytest.mark.parametrize(
    ("name", "value"),
    [("seed", 0), ("eval_every_epochs", 0.0), ("data.crop", ()), ("data.crop", (240, 320)), ("data.random_scale", ()),
     ("optimizer.momentum", 0.0), ("optimizer.weight_decay", 0.0), ("model.dtype", "bfloat16"),
     ("model.guidance", "none"), ("data.color_jitter", 1.0), ("seed", 2**31 - 1), ("epochs", 1)],
)  # fmt: skip
def test_the_value_at_the_border_is_taken(name, value):
    config = default_config()
    config.update_from_flattened_dict({name: value})
    validate(config)


@pytest.mark.parametrize(
    ("name", "value", "near"),
    [("data.on_bad_record", "slip", "skip"), ("model.dtype", "bfloat", "bfloat16"), ("model.encoder", "enc42", "enc4")],
)
def test_of_a_few_values_the_nearest_is_named(name, value, near):
    config = default_config()
    config.update_from_flattened_dict({name: value})
    with pytest.raises(InputError, match=rf"\(did you mean '{near}'\?\)$"):
        validate(config)


def test_the_page_of_all_settings_is_up_to_date():
    docs = pathlib.Path(configuration.__file__).parents[1] / "docs"
    assert (docs / "settings.md").read_text() == runpy.run_path(str(docs / "settings.py"))["page"]()


WORDS = ("", "x", "none", "enc4", "base", "nul\0", "é", "line\nline", "poly", "{split}")
NUMBERS = (0, 1, -1, 3, 2**31, 2**63, 2**70, 0.0, -0.0, 0.5, 1e300, 1e-300, math.nan, math.inf, -math.inf)
values = st.recursive(
    st.one_of(st.sampled_from(WORDS), st.sampled_from(NUMBERS), st.integers(), st.floats(), st.none(), st.booleans()),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=3,
)


@pytest.mark.fault("settings with arbitrary values", tried=600)
@settings(max_examples=600, deadline=None, derandomize=True)
@given(st.dictionaries(st.sampled_from(configuration.setting_names(default_config())), values, min_size=1, max_size=3))
def test_any_settings_make_a_run_or_are_refused_in_a_line(changes):
    config = default_config()
    config.data.source = "synthetic"
    changes = {"data.dir": "nowhere"} | changes
    try:
        config.update_from_flattened_dict(changes)
    except (TypeError, ValueError):  # ml_collections' own: another type
        return
    try:
        validate(config)
        configuration.build_model(config.model, 19)
        make_optimizer(config.optimizer, learning_rate(config.optimizer, 10.0, 100))
        source = load_source(config.data, "train")
        assert len(source) > 0
        config.data.lighting_jitter = 0.0  # it looks at hundreds of images
        augmentations(config.data, source)
    except InputError as error:
        assert "\n" not in str(error)


# Names


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("epoch", "epochs"),
        ("batchsize", "batch_size"),
        ("data.corp", "data.crop"),
        ("model.widht", "model.width"),
        ("optimizer.peek_rate", "optimizer.peak_rate"),
        ("optimiser.momentum", "optimizer.momentum"),
        ("crop", "data.crop"),  # right but for its section
        ("width", "model.width"),
        ("xylophone", None),
    ],
)
def test_the_nearest_setting_to_a_wrong_name(wrong, right):
    assert nearest_setting(wrong) == right


def test_the_names_lead_to_all_values():
    config = default_config()
    found = {name: configuration.setting(config, name) for name in configuration.setting_names(config)}
    flat = {}
    for key, value in config.to_dict().items():
        flat |= {f"{key}.{inner}": v for inner, v in value.items()} if isinstance(value, dict) else {key: value}
    assert found == flat


# The network


def test_the_model_section_describes_the_network():
    model = default_config().model
    model.encoder, model.width, model.guidance, model.dtype = "enc4", 0.5, "high_res", "bfloat16"
    expected = GUN(
        7, encoder="enc4", fusion="postproc_sum", guidance="high_res", method="bilinear", width=0.5, dtype="bfloat16"
    )
    assert configuration.build_model(model, 7) == expected


def test_guidance_none_is_the_baseline_without_guidance():
    model = default_config().model
    model.guidance = "none"
    assert configuration.build_model(model, 7).guidance is None
    assert model.guidance == "none"


# The workdir


@pytest.fixture
def changed():
    """A configuration in which every kind of value is another than the default."""
    config = default_config()
    config.seed, config.epochs, config.batch_size = 3, 12.5, 4
    config.data.crop, config.data.random_scale, config.data.flip = (240, 320), (), False
    config.data.source, config.data.dir = "camvid", "/data/straße"
    config.model.width, config.optimizer.weight_decay = 0.25, 3e-5
    return config


def test_a_configuration_comes_back_from_the_workdir(tmp_path, changed):
    save_config(tmp_path / "run", changed, CAMVID)
    config, classes = saved_config(tmp_path / "run")
    assert config.to_dict() == changed.to_dict()
    kinds = [
        {name: type(configuration.setting(one, name)) for name in configuration.setting_names(one)}
        for one in (config, changed)
    ]
    assert kinds[0] == kinds[1]
    assert (classes.names, classes.colors) == (CAMVID.names, CAMVID.colors)
    np.testing.assert_array_equal(classes.palette(), CAMVID.palette())


def test_a_configuration_from_before_a_setting_existed_has_its_default(tmp_path, changed):
    save_config(tmp_path, changed, CAMVID)
    path = tmp_path / "config.json"
    saved = json.loads(path.read_text())
    for section, name in (("data", "image_ending"), ("data", "random_scale_distribution"), ("model", "align_corners"),
                          ("model", "padding")):  # fmt: skip
        del saved["config"][section][name]
    del saved["parameters"]
    path.write_text(json.dumps(saved))
    assert saved_config(tmp_path)[0].to_dict() == changed.to_dict()
    assert saved_parameters(tmp_path) is None


def test_the_number_of_parameters_comes_back_from_the_workdir(tmp_path, changed):
    save_config(tmp_path, changed, CAMVID, 12345)
    assert saved_parameters(tmp_path) == 12345


def test_the_saved_configuration_is_strict_json(tmp_path, changed, strict_json):
    save_config(tmp_path, changed, CAMVID)
    saved = strict_json((tmp_path / "config.json").read_text())
    assert saved["config"]["data"]["crop"] == [240, 320]
    assert saved["classes"]["names"] == list(CAMVID.names)


def test_a_folder_without_a_run_is_refused_in_a_line(tmp_path):
    with pytest.raises(InputError, match=rf"^{tmp_path} holds no run: {tmp_path}/config\.json is missing; .*$"):
        saved_config(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "empty", "list", "no classes", "unknown setting", "other type", "colours"])
def test_a_damaged_configuration_is_refused_in_a_line(tmp_path, changed, damage):
    save_config(tmp_path, changed, CAMVID)
    path = tmp_path / "config.json"
    saved = json.loads(path.read_text())
    if damage == "no classes":
        del saved["classes"]
    elif damage == "unknown setting":
        saved["config"]["model"]["depth"] = 3
    elif damage == "other type":
        saved["config"]["model"]["width"] = "wide"
    elif damage == "colours":
        saved["classes"]["colors"] = saved["classes"]["colors"][1:]
    text = {"cut": path.read_text()[:100], "empty": "", "list": "[1, 2]"}.get(damage, json.dumps(saved))
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        saved_config(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path} is not the configuration of a run")
