"""Winograd's convolution against the plain one and its gradients against jax's automatic ones."""

import jax
import numpy as np
import pytest
from reference_models import quick_jit

from gun_jax.kernels import winograd
from gun_jax.ops.convolution import convolve

CASES = [  # height, width, channels in and out, dilation
    (8, 8, 3, 5, 1),
    (9, 7, 4, 3, 1),
    (1, 1, 2, 2, 1),
    (3, 13, 5, 4, 2),
    (12, 15, 3, 4, 4),
    (5, 2, 4, 4, 4),
    (3, 6, 2, 3, 1),
    (11, 17, 3, 2, 2),
]


def plain(x, kernel, dilation):
    return convolve.plain(x, kernel, 1, dilation, dilation)


def example(height, width, into, out):
    """Input and kernel whose convolution has a variance of about one, and a gradient of it."""
    rng = np.random.default_rng(height + width)
    x = rng.normal(size=(2, height, width, into)).astype(np.float32)
    kernel = rng.normal(size=(3, 3, into, out)).astype(np.float32) / np.float32(np.sqrt(9 * into))
    return x, kernel, rng.normal(size=(2, height, width, out)).astype(np.float32)


def test_the_matrices_filter_as_the_sum_of_products_does():
    rng = np.random.default_rng(0)
    for points in ((0, 1, -1, 2, -2), *winograd.POINTS.values(), (3, 1, -0.5, 2, 7)):
        data, kernel = rng.normal(size=len(points) + 1), rng.normal(size=3)
        of_output, of_kernel, of_data = winograd.toom_cook(points)
        filtered = of_output @ ((of_kernel @ kernel) * (of_data @ data))
        expected = [sum(data[i + k] * kernel[k] for k in range(3)) for i in range(len(points) - 1)]
        np.testing.assert_allclose(filtered, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("height", "width", "into", "out", "dilation"), CASES)
def test_a_convolution_equals_the_plain_one(height, width, into, out, dilation):
    x, kernel, _ = example(height, width, into, out)
    fast = quick_jit(winograd.convolve, static_argnames="dilation")(x, kernel, dilation=dilation)
    np.testing.assert_allclose(fast, plain(x, kernel, dilation), atol=3e-5)


@pytest.mark.parametrize(("height", "width", "into", "out", "dilation"), CASES)
def test_the_gradients_equal_the_automatic_ones(height, width, into, out, dilation):
    x, kernel, back = example(height, width, into, out)
    of_x, of_kernel = jax.vjp(lambda x, kernel: plain(x, kernel, dilation), x, kernel)[1](back)
    fast_of_x = quick_jit(winograd.input_gradient, static_argnames="dilation")(kernel, back, dilation=dilation)
    fast_of_kernel = quick_jit(winograd.kernel_gradient, static_argnames="dilation")(x, back, dilation=dilation)
    np.testing.assert_allclose(fast_of_x, of_x, atol=1e-4)
    np.testing.assert_allclose(fast_of_kernel, of_kernel, atol=1e-4 * np.abs(of_kernel).max())


def test_the_error_stays_small_with_many_channels():
    x, kernel, _ = example(16, 16, 512, 8)
    in_double = sum(
        np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))[:, i : i + 16, j : j + 16].astype(np.float64) @ kernel[i, j]
        for i in range(3)
        for j in range(3)
    )
    fast = quick_jit(winograd.convolve, static_argnames="dilation")(x, kernel, dilation=1)
    assert np.abs(fast - in_double).max() < 3e-5 * in_double.std()


def error_of_points(points):
    """The largest error of 200 tiles of 256 channels in float32, as a part of the results' standard deviation."""
    rng = np.random.default_rng(1)
    tile = len(points) - 1
    data = rng.normal(size=(200, tile + 2, tile + 2, 256)).astype(np.float32)
    kernel = rng.normal(size=(3, 3, 256, 32)).astype(np.float32) / np.float32(48)
    of_output, of_kernel, of_data = (matrix.astype(np.float32) for matrix in winograd.toom_cook(points))
    tiles = np.einsum("ia,jb,tabc->ijtc", of_data, of_data, data, optimize=True)
    kernels = np.einsum("ia,jb,abcd->ijcd", of_kernel, of_kernel, kernel, optimize=True)
    ours = np.einsum("ai,bj,ijtd->tabd", of_output, of_output, tiles @ kernels, optimize=True)
    data, kernel = data.astype(np.float64), kernel.astype(np.float64)
    exact = sum(data[:, i : i + tile, j : j + tile] @ kernel[i, j] for i in range(3) for j in range(3))
    return np.abs(ours - exact).max() / exact.std()


def test_the_points_err_a_fourth_of_the_customary_ones_at_most():
    customary = error_of_points((0, 1, -1, 2, -2))
    assert all(error_of_points(points) < customary / 4 for points in winograd.POINTS.values())


def test_kernels_are_transformed_one_after_the_other():
    kernels = [np.ones((3, 3, 64, 64), np.float32)] * 8

    def run(x, kernels):
        for kernel in kernels:
            x = winograd.convolve(x, kernel, dilation=1)
        return x

    x = np.ones((1, 8, 8, 64), np.float32)
    needed = jax.jit(run).lower(x, kernels).compile().memory_analysis().temp_size_in_bytes
    assert needed < 3 * 36 * 64 * 64 * 4  # three of the eight transformed kernels
