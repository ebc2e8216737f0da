"""Batch normalisation against its formulas in NumPy, in all variants of chex."""

import chex
import jax
import numpy as np
from absl.testing import parameterized

from gun_jax.ops.norm import batch_normalise


def example(shape=(3, 5, 7, 4), seed=0):
    """An input of which each channel has its own mean and spread, a gradient of the output, scale and bias."""
    rng = np.random.default_rng(seed)
    channels = shape[-1]
    x = (rng.normal(size=shape) * rng.uniform(0.5, 3, channels) + rng.uniform(-2, 2, channels)).astype(np.float32)
    scale, bias = rng.normal(size=(2, channels)).astype(np.float32)
    return x, rng.normal(size=shape).astype(np.float32), scale, bias


class BatchNormalisation(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True, with_device=True, without_device=True)
    @parameterized.parameters((3, 5, 7, 4), (2, 1, 1, 6), (9, 3))
    def test_it_is_the_formula(self, *shape):
        x, _, scale, bias = example(shape)
        y, mean, var = self.variant(lambda *arrays: batch_normalise(*arrays, 1e-5))(x, scale, bias)
        x, axes = x.astype(np.float64), tuple(range(len(shape) - 1))
        np.testing.assert_allclose(y, (x - x.mean(axes)) / np.sqrt(x.var(axes) + 1e-5) * scale + bias, atol=1e-5)
        np.testing.assert_allclose(mean, x.mean(axes), atol=1e-6)
        np.testing.assert_allclose(var, x.var(axes), rtol=1e-5)


def test_the_gradient_goes_through_mean_and_variance():
    x, back, scale, bias = example(seed=8)
    ours = jax.vjp(lambda x: batch_normalise(x, scale, bias, 1e-5)[0], x)[1](back)[0]
    # Ioffe and Szegedy, section 3, in closed form.
    x, axes = x.astype(np.float64), (0, 1, 2)
    unit = (x - x.mean(axes)) / np.sqrt(x.var(axes) + 1e-5)
    pull = back - back.mean(axes) - unit * (back * unit).mean(axes)
    np.testing.assert_allclose(ours, scale / np.sqrt(x.var(axes) + 1e-5) * pull, atol=1e-5)
