"""A run and the pretrained model as version 0.1 had them: they load, predict the same labels, and the run resumes.

The archive holds the workdir of a run at commit d70d009, after 80 of 82 steps, with these settings beside the defaults:
steps=82 batch_size=2 log_every_steps=1 eval_every_epochs=10 checkpoint_every_epochs=10 keep_checkpoints=5
optimizer.peak_rate=0.05 model.width=0.04 model.input_subsampling=2 data.source=synthetic data.synthetic_size=(64, 128)
data.synthetic_train=16 data.synthetic_val=3 data.random_scale=() data.threads=1. And the labels that the run and the
pretrained model predicted there, for the image of this test.
"""

import pathlib
import tarfile

import jax
import numpy as np
import pytest
from reference_runs import no_scorer, rows_of

import gun_jax
from gun_jax.runs.workdir import saved_config, saved_image_size, saved_parameters
from gun_jax.training.loop import train

LOSSES = {81: 1.3342915773391724, 82: 1.4421699047088623}  # of the two steps that version 0.1 took after these 80


@pytest.fixture
def workdir(tmp_path):
    with tarfile.open(pathlib.Path(__file__).parent / "data" / "version_0_1.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.mark.parametrize("name", ["run", "pretrained_model"])
def test_labels_are_those_of_version_0_1(workdir, name):
    model, variables, _ = gun_jax.load_run(workdir) if name == "run" else gun_jax.load_pretrained("camvid_narrow")
    image = np.random.default_rng(0).integers(0, 256, (1, 8, 16, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    labels = jax.jit(lambda image: model.apply(variables, gun_jax.normalise(image), method="predict"))(image)
    expected = np.load(workdir / f"labels_of_{name}.npy")
    assert len(np.unique(expected)) >= 4
    assert np.mean(labels[0] != expected) < 1e-3  # rounding moves a pixel where two classes are equally likely


def test_the_image_size_is_read_by_its_old_name(workdir):
    assert '"picture_size"' in (workdir / "config.json").read_text()
    assert saved_image_size(workdir) == (64, 128)
    assert saved_parameters(workdir) == 26107


def test_the_run_resumes_with_the_losses_of_version_0_1(workdir):
    config, _ = saved_config(workdir)
    assert train(config, workdir, no_scorer).step == 82
    losses = {row["step"]: row["loss"] for row in rows_of(workdir) if "loss" in row}
    assert list(losses) == list(range(1, 83))
    np.testing.assert_allclose([losses[step] for step in LOSSES], list(LOSSES.values()), rtol=1e-3)
