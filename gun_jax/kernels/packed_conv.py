"""Convolution to few channels, a block of outputs at a time.

XLA's CPU form is a matrix product with one row a place and one column a channel, and few columns leave most of a
processor's vectors empty. A block of b x b neighbouring outputs reads one window of the map. Taken as b x b times as
many channels of a convolution with that window as its kernel and the block as its stride, in which each output has the
kernel at its place among zeros, it is the same sum: (b - 1) stride + k taps an axis in place of k, at full vectors.
"""

import jax
import jax.numpy as jnp

_MULTIPLE = 4  # of channels, by zeros among them: XLA is slower at other numbers


def convolve(x: jax.Array, kernel: jax.Array, stride: int, padding: int, block: int) -> jax.Array:
    """Convolves (B, H, W, Cin) with a kernel (k, k, Cin, Cout), padded with zeros on both sides: (B, H', W', Cout).

    Args:
      x: the map.
      kernel: not dilated.
      stride, padding: of the convolution.
      block: outputs along an axis that are computed together.
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
    """The kernel where each output of a block has it in the block's window: (window, window, Cin, block^2, Cout)."""
    room = (block - 1) * stride
    starts = range(0, room + 1, stride)
    placed = [
        jnp.pad(kernel, ((top, room - top), (left, room - left), (0, 0), (0, 0))) for top in starts for left in starts
    ]
    return jnp.stack(placed, axis=3)
