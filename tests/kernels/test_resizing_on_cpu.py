"""Resizing by taps against `jax.image.resize` and its automatic gradient."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_models import quick_jit

from gun_jax.kernels.resizing import weighted_sum
from gun_jax.ops.resizing import resize

SIZES = [((12, 15), (23, 30)), ((9, 16), (72, 128)), ((24, 40), (12, 20)), ((23, 40), (3, 5)), ((1, 7), (4, 1))]


def close(ours, expected, atol):
    np.testing.assert_allclose(ours, expected, atol=atol, rtol=0)


def by_jax(x, size):
    return jax.image.resize(x, (x.shape[0], *size, x.shape[3]), "linear")


def noise(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(*(st.integers(1, 30),) * 4)
def test_the_weighted_sum_is_that_of_jax(height, width, new_height, new_width):
    x = jnp.asarray(noise(1, height, width, 2))
    close(weighted_sum(x, (new_height, new_width)), by_jax(x, (new_height, new_width)), 2e-5)


@pytest.mark.parametrize(("old", "new"), SIZES)
def test_compiled_and_differentiated_it_is_that_of_jax(old, new):
    x, back = jnp.asarray(noise(2, *old, 3)), noise(2, *new, 3)

    def values(x):
        (y, pull_back), (expected, expected_pull_back) = (
            jax.vjp(lambda x, f=f: f(x, new), x) for f in (resize, by_jax)
        )
        return (resize(x, new), expected), (y, expected), (pull_back(back)[0], expected_pull_back(back)[0])

    for ours, expected in quick_jit(values)(x):
        close(ours, expected, 1e-5)


def test_an_axis_of_the_same_length_is_left_alone():
    x = np.zeros((1, 3, 4, 1), np.float32)
    x[0, 1] = np.nan
    np.testing.assert_array_equal(resize(x, (3, 8))[0, :, :, 0], x[0, :, :1, 0].repeat(8, 1))


def test_vmap_is_a_loop():
    x = noise(3, 2, 5, 6, 1)
    mapped = jax.vmap(lambda x: resize(x, (10, 3)))(x)
    for one, expected in zip(mapped, x, strict=True):
        close(one, by_jax(expected, (10, 3)), 1e-5)


def test_bfloat16_is_summed_in_float32():
    x = jnp.asarray(100 + noise(1, 64, 64, 2), jnp.bfloat16)
    small = resize(x, (3, 3))
    assert small.dtype == jnp.bfloat16
    np.testing.assert_array_equal(small, by_jax(x.astype(jnp.float32), (3, 3)).astype(jnp.bfloat16))


def test_sizes_that_an_export_leaves_open_take_the_plain_form():
    (side,) = jax.export.symbolic_shape("side", constraints=["side >= 4"])
    shape = jax.ShapeDtypeStruct((1, side, 6, 2), jnp.float32)
    exported = jax.export.export(jax.jit(lambda x: resize(x, (2 * x.shape[1], 12))))(shape)
    x = noise(1, 9, 6, 2)
    close(exported.call(x), by_jax(x, (18, 12)), 1e-5)
