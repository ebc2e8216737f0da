"""The paper's experiments: every column of Tables 1 to 4 against what the paper prints, and each run end to end."""

import json
import pathlib
import re
import runpy

import jax
import jax.numpy as jnp
import pytest

import gun_jax
from gun_jax import configuration
from gun_jax.errors import InputError
from gun_jax.evaluation.evaluate import evaluate
from gun_jax.evaluation.scoring import make_scorer
from gun_jax.paper import TABLES, find_column
from gun_jax.training.loop import train

CONFIGS = pathlib.Path(gun_jax.__file__).parents[1] / "configs"
EXPERIMENTS = [f"table{table}={name}" for table, columns in TABLES.items() for name in columns]
TRAINED_ALWAYS = ("table1=enc124shared",)
every_experiment = pytest.mark.parametrize("experiment", EXPERIMENTS)

# What distinguishes a column, typed from the tables and sections 3 and 4 of the paper:
# encoder, fusion, guidance, random scale, colour jitter, lighting jitter; mIoU and FPS.
PRINTED = {
    "table1=baseline": ("baseline", "base_sum", "none", False, False, False, 65.5, 6.7),
    "table1=enc4": ("enc4", "base_sum", "none", False, False, False, 57.5, 50.6),
    "table1=enc24": ("enc24", "base_sum", "none", False, False, False, 61.5, 38.7),
    "table1=enc24shared": ("enc24shared", "base_sum", "none", False, False, False, 63.0, 38.7),
    "table1=enc124shared": ("enc124shared", "base_sum", "none", False, False, False, 64.2, 24.9),
    "table2=base_sum": ("enc24shared", "base_sum", "none", False, False, False, 63.0, 38.7),
    "table2=base_concat": ("enc24shared", "base_concat", "none", False, False, False, 63.5, 37.8),
    "table2=postproc_sum": ("enc24shared", "postproc_sum", "none", False, False, False, 65.8, 37.3),
    "table2=postproc_concat": ("enc24shared", "postproc_concat", "none", False, False, False, 64.2, 36.4),
    "table3=baseline": ("enc24shared", "postproc_sum", "none", False, False, False, 65.8, None),
    "table3=color_jitter": ("enc24shared", "postproc_sum", "none", False, True, False, 62.6, None),
    "table3=lighting_jitter": ("enc24shared", "postproc_sum", "none", False, False, True, 64.2, None),
    "table3=random_scale": ("enc24shared", "postproc_sum", "none", True, False, False, 67.5, None),
    "table4=baseline": ("enc24shared", "postproc_sum", "none", True, False, False, 67.5, 37.3),
    "table4=large_rf": ("enc24shared", "postproc_sum", "large_rf", True, False, False, 69.36, 26.3),
    "table4=high_res": ("enc24shared", "postproc_sum", "high_res", True, False, False, 69.29, 34.8),
    "table4=fusion": ("enc24shared", "postproc_sum", "fusion", True, False, False, 69.64, 33.3),
}


def load(experiment, file="paper.py"):
    return runpy.run_path(str(CONFIGS / file))["get_config"](experiment)


def test_every_column_of_the_four_tables_is_there():
    assert set(EXPERIMENTS) == set(PRINTED)


@every_experiment
def test_a_column_sets_what_the_paper_s_does(experiment):
    config = load(experiment)
    model, data = config.model, config.data
    scale, colors, lighting = data.random_scale == (0.5, 2.0), data.color_jitter == 0.4, data.lighting_jitter == 0.1
    assert (model.encoder, model.fusion, model.guidance, scale, colors, lighting) == PRINTED[experiment][:6]
    assert bool(data.random_scale) == scale and bool(data.color_jitter) == colors
    assert bool(data.lighting_jitter) == lighting


@every_experiment
def test_a_column_knows_the_paper_s_figures(experiment):
    column = find_column(experiment)
    assert (column.miou, column.fps) == PRINTED[experiment][6:]


def test_one_column_a_table_is_the_chosen_one_and_the_last_table_s_is_the_final_network():
    chosen = {table: [name for name, one in columns.items() if one.chosen] for table, columns in TABLES.items()}
    assert chosen == {1: ["enc24shared"], 2: ["postproc_sum"], 3: ["random_scale"], 4: ["fusion"]}
    assert load("table4=fusion").to_dict() == runpy.run_path(str(CONFIGS / "gun.py"))["get_config"]().to_dict()


@every_experiment
def test_a_column_of_the_paper_differs_on_camvid_by_the_same_settings(experiment):
    changed = set(find_column(experiment).settings)
    plain, one = load("table4=fusion", "paper_camvid.py"), load(experiment, "paper_camvid.py")
    for name in configuration.setting_names(one):
        if name in changed:
            assert configuration.setting(one, name) == configuration.setting(load(experiment), name)
        else:
            assert configuration.setting(one, name) == configuration.setting(plain, name)


@pytest.mark.parametrize(
    ("experiment", "words"),
    [
        ("", "table1, table2, table3, table4"),
        ("table5=gun", "table1, table2, table3, table4"),
        ("table4", "baseline, large_rf, high_res, fusion"),
        ("table4=high-res", "baseline, large_rf, high_res, fusion"),
        ("table1=enc124", "baseline, enc4, enc24, enc24shared, enc124shared"),
    ],
)
def test_a_column_that_the_paper_has_not_is_refused_in_a_line_with_those_that_it_has(experiment, words):
    with pytest.raises(InputError, match=re.escape(words)) as error:
        load(experiment)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "experiment",
    [name if name in TRAINED_ALWAYS else pytest.param(name, marks=pytest.mark.slow) for name in EXPERIMENTS],
)
def test_a_column_trains_a_few_steps_and_evaluates(experiment, tmp_path, strict_json):
    config = load(experiment)
    config.steps, config.batch_size = 2, 2
    config.data.source, config.data.synthetic_size, config.data.threads = "synthetic", (64, 96), 2
    config.data.synthetic_train, config.data.synthetic_val, config.data.prefetch = 4, 2, 2
    config.model.width = 0.1
    state = train(config, tmp_path, make_scorer)
    assert int(state.step) == 2
    report = evaluate(tmp_path)
    rows = [strict_json(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["val/miou"] == pytest.approx(report["miou"]) and 0 < report["miou"] < 1
    assert json.loads((tmp_path / "evaluation" / "val.json").read_text())["step"] == 2


@every_experiment
def test_a_column_s_network_gives_logits_of_the_size_that_its_finest_branch_sees(experiment):
    config = load(experiment)
    model = configuration.build_model(config.model, 19)
    images = jax.ShapeDtypeStruct((1, 128, 256, 3), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    finest = {"baseline": 1, "enc124shared": 1, "enc4": 4}.get(config.model.encoder, 2)
    assert jax.eval_shape(model.apply, variables, images).shape == (1, 128 // finest, 256 // finest, 19)
