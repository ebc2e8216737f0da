"""A trained network from its workdir: the same network, variables and labels as were saved."""

import json
import shutil

import jax
import numpy as np
import pytest

import gun_jax
from gun_jax.data.synthetic import SyntheticScenes
from gun_jax.errors import InputError
from gun_jax.runs.loading import load_checkpoint


@pytest.fixture(scope="module")
def loaded(random_run):
    return gun_jax.load_run(str(random_run.workdir))


def test_the_network_is_the_one_that_was_trained(loaded, random_run):
    assert loaded[0] == random_run.model


def test_the_variables_are_those_saved_bit_for_bit_as_float32(loaded, random_run):
    jax.tree.map(np.testing.assert_array_equal, loaded[1], random_run.variables)
    assert sorted(loaded[1]) == ["batch_stats", "params"]
    assert {leaf.dtype for leaf in jax.tree.leaves(loaded[1])} == {np.dtype(np.float32)}


def test_the_variables_lie_on_the_first_device(loaded):
    assert {device for leaf in jax.tree.leaves(loaded[1]) for device in leaf.devices()} == {jax.devices()[0]}


def test_the_configuration_is_the_run_s(loaded, random_run):
    assert loaded[2].to_dict() == random_run.config.to_dict()


def test_its_labels_are_the_trained_state_s(loaded, random_run):
    scenes = SyntheticScenes(2, (64, 128), seed=9)
    images = gun_jax.normalise(np.stack([scenes[i]["image"] for i in range(2)]))
    predict = jax.jit(lambda variables, images: random_run.model.apply(variables, images, method="predict"))
    ours = jax.jit(lambda images: loaded[0].apply(loaded[1], images, method="predict"))(images)
    expected = predict(random_run.variables, images)
    np.testing.assert_array_equal(ours, expected)
    assert len(np.unique(expected)) > 5


def test_an_older_step_comes_on_request(random_run, random_variables):
    found = load_checkpoint(random_run.workdir, 3)
    older = random_variables(random_run.model, seed=3)
    assert found.step == 3
    jax.tree.map(np.testing.assert_array_equal, found.variables["batch_stats"], older["batch_stats"])


def test_all_else_that_is_known_of_a_run(random_run):
    found = load_checkpoint(random_run.workdir)
    assert found.step == 7
    assert found.classes.names[0] == "road" and len(found.classes) == 19


def test_a_folder_without_a_run_is_a_value_error_of_one_line(tmp_path):
    with pytest.raises(ValueError, match=r"^.*holds no run: .*config\.json is missing; .*$"):
        gun_jax.load_run(tmp_path)


def test_a_run_without_a_checkpoint_is_refused_in_a_line(random_run, tmp_path):
    shutil.copy(random_run.workdir / "config.json", tmp_path)
    with pytest.raises(InputError, match=rf"^{tmp_path} has no checkpoint yet; .*$"):
        gun_jax.load_run(tmp_path)


def test_a_checkpoint_that_does_not_fit_its_configuration_is_refused_in_a_line(random_run, tmp_path):
    shutil.copytree(random_run.workdir, tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    saved = json.loads(path.read_text())
    saved["config"]["model"]["width"] = 0.2
    path.write_text(json.dumps(saved))
    with pytest.raises(InputError, match=r"^.*does not hold the network that .*$"):
        gun_jax.load_run(tmp_path / "run")
