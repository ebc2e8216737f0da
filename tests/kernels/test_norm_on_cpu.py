"""The gradient of batch norm in closed form against the automatic one of the plain form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_models import quick_jit

from gun_jax.ops.norm import batch_normalise


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_value_and_gradients_are_the_plain_ones(dtype):
    rng = np.random.default_rng(3)
    x, of_y = (jnp.asarray(rng.normal(size=(2, 3, 5, 4)) + shift, dtype) for shift in (2.0, 0.0))
    scale, bias, of_mean, of_var = jnp.asarray(rng.normal(size=(4, 4)), jnp.float32)

    def run(function):
        values, pull_back = jax.vjp(lambda *arrays: function(*arrays, 1e-5), x, scale, bias)
        return *values, *pull_back((of_y, of_mean, of_var))

    for found, expected in zip(*quick_jit(lambda: [run(batch_normalise), run(batch_normalise.plain)])(), strict=True):
        assert found.dtype == expected.dtype
        near = 1e-5 if dtype == jnp.float32 else 2**-6
        size = np.abs(np.asarray(expected, np.float32)).max()
        np.testing.assert_allclose(found.astype(jnp.float32), expected.astype(jnp.float32), atol=near * size)
