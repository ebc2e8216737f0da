"""oneDNN's calls against `jax.lax`'s convolution, its automatic gradients, and NumPy's products."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from models_by_hand import quick_jit

import gun_jax
from gun_jax.models import winograd
from gun_jax.models.convolution import convolve

onednn = pytest.importorskip("gun_jax_onednn")  # make onednn

CASES = [  # height, width, channels in and out, kernel, stride, dilation
    (9, 11, 3, 16, 7, 1, 1),
    (8, 7, 5, 6, 3, 1, 2),
    (9, 12, 16, 32, 3, 2, 1),
    (9, 12, 16, 32, 1, 2, 1),
    (6, 5, 40, 3, 1, 1, 1),
    (7, 6, 8, 2, 3, 3, 2),
    (1, 1, 32, 4, 3, 1, 2),
    (12, 15, 64, 64, 3, 1, 4),
]


@pytest.fixture(autouse=True)
def in_use(monkeypatch):
    monkeypatch.setenv("GUN_ONEDNN", "1")


def plain(x, kernel, stride, padding, dilation):
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), [(padding, padding)] * 2, rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip


def example(height, width, into, out, size, stride, dilation):
    """Input, kernel, a gradient of the result, and what the convolution takes."""
    rng = np.random.default_rng(height * width)
    x = rng.normal(size=(2, height, width, into)).astype(np.float32)
    kernel = rng.normal(size=(size, size, into, out)).astype(np.float32)
    geometry = {"stride": stride, "padding": size // 2 * dilation, "dilation": dilation}
    back = rng.normal(size=jax.eval_shape(lambda x: plain(x, kernel, **geometry), x).shape).astype(np.float32)
    return x, kernel, back, geometry


def close(ours, expected):
    np.testing.assert_allclose(ours, expected, atol=1e-5 * np.abs(expected).max(), rtol=0)


def gradients(function, x, kernel, back, geometry):
    return jax.vjp(lambda x, kernel: function(x, kernel, *geometry.values()), x, kernel)[1](back)


def calls(function, *arguments):
    return str(jax.make_jaxpr(function)(*arguments)).count("ffi_call[")


@pytest.mark.parametrize("case", CASES)
def test_a_convolution_and_its_gradients_are_those_of_jax(case):
    x, kernel, back, geometry = example(*case)
    of_x, of_kernel = gradients(plain, x, kernel, back, geometry)
    close(onednn.convolve(x, kernel, **geometry), plain(x, kernel, **geometry))
    close(onednn.input_gradient(kernel, back, x.shape, **geometry), of_x)
    close(onednn.kernel_gradient(x, back, kernel.shape, **geometry), of_kernel)


@pytest.mark.parametrize("axes", [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_it_multiplies_along_either_axis(axes):
    rng = np.random.default_rng(0)
    left = rng.normal(size=(5, 7, 3) if axes[0] == 1 else (5, 3, 7)).astype(np.float32)
    right = rng.normal(size=(5, 7, 4) if axes[1] == 1 else (5, 4, 7)).astype(np.float32)
    letters = ["nka" if axes[0] == 1 else "nak", "nkb" if axes[1] == 1 else "nbk"]
    close(onednn.multiply(left, right, *axes), np.einsum(f"{letters[0]},{letters[1]}->nab", left, right))
    close(winograd.multiply(left, right, *axes), np.einsum(f"{letters[0]},{letters[1]}->nab", left, right))


@pytest.mark.parametrize("case", [CASES[0], CASES[2], (12, 15, 128, 128, 3, 1, 4)])
def test_what_is_differentiated_calls_it(case):
    x, kernel, back, geometry = example(*case)

    def ours(x, kernel):
        return gradients(convolve, x, kernel, back, geometry)

    assert calls(ours, x, kernel) >= 3
    for found, expected in zip(quick_jit(ours)(x, kernel), gradients(plain, x, kernel, back, geometry), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max(), rtol=0)


def test_what_is_not_differentiated_or_not_float32_or_not_wanted_does_not(monkeypatch):
    x, kernel, back, geometry = example(*CASES[2])
    halves = [jnp.asarray(array, jnp.bfloat16) for array in (x, kernel, back)]
    assert not calls(lambda x, kernel: convolve(x, kernel, *geometry.values()), x, kernel)
    assert not calls(lambda x, kernel, back: gradients(convolve, x, kernel, back, geometry), *halves)
    monkeypatch.setenv("GUN_ONEDNN", "0")
    assert not calls(lambda x, kernel: gradients(convolve, x, kernel, back, geometry), x, kernel)


def test_gradients_under_vmap_are_those_of_a_loop():
    x, kernel, back, geometry = example(*CASES[2])
    kernels = np.stack([kernel, -0.5 * kernel])
    several = jax.vmap(lambda kernel: gradients(convolve, x, kernel, back, geometry))(kernels)
    for index, one in enumerate(kernels):
        for found, expected in zip(several, gradients(plain, x, one, back, geometry), strict=True):
            close(found[index], expected)


def test_shapes_that_do_not_fit_are_refused_by_name():
    x, _, _, geometry = example(*CASES[2])
    with pytest.raises(ValueError, match=r"16.*17"):
        onednn.convolve(x, np.zeros((3, 3, 17, 4), np.float32), **geometry)


def test_a_network_has_the_same_gradient_with_it_and_without(monkeypatch):
    network = gun_jax.GUN(3, width=0.2)
    images = np.random.default_rng(0).normal(size=(2, 48, 64, 3)).astype(np.float32)
    variables = quick_jit(network.init)(jax.random.key(0), images)

    def gradient():
        def loss(params):
            logits, _ = network.apply({**variables, "params": params}, images, train=True, mutable=["batch_stats"])
            return jnp.square(logits).mean()

        return quick_jit(jax.grad(loss))(variables["params"])

    with_it = gradient()
    monkeypatch.setenv("GUN_ONEDNN", "0")
    for ours, expected in zip(jax.tree.leaves(with_it), jax.tree.leaves(gradient()), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-4 * max(1e-3, np.abs(expected).max()), rtol=0)
