"""The compiled step against the gradient taken outside of it."""

import os
import pathlib
import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gun_jax
from gun_jax.configuration import build_model, default_config
from gun_jax.data.synthetic import SyntheticScenes
from gun_jax.evaluation.scoring import make_scorer
from gun_jax.training.optimizer import learning_rate, make_optimizer
from gun_jax.training.state import TrainState, create_state
from gun_jax.training.step import batch_sharding, data_mesh, make_train_step, replicated

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # ImageNet's, as torchvision has them


@pytest.fixture(scope="module")
def compiled(random_variables):
    """A small network, its compiled step, a batch, and `state()`: a fresh copy of the first state."""
    config = default_config()
    config.model.input_subsampling, config.model.width = 2, 0.1
    config.optimizer.peak_rate, config.optimizer.weight_decay = 0.05, 0.01
    model = build_model(config.model, 19)
    optimizer = make_optimizer(config.optimizer, learning_rate(config.optimizer, 100, 1000))
    variables = random_variables(model)
    scenes = SyntheticScenes(2, (64, 128), seed=3)
    batch = {key: np.stack([scenes[i][key] for i in range(2)]) for key in ("image", "label")}
    mesh = data_mesh()

    def state():
        copy = jax.tree.map(jnp.array, variables)
        fresh = TrainState(jnp.zeros((), jnp.int32), **copy, opt_state=optimizer.init(copy["params"]))
        return jax.device_put(fresh, replicated(mesh))

    take = make_train_step(model, optimizer, mesh)
    return types.SimpleNamespace(
        model=model,
        variables=variables,
        batch=batch,
        state=state,
        optimizer=optimizer,
        take=lambda state, changes=(): take(state, jax.device_put(batch | dict(changes), batch_sharding(mesh))),
    )


@pytest.fixture(scope="module")
def first_step(compiled):
    return jax.device_get(compiled.take(compiled.state()))


@pytest.fixture(scope="module")
def taken_outside(compiled):
    """Loss, gradient and new batch statistics of the same batch, with neither the step nor its loss."""
    images = ((compiled.batch["image"] / 255.0 - MEAN) / STD).astype(np.float32)
    labels = compiled.batch["label"]
    counted = labels != 255
    chosen = jax.nn.one_hot(np.where(counted, labels, 0), 19) * counted[..., None]

    def loss_of(params):
        variables = {"params": params, "batch_stats": compiled.variables["batch_stats"]}
        logits, new = compiled.model.apply(variables, images, True, labels.shape[1:], mutable=["batch_stats"])
        return -(jax.nn.log_softmax(logits) * chosen).sum() / counted.sum(), new["batch_stats"]

    (loss, statistics), gradient = jax.jit(jax.value_and_grad(loss_of, has_aux=True))(compiled.variables["params"])
    return loss, gradient, statistics


def test_the_step_s_loss_is_that_of_the_network_before_it(first_step, taken_outside):
    np.testing.assert_allclose(first_step[1].loss, taken_outside[0], rtol=1e-5)
    squares = sum(float((np.asarray(leaf, np.float64) ** 2).sum()) for leaf in jax.tree.leaves(taken_outside[1]))
    np.testing.assert_allclose(first_step[1].gradient_norm, squares**0.5, rtol=1e-4)
    assert first_step[1].applied


@pytest.mark.fault("a loss, a gradient or an update that is not finite")
def test_a_step_whose_numbers_are_not_finite_changes_only_its_number(compiled):
    def spoilt():
        state = compiled.state()
        kernel = state.params["classifier"]["kernel"].at[0].set(jnp.inf)
        return state.replace(params=state.params | {"classifier": state.params["classifier"] | {"kernel": kernel}})

    before = jax.device_get(spoilt())
    after, outcome = jax.device_get(compiled.take(spoilt()))
    assert not outcome.applied and not np.isfinite([outcome.loss, outcome.gradient_norm]).all()
    jax.tree.map(np.testing.assert_array_equal, after.replace(step=before.step), before)
    assert after.step == 1


@pytest.mark.fault("a batch without a labelled pixel")
def test_a_batch_of_ignored_pixels_only_moves_nothing_but_by_the_decay(compiled):
    before = jax.device_get(compiled.state())
    after, outcome = jax.device_get(compiled.take(compiled.state(), {"label": np.full((2, 64, 128), 255, np.uint8)}))
    assert outcome.applied and outcome.loss == outcome.gradient_norm == 0

    def expected(parameter):
        return parameter * (1 - 0.05 * 0.01 if parameter.ndim == 4 else 1)

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, expected(b), rtol=1e-6), after.params, before.params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(after.batch_stats))


def test_one_step_goes_down_the_gradient_by_the_rate(first_step, taken_outside, compiled):
    def expected(parameter, gradient):
        decay = 0.01 * parameter if parameter.ndim == 4 else 0
        return parameter - 0.05 * (np.asarray(gradient) + decay)

    wanted = jax.tree.map(expected, compiled.variables["params"], taken_outside[1])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), first_step[0].params, wanted)


def test_one_step_moves_every_parameter(first_step, compiled):
    pairs = zip(jax.tree.leaves(first_step[0].params), jax.tree.leaves(compiled.variables["params"]), strict=True)
    assert all(np.any(new != old) for new, old in pairs)


