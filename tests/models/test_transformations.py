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


def test_forward_mode_and_reverse_mode_agree():
    variables, _, way = network()
    function = functools.partial(loss, train=True)

    def run(params):
        gradient = jax.grad(function)(params)
        slope = sum(jnp.vdot(g, w) for g, w in zip(jax.tree.leaves(gradient), jax.tree.leaves(way), strict=True))
        value, linear = jax.linearize(function, params)
        return slope, jax.jvp(function, (params,), (way,)), (value, linear(way))

    backwards, jvp, linearized = jax.device_get(quick_jit(run)(variables["params"]))
    assert abs(backwards) > 1e-3
    np.testing.assert_allclose([jvp[1], linearized[1]], backwards, rtol=1e-3)
    np.testing.assert_allclose(linearized[0], jvp[0], rtol=1e-6)


def test_the_jacobian_and_the_hessian_are_finite_differences():
    # By two numbers: how far to go along a direction in the parameters of each part.
    model = MODEL.clone(encoder="enc4", guidance="high_res")
    x = images(1, 64, 96)
    variables = filled(model, x, seed=3)
    params, rng = variables["params"], np.random.default_rng(1)
    way = jax.tree.map(lambda leaf: (leaf * rng.normal(size=leaf.shape)).astype(np.float32), params)

    def of_steps(steps):
        moved = params | {
            name: along(params[name], way[name], step) for name, step in zip(("classifier", "gum"), steps, strict=True)
        }
        logits = model.apply({**variables, "params": moved}, x, output_size=(16, 24))
        return cross_entropy(logits, LABELS[:1, :16, :24])

    run = quick_jit(lambda steps: (of_steps(steps), jax.jacfwd(of_steps)(steps), jax.hessian(of_steps)(steps)))
    here, size = np.full(2, 0.01, np.float32), 1e-2
    _, jacobian, hessian = run(here)
    assert np.all(np.abs(jacobian) > 1e-4) and np.abs(hessian).max() > 1e-4
    for part, step in enumerate(size * np.eye(2, dtype=np.float32)):
        ahead, behind = run(here + step), run(here - step)
        np.testing.assert_allclose((ahead[0] - behind[0]) / (2 * size), jacobian[part], rtol=0.02, atol=1e-4)
        np.testing.assert_allclose((ahead[1] - behind[1]) / (2 * size), hessian[part], rtol=0.05, atol=1e-3)


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
        assert "stablehlo.case" not in module and "inlineable" not in module
        assert set(re.findall(r"custom_call @([\w.]+)", module)) <= {"Sharding"}
        jaxpr = str(jax.make_jaxpr(function)(argument))
        assert set(re.findall(r"custom_jvp_call\w*\[\s*name=(\w+)", jaxpr)) <= {"relu"}  # JAX's own
        assert "custom_vjp" not in jaxpr
        assert "platform_index" not in jaxpr
