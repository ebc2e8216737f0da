"""Two-dimensional convolution, and the Flax layer that uses it."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax

from gun_jax.ops.dispatch import Op


@Op
def convolve(x: jax.Array, kernel: jax.Array, stride: int, padding: int, dilation: int) -> jax.Array:
    """Convolves (B, H, W, Cin) with a kernel (k, k, Cin, Cout), padded with zeros on both sides: (B, H', W', Cout)."""
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=[(padding, padding)] * 2,
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


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
        conv_general_dilated=_convolve_for_flax,
        **options,
    )


def _convolve_for_flax(
    x: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    *,
    rhs_dilation: Sequence[int],
    **_: Any,
) -> jax.Array:
    return convolve(x, kernel, strides[0], padding[0][0], rhs_dilation[0])
