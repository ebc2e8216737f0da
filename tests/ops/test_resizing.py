"""Resizing against triangles written out, in all variants of chex."""

import chex
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from reference_models import images

from gun_jax.ops.resizing import resize


class Resizing(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True, with_device=True, without_device=True)
    def test_halving_is_antialiased(self):
        x = np.random.default_rng(0).normal(size=(2, 8, 12, 3))
        weights = np.array([1, 3, 3, 1]) / 8  # a triangle two pixels wide to each side, between pixels 1 and 2 of four
        down = sum(weight * x[:, 1 + k : 4 + k : 2] for k, weight in enumerate(weights))
        down = sum(weight * down[:, :, 1 + k : 8 + k : 2] for k, weight in enumerate(weights))
        ours = self.variant(lambda x: resize(x, (4, 6)))(x.astype(np.float32))
        np.testing.assert_allclose(ours[:, 1:3, 1:5], down, atol=1e-5)  # the pixels at the border have other weights

    @chex.variants(with_jit=True, without_jit=True, with_device=True, without_device=True)
    def test_enlarging_is_bilinear_between_pixel_centres(self):
        ramp = np.arange(6, dtype=np.float32).reshape(1, 1, 6, 1)
        expected = np.clip((np.arange(24) + 0.5) / 4 - 0.5, 0, 5)
        ours = self.variant(lambda x: resize(x, (1, 24)))(ramp)
        np.testing.assert_allclose(ours[0, 0, :, 0], expected, atol=1e-6)


def test_resizing_to_the_same_size_returns_the_map_itself():
    x = images(1, 5, 7)
    assert resize(x, (5, 7)) is x


def test_an_axis_of_the_same_length_is_left_alone():
    x = np.zeros((1, 3, 4, 1), np.float32)
    x[0, 1] = np.nan
    np.testing.assert_array_equal(resize(x, (3, 8))[0, :, :, 0], x[0, :, :1, 0].repeat(8, 1))


def test_sizes_that_an_export_leaves_open_are_resized():
    (side,) = jax.export.symbolic_shape("side", constraints=["side >= 4"])
    shape = jax.ShapeDtypeStruct((1, side, 6, 2), jnp.float32)
    exported = jax.export.export(jax.jit(lambda x: resize(x, (2 * x.shape[1], 12))))(shape)
    x = np.random.default_rng(1).normal(size=(1, 9, 6, 2)).astype(np.float32)
    np.testing.assert_allclose(exported.call(x), jax.image.resize(x, (1, 18, 12, 2), "linear"), atol=1e-5)
