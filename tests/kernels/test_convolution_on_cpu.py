"""The forms of the convolution for CPUs, and their gradients, against the plain one and loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_models import quick_jit, taps_by_loops

from gun_jax.kernels import shift_matmul
from gun_jax.ops.convolution import convolve

CASES = [  # height, width, channels in and out, kernel, stride, dilation; by their channels they take all the forms
    (9, 11, 3, 4, 7, 1, 1),
    (9, 11, 3, 4, 3, 2, 1),
    (9, 11, 3, 5, 7, 1, 1),
    (9, 11, 5, 7, 3, 2, 1),
    (8, 7, 5, 6, 3, 1, 2),
    (7, 6, 31, 2, 3, 2, 2),
    (9, 8, 4, 3, 1, 1, 1),
    (9, 8, 4, 3, 1, 2, 1),
    (8, 8, 32, 5, 3, 1, 1),
    (9, 11, 32, 5, 3, 2, 1),
    (10, 7, 40, 3, 3, 1, 4),
    (11, 13, 33, 3, 3, 3, 2),
    (7, 9, 48, 4, 1, 1, 1),
    (7, 10, 48, 4, 1, 2, 1),
    (1, 1, 32, 4, 3, 1, 2),
    (2, 3, 32, 4, 7, 2, 1),
    (9, 6, 64, 64, 3, 1, 2),
    (9, 6, 64, 63, 3, 1, 2),
    (6, 9, 5, 12, 3, 3, 2),
    (9, 6, 32, 128, 3, 2, 1),
]


def example(height, width, into, out, size, stride, dilation, seed=0):
    """Input, kernel, a gradient of the output, and (stride, padding, dilation)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, height, width, into)).astype(np.float32)
    kernel = rng.normal(size=(size, size, into, out)).astype(np.float32) / np.float32(size * np.sqrt(into))
    geometry = (stride, size // 2 * dilation, dilation)
    shape = jax.eval_shape(lambda x, kernel: convolve.plain(x, kernel, *geometry), x, kernel).shape
    return x, kernel, rng.normal(size=shape).astype(np.float32), geometry


def value_and_gradients(function, x, kernel, back, geometry):
    """The output, and gradients with respect to input and kernel."""
    value, pull_back = jax.vjp(lambda x, kernel: function(x, kernel, *geometry), x, kernel)
    return value, *pull_back(back)


run = quick_jit(value_and_gradients, static_argnums=(0, 4))


def close(ours, expected, part=1e-5):
    """Equal up to a part of the largest value."""
    expected = np.asarray(expected, np.float64)
    np.testing.assert_allclose(np.asarray(ours, np.float64), expected, atol=part * np.abs(expected).max(), rtol=0)


def all_close(ours, expected, part=1e-5):
    for one, theirs in zip(ours, expected, strict=True):
        close(one, theirs, part)


@pytest.mark.parametrize("case", CASES)
def test_value_and_gradients_are_the_plain_ones(case):
    arguments = example(*case)
    all_close(run(convolve, *arguments), run(convolve.plain, *arguments))


@pytest.mark.parametrize("case", [CASES[1], CASES[10], CASES[17]])
def test_bfloat16_gradients_are_those_of_float32_rounded(case):
    x, kernel, back, geometry = example(*case, seed=2)
    coarse = [jnp.asarray(array, jnp.bfloat16) for array in (x, kernel, back)]
    expected = run(convolve.plain, *(array.astype(jnp.float32) for array in coarse), geometry)
    for ours, theirs in zip(run(convolve, *coarse, geometry)[1:], expected[1:], strict=True):
        assert ours.dtype == jnp.bfloat16
        close(ours.astype(jnp.float32), theirs, 2**-7)


@pytest.mark.parametrize("case", [CASES[1], CASES[7], CASES[17]])
def test_without_jit_they_are_the_same(case):
    arguments = example(*case, seed=3)
    all_close(run(convolve, *arguments), value_and_gradients(convolve, *arguments), 1e-6)


@pytest.mark.parametrize("case", [CASES[1], CASES[7], CASES[14], (9, 6, 32, 128, 3, 1, 1)])
def test_vmap_over_kernels_is_a_loop_over_them(case):
    x, kernel, back, geometry = example(*case, seed=4)
    kernels = np.stack([kernel, -0.5 * kernel, kernel**2])
    mapped = quick_jit(jax.vmap(lambda kernel: value_and_gradients(convolve, x, kernel, back, geometry)))(kernels)
    for index, one in enumerate(kernels):
        all_close([array[index] for array in mapped], run(convolve.plain, x, one, back, geometry))


@pytest.mark.parametrize("case", [CASES[1], CASES[7], CASES[10]])
def test_gradients_of_single_images_add_up_to_the_batch_s(case):
    x, kernel, back, geometry = example(*case, seed=5)
    one = quick_jit(jax.vmap(lambda x, back: value_and_gradients(convolve, x[None], kernel, back[None], geometry)[1:]))
    of_x, of_kernel = one(x, back)
    all_close((of_x[:, 0], of_kernel.sum(0)), run(convolve.plain, x, kernel, back, geometry)[1:])


@pytest.mark.parametrize("case", [CASES[0], CASES[5], CASES[7], CASES[14]])
def test_shift_matmul_s_kernel_gradient_is_the_sum_over_all_places(case):
    x, _, back, geometry = example(*case, seed=6)
    close(shift_matmul.kernel_gradient(x, back, case[4], *geometry), taps_by_loops(x, back, case[4], *geometry))


def test_shift_matmul_adds_bfloat16_products_up_in_float32():
    # 4096 products of 1, whose sum in bfloat16 would stop growing at 256.
    ones = jnp.ones((1, 64, 64, 2), jnp.bfloat16)
    found = shift_matmul.kernel_gradient(ones, ones, 1, 1, 0, 1).astype(jnp.float32)
    np.testing.assert_array_equal(found, 4096)
