"""Convolution with a kernel gradient that suits the processor; its values are those of `jax.lax`'s."""

import functools
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

_NHWC = ("NHWC", "HWIO", "NHWC")
# Narrower inputs make matrix products too thin: there XLA's own form is the faster one everywhere.
_LEAST_CHANNELS = 32


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def convolve(x: jax.Array, kernel: jax.Array, stride: int, padding: int, dilation: int) -> jax.Array:
    """Convolves (B, H, W, Cin) with a kernel (k, k, Cin, Cout), padded with zeros on both sides: (B, H', W', Cout).

    On CPUs the gradient of the kernel is one matrix product a tap. XLA's CPU form of it is a convolution whose window
    is as large as the map, which some processors run at a third of that speed and others as fast (docs/results.md has
    both). GPUs and TPUs keep the plain form. Differentiable in reverse mode only.
    """
    return _plain(x, kernel, stride, padding, dilation)


def _plain(x: jax.Array, kernel: jax.Array, stride: int, padding: int, dilation: int) -> jax.Array:
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), [(padding, padding)] * 2, rhs_dilation=(dilation, dilation),
        dimension_numbers=_NHWC,
    )  # fmt: skip


def _forward(x, kernel, stride, padding, dilation):
    return _plain(x, kernel, stride, padding, dilation), (x, kernel)


def _backward(stride, padding, dilation, saved, gradient):
    x, kernel = saved

    def plain(x, gradient):
        return jax.linear_transpose(lambda k: _plain(x, k, stride, padding, dilation), kernel)(gradient)[0]

    def by_taps(x, gradient):
        return kernel_gradient_by_taps(x, gradient, kernel.shape[0], stride, padding, dilation)

    if x.shape[-1] >= _LEAST_CHANNELS or kernel.shape[0] == 1:
        of_kernel = jax.lax.platform_dependent(x, gradient, cpu=by_taps, default=plain)
    else:
        of_kernel = plain(x, gradient)
    (of_x,) = jax.linear_transpose(lambda x: _plain(x, kernel, stride, padding, dilation), x)(gradient)
    return of_x, of_kernel


convolve.defvjp(_forward, _backward)


def kernel_gradient_by_taps(
    x: jax.Array, gradient: jax.Array, size: int, stride: int, padding: int, dilation: int
) -> jax.Array:
    """The gradient (size, size, Cin, Cout) of a kernel: for each tap, what it read times what came back.

    Args:
      x: (B, H, W, Cin), what was convolved.
      gradient: (B, H', W', Cout), of the result.
      size: of the kernel, along both axes.
      stride, padding, dilation: of the convolution.
    """
    batch, height, width, out_channels = gradient.shape
    x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    back = gradient.reshape(-1, out_channels)
    sums = jnp.promote_types(x.dtype, jnp.float32)  # bfloat16 would lose the small ones
    products = []
    for top in range(0, size * dilation, dilation):
        for left in range(0, size * dilation, dilation):
            end = (batch, top + (height - 1) * stride + 1, left + (width - 1) * stride + 1, x.shape[-1])
            read = jax.lax.slice(x, (0, top, left, 0), end, (1, stride, stride, 1))  # (B, H', W', Cin)
            products.append(jnp.matmul(read.reshape(-1, x.shape[-1]).T, back, preferred_element_type=sums))
    return jnp.stack(products).reshape(size, size, x.shape[-1], out_channels).astype(x.dtype)


def _as_flax_calls_it(
    x: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    *,
    rhs_dilation: Sequence[int],
    **_: Any,
) -> jax.Array:
    return convolve(x, kernel, strides[0], padding[0][0], rhs_dilation[0])


def conv(
    channels: int, size: int, *, stride: int = 1, dilation: int = 1, kernel_init: Any, use_bias: bool, **options: Any
) -> nn.Conv:
    """A Flax convolution with a square kernel, padded by `size // 2 * dilation` on all sides, made by `convolve`."""
    return nn.Conv(
        channels,
        (size, size),
        strides=stride,
        padding=size // 2 * dilation,
        kernel_dilation=dilation,
        kernel_init=kernel_init,
        use_bias=use_bias,
        conv_general_dilated=_as_flax_calls_it,
        **options,
    )
