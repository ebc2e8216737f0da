"""JAX's transformations of the network in plain operations, each against finite differences, reverse mode or a loop."""

import functools
import re

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from reference_models import filled, images, quick_jit

from gun_jax import GUN, plain_ops
from gun_jax.ops.losses import cross_entropy

MODEL = GUN(3, width=1 / 32)
OUTPUT = (18, 27)
LABELS = np.random.default_rng(0).integers(0, 3, (2, *OUTPUT))


@pytest.fixture(autouse=True)
def plain():
    with plain_ops():
        yield


@functools.cache
def network():
    """Variables with random numbers in all places, images, and a direction in the parameters."""
    x = images(2, 36, 54)
    variables = filled(MODEL, x, seed=3)
    rng = np.random.default_rng(1)
    way = jax.tree.map(lambda leaf: (leaf * rng.normal(size=leaf.shape)).astype(np.float32), variables["params"])
    return variables, x, way


def loss(params, train=False):
    variables, x, _ = network()
    variables = {**variables, "params": params}
    if train:
        return cross_entropy(MODEL.apply(variables, x, True, OUTPUT, mutable=["batch_stats"])[0], LABELS)
    return cross_entropy(MODEL.apply(variables, x, output_size=OUTPUT), LABELS)


def along(params, way, step):
    return jax.tree.map(lambda p, w: p + step * w, params, way)


@functools.cache
def derivatives(train):
    """By reverse mode and by forward mode: the slope of the loss along the direction."""
    variables, _, way = network()

    def run(params):
        gradient = jax.grad(loss)(params, train)
        slope = sum(jnp.vdot(g, w) for g, w in zip(jax.tree.leaves(gradient), jax.tree.leaves(way), strict=True))
        function = functools.partial(loss, train=train)
        value, linear = jax.linearize(function, params)
        forwards = jax.jvp(function, (params,), (way,))
        return {"value": function(params), "grad": slope, "jvp": forwards[1], "linearize": linear(way), "same": value}

    return jax.device_get(quick_jit(run)(variables["params"]))


@pytest.mark.parametrize("train", [False, True])
def test_forward_mode_and_reverse_mode_agree(train):
    found = derivatives(train)
    assert abs(found["grad"]) > 1e-3
    np.testing.assert_allclose([found["jvp"], found["linearize"]], found["grad"], rtol=1e-3)
    np.testing.assert_allclose(found["same"], found["value"], rtol=1e-6)


def test_the_jacobian_and_the_hessian_are_finite_differences():
    # By three numbers: how far to go along a direction in the parameters of each part.
    variables, _, way = network()
    parts = [["encode"], ["fusion1", "classifier"], ["gum"]]

    def of_steps(steps):
        moved = dict(variables["params"])
        for step, names in zip(steps, parts, strict=True):
            moved |= {name: along(moved[name], way[name], step) for name in names}
        return loss(moved)

    def run(steps):
        return of_steps(steps), jax.grad(of_steps)(steps), jax.jacfwd(of_steps)(steps), jax.hessian(of_steps)(steps)

    compiled = quick_jit(run)
    here = np.full(3, 0.01, np.float32)
    _, gradient, jacobian, hessian = compiled(here)
    np.testing.assert_allclose(jacobian, gradient, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-2, atol=1e-3)
    for part, step in enumerate(1e-3 * np.eye(3, dtype=np.float32)):
        ahead, behind = compiled(here + step), compiled(here - step)
        np.testing.assert_allclose((ahead[0] - behind[0]) / 2e-3, gradient[part], rtol=0.05, atol=2e-3)


def test_vmap_over_images_is_the_batch_and_checkpoint_changes_nothing():
    variables, x, _ = network()

    def run(params):
        apply = functools.partial(MODEL.apply, {**variables, "params": params}, output_size=OUTPUT)
        mapped = jax.vmap(lambda image: apply(image[None])[0])(x)
        gradients = [jax.grad(function)(params) for function in (loss, jax.checkpoint(loss))]
        return apply(x), mapped, gradients

    batch, mapped, gradients = quick_jit(run)(variables["params"])
    np.testing.assert_allclose(mapped, batch, atol=1e-4 * np.abs(batch).max())
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), *gradients)


def test_exported_for_cuda_nothing_of_the_cpu_s_is_left():
    variables, x, _ = network()
    predict = functools.partial(MODEL.apply, variables, output_size=OUTPUT, method="predict")
    gradient = functools.partial(jax.grad(loss), train=True)
    for function, argument in ((predict, x), (gradient, variables["params"])):
        module = jax.export.export(jax.jit(function), platforms=["cuda"])(argument).mlir_module()
        assert "stablehlo.convolution" in module
        for forbidden in ("stablehlo.case", "gun_jax", "inlineable"):
            assert forbidden not in module
        jaxpr = str(jax.make_jaxpr(function)(argument))
        assert set(re.findall(r"custom_jvp_call\w*\[\s*name=(\w+)", jaxpr)) <= {"relu"}  # JAX's own
        assert "custom_vjp" not in jaxpr
        assert "platform_index" not in jaxpr