def test_one_step_updates_the_batch_statistics(first_step, taken_outside, compiled):
    check = np.testing.assert_allclose
    jax.tree.map(lambda a, b: check(a, b, atol=1e-5), first_step[0].batch_stats, taken_outside[2])
    before = jax.tree.leaves(compiled.variables["batch_stats"])
    pairs = zip(jax.tree.leaves(first_step[0].batch_stats), before, strict=True)
    assert all(np.any(new != old) for new, old in pairs)


def test_one_step_is_counted(first_step):
    assert first_step[0].step == 1


def test_the_loss_on_one_batch_goes_down(compiled):
    state, losses = compiled.state(), []
    for _ in range(8):
        state, outcome = compiled.take(state)
        losses.append(float(outcome.loss))
    assert losses[-1] < 0.7 * losses[0]


def test_the_first_state_is_a_function_of_the_seed(compiled):
    first, same, other = (create_state(compiled.model, compiled.optimizer, seed) for seed in (1, 1, 2))
    jax.tree.map(np.testing.assert_array_equal, first, same)
    kernels = [state.params["classifier"]["kernel"] for state in (first, other)]
    assert np.any(kernels[0] != kernels[1])


@pytest.mark.slow
def test_steps_of_two_sizes_run_in_turn_and_leave_what_else_is_compiled_usable():
    config = default_config()
    config.model.width, config.model.encoder, config.model.guidance = 0.1, "enc4", "high_res"
    model = build_model(config.model, 3)
    optimizer, mesh = optax.sgd(0.1), data_mesh()
    state = jax.device_put(create_state(model, optimizer, seed=0), replicated(mesh))
    take = make_train_step(model, optimizer, mesh, clear_caches=True)
    score = make_scorer(model, 1, 1)
    rng = np.random.default_rng(0)
    for size in ((64, 96), (96, 64), (64, 96)):
        image, label = rng.integers(0, 256, (1, *size, 3), np.uint8), rng.integers(0, 3, (1, *size), np.uint8)
        state, outcome = take(state, jax.device_put({"image": image, "label": label}, batch_sharding(mesh)))
        assert outcome.applied
        assert score(state.variables, [{"image": image[0], "label": label[0]}]).counts.sum() == 64 * 96
    assert state.step == 3


_TWO_DEVICES = """
import sys
import jax, jax.numpy as jnp, numpy as np
import gun_jax
from jax.sharding import Mesh
from gun_jax.configuration import build_model, default_config
from gun_jax.training.optimizer import learning_rate, make_optimizer
from gun_jax.training.state import TrainState
from gun_jax.training.step import make_train_step, replicated, batch_sharding

config = default_config()
config.model.input_subsampling, config.model.width, config.optimizer.peak_rate = 2, 0.05, 0.05
assert (config.model.encoder, config.model.fusion, config.model.guidance) == ("enc24shared", "postproc_sum", "fusion")
model = build_model(config.model, 19)
optimizer = make_optimizer(config.optimizer, learning_rate(config.optimizer, 100, 1000))
rng = np.random.default_rng(0)
# A dark and a bright image, one labelled to a tenth: means of the devices' means would be others than of the batch.
images = np.stack([rng.integers(0, 60, (64, 128, 3)), rng.integers(90, 256, (64, 128, 3))]).astype(np.uint8)
labels = rng.integers(0, 3, (2, 64, 128)).astype(np.uint8)
labels[1, 6:] = 255
shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
kernel = lambda leaf: rng.normal(0, (2 / np.prod(leaf.shape[:-1])) ** 0.5, leaf.shape).astype(np.float32)
drawn = jax.tree.map(lambda leaf: kernel(leaf) if leaf.ndim == 4 else np.ones(leaf.shape, np.float32), shapes)
first = TrainState(np.int32(0), **drawn, opt_state=optimizer.init(drawn["params"]))
assert len(jax.devices()) == 2
results = []
for devices in (jax.devices(), jax.devices()[:1]):
    mesh = Mesh(np.asarray(devices), ("data",))
    state = jax.device_put(jax.tree.map(jnp.array, first), replicated(mesh))
    batch = jax.device_put({"image": images, "label": labels}, batch_sharding(mesh))
    assert len(batch["image"].addressable_shards) == len(devices)
    with gun_jax.plain_ops(len(devices) == 1):
        state, loss = make_train_step(model, optimizer, mesh)(state, batch)
    results.append(jax.device_get((loss, state)))
both = zip(*map(jax.tree.leaves, results), strict=True)
print(max(np.abs(np.asarray(two, np.float64) - one).max() for two, one in both))
moved = zip(jax.tree.leaves(results[0][1].params), jax.tree.leaves(first.params), strict=True)
print(max(np.abs(new - old).max() for new, old in moved))
"""


def test_two_devices_with_the_forms_for_cpus_take_the_step_of_one_with_plain_operations():
    root = pathlib.Path(gun_jax.__file__).parents[1]
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    environment = os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": str(root)}
    output = subprocess.run(
        [sys.executable, "-c", _TWO_DEVICES], capture_output=True, text=True, check=True, env=environment
    )
    difference, movement = map(float, output.stdout.split())
    assert difference < 1e-5 < 1e-3 < movement
