"""Resizing against triangles written out, and against `jax.image.resize` and its automatic gradient."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_models import images, quick_jit

from gun_jax.ops.resizing import resize, resize_by_taps

SIZES = [((12, 15), (23, 30)), ((9, 16), (72, 128)), ((24, 40), (12, 20)), ((23, 40), (3, 5)), ((1, 7), (4, 1))]


def close(ours, expected, atol):
    np.testing.assert_allclose(ours, expected, atol=atol, rtol=0)


def by_jax(x, size):
    return jax.image.resize(x, (x.shape[0], *size, x.shape[3]), "linear")


def noise(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def test_halving_is_antialiased():
    x = np.random.default_rng(0).normal(size=(2, 8, 12, 3))
    weights = np.array([1, 3, 3, 1]) / 8  # a triangle two pixels wide to each side, between pixels 1 and 2 of four
    down = sum(weight * x[:, 1 + k : 4 + k : 2] for k, weight in enumerate(weights))
    down = sum(weight * down[:, :, 1 + k : 8 + k : 2] for k, weight in enumerate(weights))
    ours = resize(x.astype(np.float32), (4, 6))  # its border pixels have one weight less
    close(ours[:, 1:3, 1:5], down, 1e-5)


def test_enlarging_is_bilinear_between_pixel_centres():
    ramp = np.arange(6, dtype=np.float32).reshape(1, 1, 6, 1)
    expected = np.clip((np.arange(24) + 0.5) / 4 - 0.5, 0, 5)
    close(resize(ramp, (1, 24))[0, 0, :, 0], expected, 1e-6)


def test_resizing_to_the_same_size_returns_the_map_itself():
    x = images(1, 5, 7)
    assert resize(x, (5, 7)) is x


@settings(max_examples=20, deadline=None, derandomize=True)
@given(*(st.integers(1, 30),) * 4)
def test_taps_are_what_jax_reads(height, width, new_height, new_width):
    x = jnp.asarray(noise(1, height, width, 2))
    close(resize_by_taps(x, (new_height, new_width)), by_jax(x, (new_height, new_width)), 2e-5)


@pytest.mark.parametrize(("old", "new"), SIZES)
def test_compiled_and_differentiated_it_is_that_of_jax(old, new):
    x, back = jnp.asarray(noise(2, *old, 3)), noise(2, *new, 3)
    (y, of_x), (expected, of_expected) = (
        quick_jit(lambda x, f=f: (lambda y, pull: (y, pull(back)[0]))(*jax.vjp(lambda x: f(x, new), x)))(x)
        for f in (resize, by_jax)
    )
    close(y, expected, 1e-5)
    close(of_x, of_expected, 1e-5)
    close(quick_jit(lambda x: resize(x, new))(x), expected, 1e-5)


def test_an_axis_of_the_same_length_is_left_alone():
    x = np.zeros((1, 3, 4, 1), np.float32)
    x[0, 1] = np.nan
    np.testing.assert_array_equal(resize(x, (3, 8))[0, :, :, 0], x[0, :, :1, 0].repeat(8, 1))


def test_it_is_mapped_over_like_a_batch():
    x = noise(3, 2, 5, 6, 1)
    several = jax.vmap(lambda x: resize(x, (10, 3)))(x)
    for one, expected in zip(several, x, strict=True):
        close(one, by_jax(expected, (10, 3)), 1e-5)


def test_halves_are_summed_as_float32():
    x = jnp.asarray(100 + noise(1, 64, 64, 2), jnp.bfloat16)
    small = resize(x, (3, 3))
    assert small.dtype == jnp.bfloat16
    np.testing.assert_array_equal(small, by_jax(x.astype(jnp.float32), (3, 3)).astype(jnp.bfloat16))


def test_sizes_that_an_export_leaves_open_are_resized():
    (side,) = jax.export.symbolic_shape("side", constraints=["side >= 4"])
    shape = jax.ShapeDtypeStruct((1, side, 6, 2), jnp.float32)
    exported = jax.export.export(jax.jit(lambda x: resize(x, (2 * x.shape[1], 12))))(shape)
    x = noise(1, 9, 6, 2)
    close(exported.call(x), by_jax(x, (18, 12)), 1e-5)
