"""Depthwise convolutions' forms for CPUs against the plain one and its automatic gradients."""

import importlib.util

import jax
import numpy as np
import pytest

from gun_jax.kernels.depthwise import shifted_convolve
from gun_jax.kernels.onednn import use_onednn
from gun_jax.ops.convolution import depthwise_convolve

CASES = [  # height, width, channels, kernel, stride
    (9, 12, 24, 3, 1),
    (9, 12, 24, 3, 2),
    (8, 11, 40, 5, 2),
    (7, 6, 1, 5, 1),
    (1, 1, 3, 3, 2),
    (2, 3, 17, 5, 2),
    (6, 5, 7, 3, 3),
]


def all_of(form, height, width, channels, size, stride, dtype=np.float32):
    """The result and both gradients."""
    rng = np.random.default_rng(height * width)
    x = rng.normal(size=(2, height, width, channels)).astype(dtype)
    kernel = rng.normal(size=(size, size, 1, channels)).astype(dtype)
    result, pull = jax.vjp(lambda x, kernel: form(x, kernel, stride), x, kernel)
    return result, *pull(rng.normal(size=result.shape).astype(dtype))


@pytest.mark.parametrize("form", ["shifted", "onednn"])
@pytest.mark.parametrize("case", CASES)
def test_result_and_gradients_are_those_of_the_plain_operation(form, case):
    if form == "onednn" and importlib.util.find_spec("gun_jax_onednn") is None:
        pytest.skip("make onednn")
    with use_onednn(form == "onednn"):
        found = all_of(depthwise_convolve if form == "onednn" else shifted_convolve, *case)
    for ours, expected in zip(found, all_of(depthwise_convolve.plain, *case), strict=True):
        assert ours.shape == expected.shape and ours.dtype == expected.dtype
        np.testing.assert_allclose(ours, expected, atol=1e-4 * np.abs(expected).max())


def test_bfloat16_stays_bfloat16_and_differs_by_its_rounding():
    case = (9, 12, 24, 3, 2)
    for ours, exact in zip(
        all_of(shifted_convolve, *case, dtype="bfloat16"), all_of(shifted_convolve, *case), strict=True
    ):
        assert ours.dtype == "bfloat16"
        np.testing.assert_allclose(ours.astype(np.float32), exact, atol=0.03 * np.abs(exact).max())
