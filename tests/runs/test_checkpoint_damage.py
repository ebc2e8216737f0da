"""Checkpoints that are damaged or cannot be written, and the best one: no complete one is lost."""

import json
import pathlib
import resource
import shutil
import signal
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gun_jax.errors import InputError, InputWarning
from gun_jax.runs.checkpoints import Checkpoints, restore_variables, saved_steps
from gun_jax.training.state import TrainState

pytestmark = pytest.mark.fault("a checkpoint that is truncated, changed, partly deleted, or not written")


@pytest.fixture
def state():
    """Of a few thousand random numbers: enough for files of their own."""
    kernel, mean = (jnp.asarray(np.random.default_rng(0).normal(size=size), jnp.float32) for size in ((64, 64), (64,)))
    momentum = optax.sgd(0.1, 0.9).init({"kernel": kernel})
    return TrainState(jnp.asarray(4, jnp.int32), {"kernel": kernel}, {"mean": mean}, momentum)


@pytest.fixture
def network():
    return {"name": "a network"}


def never():
    raise AssertionError("the network was traced")


def same_bits(found, expected):
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs), strict=True)


def saved_run(workdir, state, network, steps=(2, 3, 4)):
    with Checkpoints(workdir) as checkpoints:
        for step in steps:
            checkpoints.save(state.replace(step=jnp.asarray(step, jnp.int32)), {"network": network, "batches": step})


def files_of(workdir, step):
    return sorted(path for path in (workdir / "checkpoints" / str(step)).rglob("*") if path.is_file())


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, flip, pathlib.Path.unlink])
def test_damage_to_any_file_is_found_and_the_checkpoint_before_is_used(state, tmp_path, network, damage):
    tried, harmless = 0, 0
    saved_run(tmp_path / "whole", state, network)
    for file in files_of(tmp_path / "whole", 4):
        workdir = tmp_path / "damaged"
        shutil.copytree(tmp_path / "whole", workdir)
        damage(workdir / file.relative_to(tmp_path / "whole"))
        tried += 1
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            with Checkpoints(workdir) as checkpoints:
                found, position = checkpoints.restore(jax.tree.map(jnp.zeros_like, state), network)
        assert int(found.step) == position["batches"]
        same_bits(found.replace(step=state.step), state)  # whatever it went back to was read as it was written
        if position["batches"] == 4:
            harmless += 1  # a file that nothing depends on
        else:
            assert position["batches"] == 3
            (line,) = [str(one.message) for one in told if one.category is InputWarning]
            assert "checkpoints/4 is damaged" in line and "step 3" in line and "\n" not in line
            assert saved_steps(workdir) == [2, 3] and (workdir / "checkpoints" / "4.damaged").is_dir()
        shutil.rmtree(workdir)
    assert tried - harmless >= 6


def test_a_checkpoint_of_another_version_is_refused_by_both_and_not_called_damaged(state, tmp_path, network):
    saved_run(tmp_path, state, network)
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(InputError, match=r"/4 is of another network or version"):
        checkpoints.restore(state, network | {"version": "0.9"})
    position = {"batches": 4, "network": network}  # as before there were digests
    (tmp_path / "checkpoints/4/position/metadata").write_text(json.dumps(position))
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(InputError, match=r"by a version .* without digests"),
    ):
        checkpoints.restore(state, network)
    assert saved_steps(tmp_path) == [2, 3, 4]


def test_variables_come_from_the_newest_undamaged_checkpoint_and_nothing_is_renamed(state, tmp_path, network):
    saved_run(tmp_path, state, network)
    for file in files_of(tmp_path, 4):
        cut(file)
    with pytest.warns(InputWarning, match=r"checkpoints/4 is damaged .*; using that of step 3$"):
        found, step = restore_variables(tmp_path, network, never)
    assert step == 3 and saved_steps(tmp_path) == [2, 3, 4]
    same_bits(found, jax.device_get(state.variables))
    with pytest.raises(InputError, match=r"^checkpoint .*/4 is damaged .+$"):
        restore_variables(tmp_path, network, never, step=4)


def test_a_run_whose_checkpoints_are_all_damaged_is_refused_in_a_line(state, tmp_path, network):
    saved_run(tmp_path, state, network, steps=(2, 3))
    for step in (2, 3):
        for file in files_of(tmp_path, step):
            cut(file)
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(InputError, match=r"^checkpoint .*/3 is damaged.*/2 is"):
        checkpoints.restore(state, network)
    assert saved_steps(tmp_path) == [2, 3]


def test_the_best_checkpoint_stays_beside_the_newest(state, tmp_path, network):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for step, miou in ((1, 0.2), (2, 0.7), (3, None), (4, 0.5), (5, 0.6), (6, None)):
            checkpoints.save(state.replace(step=jnp.asarray(step, jnp.int32)), {"network": network})
            checkpoints.scored(step, miou)
    assert saved_steps(tmp_path) == [2, 5, 6]
    for rows, kept in (
        (((7, 0.6), (8, None)), [2, 7, 8]),
        (((9, 0.8), (10, 0.8), (11, None), (12, 0.1)), [10, 11, 12]),
    ):
        with Checkpoints(tmp_path, keep=2) as checkpoints:  # the run resumes
            checkpoints.scored(2, 0.7)
            checkpoints.restore(state, network)
            for step, miou in rows:
                checkpoints.save(state.replace(step=jnp.asarray(step, jnp.int32)), {"network": network})
                checkpoints.scored(step, miou)
        assert saved_steps(tmp_path) == kept


def test_a_checkpoint_that_cannot_be_written_is_reported_in_a_line_and_older_ones_stay(state, tmp_path, network):
    saved_run(tmp_path, state, network, steps=(2,))
    file_size = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing further fails instead
    try:
        refused = pytest.raises(
            InputError, match=r"^cannot save a checkpoint in .*; the last complete one is of step 2: .+$"
        )
        with refused, Checkpoints(tmp_path) as checkpoints:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, file_size[1]))
            checkpoints.save(state.replace(step=jnp.asarray(3, jnp.int32)), {"network": network})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, file_size)
        signal.signal(signal.SIGXFSZ, ignored)
    assert saved_steps(tmp_path) == [2]
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["2"]
    with Checkpoints(tmp_path) as checkpoints:
        same_bits(checkpoints.restore(state, network)[0].replace(step=state.step), state)
