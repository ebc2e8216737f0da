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


@Op
def depthwise_convolve(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Convolves each channel of (B, H, W, C) with its own kernel, (k, k, 1, C): (B, ceil(H/stride), ceil(W/stride), C).

    The padding is TensorFlow's "SAME": where it is odd, the pixel more is below and to the right.
    """
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding="SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


def same_padding(side: int, size: int, stride: int) -> tuple[int, int]:
    """Zeros before and after `side` pixels, with which a kernel of `size` pixels makes ceil(side / stride) numbers."""
    total = max((-(-side // stride) - 1) * stride + size - side, 0)
    return total // 2, total - total // 2


def conv(
    channels: int,
    size: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    padding: int | None = None,
    kernel_init: Any,
    use_bias: bool,
    **options: Any,
) -> nn.Conv:
    """A Flax convolution with a square kernel, made by `convolve`; by default padded by `size // 2 * dilation`."""
    return nn.Conv(
        channels,
        (size, size),
        strides=stride,
        padding=size // 2 * dilation if padding is None else padding,
        kernel_dilation=dilation,
        kernel_init=kernel_init,
        use_bias=use_bias,
        conv_general_dilated=_convolve_for_flax,
        **options,
    )


def depthwise_conv(channels: int, size: int, *, stride: int = 1, kernel_init: Any, **options: Any) -> nn.Conv:
    """A Flax convolution of each channel with a square kernel of its own, made by `depthwise_convolve`."""
    return nn.Conv(
        channels,
        (size, size),
        strides=stride,
        feature_group_count=channels,
        kernel_init=kernel_init,
        use_bias=False,
        conv_general_dilated=lambda x, kernel, *_, **__: depthwise_convolve(x, kernel, stride),
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
