"""Checkpoints come back bit for bit; unreadable ones are reported in a line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gun_jax.configuration import build_model, describe_network
from gun_jax.errors import InputError
from gun_jax.runs.checkpoints import Checkpoints, restore_variables, saved_steps
from gun_jax.training.optimizer import learning_rate, make_optimizer
from gun_jax.training.state import TrainState


@pytest.fixture
def state(small_config, random_variables):
    """Of a real network and optimiser, all of it random."""
    return random_state(small_config, random_variables)


def random_state(config, random_variables, seed=0):
    optimizer = make_optimizer(config.optimizer, learning_rate(config.optimizer, 3, 6))
    model = build_model(config.model, 19)
    variables = random_variables(model, seed)
    rng = np.random.default_rng(seed)
    momentum = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=leaf.shape).astype(leaf.dtype)), optimizer.init(variables["params"])
    )
    return TrainState(jnp.asarray(4, jnp.int32), **jax.tree.map(jnp.asarray, variables), opt_state=momentum)


def same_bits(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape and ours.tobytes() == theirs.tobytes()


def test_a_state_comes_back_bit_for_bit_with_its_position(state, tmp_path):
    position = {"step": 4, "records": 8}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state, position)
    with Checkpoints(tmp_path) as checkpoints:
        found, found_position = checkpoints.restore(jax.tree.map(jnp.zeros_like, state), None)
    same_bits(found, state)
    assert found_position == position


def test_a_saved_state_does_not_change_when_the_next_step_reuses_its_memory(state, tmp_path):
    expected = jax.tree.map(np.array, state)
    overwrite = jax.jit(lambda state: jax.tree.map(lambda leaf: leaf * 0 + 1, state), donate_argnums=0)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state, {})
        overwritten = jax.block_until_ready(overwrite(state))
    with Checkpoints(tmp_path) as checkpoints:
        same_bits(checkpoints.restore(overwritten, None)[0], expected)


def test_the_newest_is_restored_and_the_last_few_are_kept(state, tmp_path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        assert checkpoints.latest() is None
        for step in (2, 9, 10, 30):  # 9 and 10: numbers, not names, are in order
            saved = state.replace(step=jnp.asarray(step, jnp.int32), params={"kernel": jnp.full(3, step / 7)})
            checkpoints.save(saved, {})
    assert saved_steps(tmp_path) == [10, 30]
    with Checkpoints(tmp_path) as checkpoints:
        same_bits(checkpoints.restore(saved, None)[0], saved)


def test_an_unfinished_checkpoint_does_not_count(state, tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state, {})
    (tmp_path / "checkpoints" / "8.orbax-checkpoint-tmp-1234").mkdir()
    assert saved_steps(tmp_path) == [4]
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest() == 4


def test_a_workdir_without_checkpoints_has_no_steps(tmp_path):
    assert saved_steps(tmp_path / "nothing") == []


# Variables alone, for inference


@pytest.fixture
def network(random_run):
    return describe_network(random_run.config.model, 19)


def never():
    raise AssertionError("the structure is known")


def test_variables_alone_come_back_bit_for_bit_and_no_network_is_traced(random_run, network):
    found, step = restore_variables(random_run.workdir, network, never)
    same_bits(found, random_run.variables)
    assert step == 7


def test_variables_that_another_version_saved_come_back_after_a_look_at_their_shapes(random_run, network):
    found, _ = restore_variables(random_run.workdir, network | {"version": "0"}, lambda: random_run.variables)
    same_bits(found, random_run.variables)


def test_variables_of_an_older_step_come_back_on_request(random_run, random_variables, network):
    found, step = restore_variables(random_run.workdir, network, never, step=3)
    assert step == 3
    expected = random_variables(random_run.model, seed=3)["params"]
    same_bits(found["params"]["encode"], expected["encode"])


def test_a_step_that_is_not_there_is_refused_in_a_line_with_those_that_are(random_run, network):
    with pytest.raises(InputError, match=r"^.*has no checkpoint of step 5; it has 3, 7$"):
        restore_variables(random_run.workdir, network, never, step=5)


def test_a_workdir_without_a_checkpoint_is_refused_in_a_line(tmp_path, network):
    with pytest.raises(InputError, match=rf"^{tmp_path} has no checkpoint yet; train it with .*$"):
        restore_variables(tmp_path, network, never)


@pytest.mark.parametrize(
    ("key", "value"),
    [("width", 0.2), ("encoder", "enc4"), ("encoder", "enc24"), ("guidance", "none"), ("guidance", "large_rf"),
     ("fusion", "base_sum"), ("fusion", "postproc_concat"), ("variant", "d38")],
)  # fmt: skip
def test_variables_of_another_network_are_refused_in_a_line(random_run, random_variables, small_config, key, value):
    small_config.model[key] = value
    like = random_variables(build_model(small_config.model, 19))
    with pytest.raises(InputError, match=r"^.*does not hold the network that .* describes: .+$") as caught:
        restore_variables(random_run.workdir, describe_network(small_config.model, 19), lambda: like)
    assert "\n" not in str(caught.value)


@pytest.mark.fault("a checkpoint of another network")
def test_variables_of_other_classes_are_refused_in_a_line(random_run, random_variables, small_config):
    like = random_variables(build_model(small_config.model, 11))
    with pytest.raises(InputError, match=r"^.*does not hold the network that .* describes: .+$"):
        restore_variables(random_run.workdir, describe_network(small_config.model, 11), lambda: like)
