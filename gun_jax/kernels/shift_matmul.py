"""Gradients of a convolution as matrix products: one for each tap of the kernel, of a shifted map.

A tap is one place of the kernel, e.g. one of the nine of a 3x3 kernel.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp


def input_gradient(
    kernel: jax.Array, gradient: jax.Array, shape: Sequence[int], stride: int, padding: int, dilation: int
) -> jax.Array:
    """The gradient of the input: for each tap, the output's gradient times the kernel there, added where the tap read.

    With a stride, XLA's CPU form convolves a map most of which is zeros.

    Args:
      kernel: (k, k, Cin, Cout).
      gradient: (B, H', W', Cout), of the output.
      shape: (B, H, W, Cin), of the input.
      stride, padding, dilation: of the convolution.
    """
    _, height, width, channels = shape
    size = kernel.shape[0]
    taps = kernel.reshape(-1, kernel.shape[-1]).T  # (Cout, k k Cin)
    products = jnp.matmul(gradient, taps).reshape(*gradient.shape[:3], size, size, channels)
    total = jnp.zeros((), gradient.dtype)
    for top in range(size):
        for left in range(size):
            placed = [
                (start * dilation - padding, long + padding - start * dilation - (count - 1) * stride - 1, stride - 1)
                for start, long, count in ((top, height, gradient.shape[1]), (left, width, gradient.shape[2]))
            ]
            zero = jnp.zeros((), products.dtype)
            total = total + jax.lax.pad(products[:, :, :, top, left], zero, ((0, 0, 0), *placed, (0, 0, 0)))
    return total


def kernel_gradient(
    x: jax.Array, gradient: jax.Array, size: int, stride: int, padding: int, dilation: int
) -> jax.Array:
    """The gradient (size, size, Cin, Cout) of the kernel: for each tap, the pixels it read times the output's gradient.

    Args:
      x: (B, H, W, Cin), the input.
      gradient: (B, H', W', Cout), of the output.
      size: of the kernel, along both axes.
      stride, padding, dilation: of the convolution.
    """
    batch, height, width, out_channels = gradient.shape
    x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    flat_gradient = gradient.reshape(-1, out_channels)
    sums = jnp.promote_types(x.dtype, jnp.float32)  # a sum in bfloat16 stops growing
    products = []
    for top in range(0, size * dilation, dilation):
        for left in range(0, size * dilation, dilation):
            end = (batch, top + (height - 1) * stride + 1, left + (width - 1) * stride + 1, x.shape[-1])
            read = jax.lax.slice(x, (0, top, left, 0), end, (1, stride, stride, 1))  # (B, H', W', Cin)
            products.append(jnp.matmul(read.reshape(-1, x.shape[-1]).T, flat_gradient, preferred_element_type=sums))
    return jnp.stack(products).reshape(size, size, x.shape[-1], out_channels).astype(x.dtype)
