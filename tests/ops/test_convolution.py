"""The convolution against loops, its gradients against the sums that they are, in all variants of chex."""

import chex
import jax
import numpy as np
import pytest
from absl.testing import parameterized
from reference_models import convolved, taps_by_loops

from gun_jax.ops.convolution import conv, convolve

CASES = [  # height, width, channels in and out, kernel, stride, dilation
    (9, 11, 3, 4, 7, 1, 1),
    (7, 6, 5, 2, 3, 2, 2),
    (9, 8, 4, 3, 1, 2, 1),
    (1, 1, 3, 4, 3, 1, 2),
]


def example(height, width, into, out, size, stride, dilation):
    """Input, kernel, a gradient of the output, and (stride, padding, dilation)."""
    rng = np.random.default_rng(height)
    x = rng.normal(size=(2, height, width, into)).astype(np.float32)
    kernel = rng.normal(size=(size, size, into, out)).astype(np.float32)
    back = rng.normal(size=convolved(x, kernel, stride, dilation).shape).astype(np.float32)
    return x, kernel, back, (stride, size // 2 * dilation, dilation)


class Convolution(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True, with_device=True, without_device=True)
    @parameterized.parameters(*CASES)
    def test_it_is_the_sum_over_the_taps(self, *case):
        x, kernel, _, geometry = example(*case)
        found = self.variant(lambda x, kernel: convolve(x, kernel, *geometry))(x, kernel)
        np.testing.assert_allclose(found, convolved(x, kernel, geometry[0], geometry[2]), atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_the_kernel_s_gradient_is_the_sum_over_all_places(case):
    x, kernel, back, geometry = example(*case)
    found = jax.vjp(lambda kernel: convolve(x, kernel, *geometry), kernel)[1](back)[0]
    np.testing.assert_allclose(found, taps_by_loops(x, back, case[4], *geometry), atol=1e-4)


@pytest.mark.parametrize(("size", "stride", "dilation"), [(3, 1, 1), (3, 2, 2), (7, 1, 1), (1, 2, 1)])
def test_the_flax_layer_pads_by_half_the_dilated_kernel(size, stride, dilation):
    x, kernel, _, _ = example(9, 11, 3, 4, size, stride, dilation)
    bias = np.arange(4, dtype=np.float32)
    layer = conv(4, size, stride=stride, dilation=dilation, kernel_init=jax.nn.initializers.zeros, use_bias=True)
    ours = layer.apply({"params": {"kernel": kernel, "bias": bias}}, x)
    np.testing.assert_allclose(ours, convolved(x, kernel, stride, dilation) + bias, atol=1e-4)
