"""Convolution to few channels, which computes a block of neighbouring outputs together.

XLA's CPU form is a matrix product with one row for each place and one column for each channel. Few columns leave most
of a processor's vectors empty. Here the b x b outputs of a block become channels of a convolution with the block as its
stride. Its kernel covers the window that the block reads; each output has the original kernel at its own place there,
among zeros. The sum is the same, with (b - 1) stride + k taps along an axis in place of k, and with full vectors.
"""

import jax
import jax.numpy as jnp

_MULTIPLE = 4  # of channels; zeros fill them up, since XLA is slower at other numbers


def convolve(x: jax.Array, kernel: jax.Array, stride: int, padding: int, block: int) -> jax.Array:
    """Convolves (B, H, W, Cin) with a kernel (k, k, Cin, Cout), padded with zeros on both sides: (B, H', W', Cout).

    Args:
      x: the input.
      kernel: without dilation.
      stride, padding: of the convolution.
      block: side of a block, in outputs.
    """
    inputs, outputs = kernel.shape[2:]
    more = -inputs % _MULTIPLE if inputs > _MULTIPLE else 0
    x = jnp.pad(x, [(0, 0)] * 3 + [(0, more)])
    kernel = jnp.pad(kernel, [(0, 0)] * 2 + [(0, more), (0, -outputs % _MULTIPLE)])
    size, _, _, channels = kernel.shape
    counts = [(side + 2 * padding - size) // stride + 1 for side in x.shape[1:3]]
    blocks = [-(-count // block) for count in counts]
    ends = [
        (padding, (number * block - 1) * stride + size - side - padding)
        for number, side in zip(blocks, x.shape[1:3], strict=True)
    ]
    wide = _at_all_places(kernel, stride, block).reshape(*_window(size, stride, block), -1, block * block * channels)
    y = jax.lax.conv_general_dilated(
        x, wide, (block * stride,) * 2, ends, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )  # (B, rows of blocks, columns of blocks, block * block * Cout)
    y = y.reshape(-1, *blocks, block, block, channels).transpose(0, 1, 3, 2, 4, 5)
    y = y.reshape(-1, blocks[0] * block, blocks[1] * block, channels)
    return y[:, : counts[0], : counts[1], :outputs]


def _window(size: int, stride: int, block: int) -> tuple[int, int]:
    return ((block - 1) * stride + size,) * 2


def _at_all_places(kernel: jax.Array, stride: int, block: int) -> jax.Array:
    """The kernel at its place in the window, for each output of a block: (window, window, Cin, block^2, Cout)."""
    room = (block - 1) * stride
    starts = range(0, room + 1, stride)
    placed = [
        jnp.pad(kernel, ((top, room - top), (left, room - left), (0, 0), (0, 0))) for top in starts for left in starts
    ]
    return jnp.stack(placed, axis=3)
