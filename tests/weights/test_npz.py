"""The small folder of weights that export.py writes and that is read as a workdir."""

import json
import shutil

import jax
import numpy as np
import pytest

import gun_jax
from gun_jax.errors import InputError
from gun_jax.evaluation.evaluate import evaluate
from gun_jax.export.exporter import export_weights
from gun_jax.runs.loading import load_checkpoint
from gun_jax.weights.npz import NAME, read_weights, write_weights

NETWORK = {"version": "1", "num_classes": 3, "width": 0.5}
VARIABLES = {"params": {"conv": {"kernel": np.float32([[1.0, -0.1]])}}, "batch_stats": {"norm": {"var": np.float32(3)}}}


@pytest.fixture(scope="module")
def folder(random_run, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("weights") / "run"
    shutil.copytree(random_run.workdir, workdir)
    return export_weights(workdir)


def test_the_folder_is_a_workdir_of_the_same_network(folder, random_run):
    model, variables, config = gun_jax.load_run(folder)
    assert model == random_run.model and config.to_dict() == random_run.config.to_dict()
    assert load_checkpoint(folder).step == 7

    def check(found, saved):
        assert found.dtype == np.float32
        expected = saved if np.ndim(saved) < 2 else np.float16(saved).astype(np.float32)
        np.testing.assert_array_equal(found, expected)

    jax.tree.map(check, variables, random_run.variables)


def test_it_is_half_of_the_kernels_bytes(folder, random_run):
    leaves = jax.tree.leaves(random_run.variables)
    numbers = sum((2 if leaf.ndim > 1 else 4) * leaf.size for leaf in leaves)
    assert numbers < (folder / NAME).stat().st_size < numbers + 500 * len(leaves)


def test_it_scores_as_the_run_does(folder, random_run):
    ours, theirs = (evaluate(workdir) for workdir in (folder, random_run.workdir))
    np.testing.assert_allclose(ours["accuracy"], theirs["accuracy"], atol=0.01)
    assert ours["step"] == 7


def test_paths_of_the_machine_are_left_out(random_run, tmp_path):
    shutil.copytree(random_run.workdir, tmp_path / "run")
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    saved["config"]["data"]["dir"] = saved["config"]["init"] = "/home/me"
    (tmp_path / "run" / "config.json").write_text(json.dumps(saved))
    export_weights(tmp_path / "run")
    assert "/home/me" not in (tmp_path / "run" / "export" / "weights" / "config.json").read_text()


def test_another_step_is_refused(folder):
    with pytest.raises(InputError, match="holds only the weights of step 7, not of step 3"):
        load_checkpoint(folder, 3)


def test_weights_of_another_network_are_refused_by_the_first_difference(tmp_path):
    write_weights(tmp_path / NAME, VARIABLES, NETWORK, 5)
    with pytest.raises(InputError, match=r"another network: width is 0.5 there and 0.25 here"):
        read_weights(tmp_path / NAME, NETWORK | {"width": 0.25})


def test_weights_of_another_version_are_read(tmp_path):
    write_weights(tmp_path / NAME, VARIABLES, NETWORK, 5)
    variables, step = read_weights(tmp_path / NAME, NETWORK | {"version": "2"})
    assert step == 5 and jax.tree.structure(variables) == jax.tree.structure(VARIABLES)


def test_numbers_beyond_float16_are_refused(tmp_path):
    with pytest.raises(InputError, match="params/kernel holds numbers beyond 65504"):
        write_weights(tmp_path / NAME, {"params": {"kernel": np.float32([[-7e4]])}}, NETWORK, 5)
    assert not (tmp_path / NAME).exists()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_file_that_is_cut_off_is_refused(tmp_path, share):
    write_weights(tmp_path / NAME, VARIABLES, NETWORK, 5)
    content = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"is not a weights file that export.py wrote, or is damaged"):
        read_weights(tmp_path / NAME, NETWORK)


def test_a_pickle_is_not_run(tmp_path):
    with open(tmp_path / NAME, "wb") as file:
        np.save(file, np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(InputError, match="is not a weights file"):
        read_weights(tmp_path / NAME, NETWORK)


def test_an_archive_of_other_arrays_is_refused(tmp_path):
    np.savez(tmp_path / NAME, kernel=np.zeros(3))
    with pytest.raises(InputError, match="is not a weights file"):
        read_weights(tmp_path / NAME, NETWORK)
