"""The convolution against loops and `jax.lax`'s own, its gradients against jax's automatic ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_models import convolved, quick_jit

from gun_jax.ops.convolution import conv, convolve, kernel_gradient_by_taps

CASES = [  # height, width, channels in and out, kernel, stride, dilation; 32 and 64 channels take other ways
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
    (6, 9, 5, 3, 3, 3, 2),
    (9, 6, 32, 128, 3, 2, 1),
]
names = ("height", "width", "into", "out", "size", "stride", "dilation")


def plain(x, kernel, stride, padding, dilation):
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        ((padding, padding), (padding, padding)),
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def example(height, width, into, out, size, stride, dilation, seed=0):
    """Input, kernel, a gradient of the output, and (stride, padding, dilation)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, height, width, into)).astype(np.float32)
    kernel = rng.normal(size=(size, size, into, out)).astype(np.float32) / np.float32(size * np.sqrt(into))
    back = rng.normal(size=convolved(x, kernel, stride, dilation).shape).astype(np.float32)
    return x, kernel, back, (stride, size // 2 * dilation, dilation)


def gradients(function, x, kernel, back, how):
    """Those with respect to input and kernel."""
    return jax.vjp(lambda x, kernel: function(x, kernel, *how), x, kernel)[1](back)


pull_back = quick_jit(gradients, static_argnums=(0, 4))


forward = quick_jit(convolve, static_argnums=(2, 3, 4))
by_taps = quick_jit(kernel_gradient_by_taps, static_argnums=(2, 3, 4, 5))


def taps_by_loops(x, back, size, stride, padding, dilation):
    """For each tap and place: what the tap read there times what came back there; a place outside reads nothing."""
    out = np.zeros((size, size, x.shape[-1], back.shape[-1]))
    for i, j in np.ndindex(size, size):
        for row, column in np.ndindex(back.shape[1:3]):
            y, z = row * stride + i * dilation - padding, column * stride + j * dilation - padding
            if 0 <= y < x.shape[1] and 0 <= z < x.shape[2]:
                for image in range(len(x)):
                    out[i, j] += np.outer(x[image, y, z], back[image, row, column])
    return out


def close(ours, expected, part):
    """Equal up to a part of the largest value."""
    expected = np.asarray(expected, np.float64)
    np.testing.assert_allclose(np.asarray(ours, np.float64), expected, atol=part * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize(names, CASES)
def test_it_is_the_sum_over_the_taps(height, width, into, out, size, stride, dilation):
    x, kernel, _, how = example(height, width, into, out, size, stride, dilation)
    close(forward(x, kernel, *how), convolved(x, kernel, stride, dilation), 1e-5)


@pytest.mark.parametrize(names, CASES)
def test_the_gradients_are_those_of_jax(height, width, into, out, size, stride, dilation):
    x, kernel, back, how = example(height, width, into, out, size, stride, dilation, seed=1)
    theirs = pull_back(plain, x, kernel, back, how)
    for ours, expected in zip(pull_back(convolve, x, kernel, back, how), theirs, strict=True):
        close(ours, expected, 1e-5)


@pytest.mark.parametrize("case", [CASES[1], CASES[10], CASES[17]])
def test_bfloat16_gradients_are_those_of_float32_rounded(case):
    x, kernel, back, how = example(*case, seed=2)
    coarse = [jnp.asarray(array, jnp.bfloat16) for array in (x, kernel, back)]
    expected = pull_back(plain, *(array.astype(jnp.float32) for array in coarse), how)
    for ours, theirs in zip(pull_back(convolve, *coarse, how), expected, strict=True):
        assert ours.dtype == jnp.bfloat16
        close(ours.astype(jnp.float32), theirs, 2**-7)


@pytest.mark.parametrize("case", [CASES[1], CASES[10], CASES[17]])
def test_without_jit_the_gradients_are_the_same(case):
    x, kernel, back, how = example(*case, seed=3)
    eager = gradients(convolve, x, kernel, back, how)
    for ours, theirs in zip(pull_back(convolve, x, kernel, back, how), eager, strict=True):
        close(ours, theirs, 1e-6)


@pytest.mark.parametrize("case", [CASES[1], CASES[7], CASES[10], CASES[14], (9, 6, 32, 128, 3, 1, 1)])
def test_gradients_under_vmap_are_those_of_a_loop(case):
    x, kernel, back, how = example(*case, seed=4)
    kernels = np.stack([kernel, -0.5 * kernel, kernel**2])
    several = quick_jit(jax.vmap(lambda kernel: gradients(convolve, x, kernel, back, how)))(kernels)
    for index, kernel in enumerate(kernels):
        for ours, theirs in zip(several, pull_back(plain, x, kernel, back, how), strict=True):
            close(ours[index], theirs, 1e-5)


@pytest.mark.parametrize("case", [CASES[1], CASES[7], CASES[10]])
def test_gradients_an_image_add_up_to_the_batch_s(case):
    x, kernel, back, how = example(*case, seed=5)
    one = quick_jit(jax.vmap(lambda x, back: gradients(convolve, x[None], kernel, back[None], how)))
    (of_x, of_kernel), (all_of_x, all_of_kernel) = one(x, back), pull_back(plain, x, kernel, back, how)
    close(of_x[:, 0], all_of_x, 1e-5)
    close(of_kernel.sum(0), all_of_kernel, 1e-5)


@pytest.mark.parametrize(names, CASES)
def test_by_taps_is_the_sum_over_all_places(height, width, into, out, size, stride, dilation):
    x, _, back, how = example(height, width, into, out, size, stride, dilation, seed=6)
    close(by_taps(x, back, size, *how), taps_by_loops(x, back, size, *how), 1e-5)


def test_by_taps_adds_bfloat16_products_up_in_float32():
    # 4096 products of 1, and their sum in bfloat16 would stop growing at 256.
    ones = jnp.ones((1, 64, 64, 2), jnp.bfloat16)
    np.testing.assert_array_equal(by_taps(ones, ones, 1, 1, 0, 1).astype(jnp.float32), 4096)


@pytest.mark.parametrize(("size", "stride", "dilation"), [(3, 1, 1), (3, 2, 2), (7, 1, 1), (1, 2, 1)])
def test_the_flax_layer_pads_by_half_the_dilated_kernel(size, stride, dilation):
    x, kernel, _, _ = example(9, 11, 3, 4, size, stride, dilation, seed=7)
    bias = np.arange(4, dtype=np.float32)
    layer = conv(4, size, stride=stride, dilation=dilation, kernel_init=jax.nn.initializers.zeros, use_bias=True)
    ours = layer.apply({"params": {"kernel": kernel, "bias": bias}}, x)
    close(ours, convolved(x, kernel, stride, dilation) + bias, 1e-5)
