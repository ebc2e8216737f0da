"""3x3 convolutions at stride 1 with a quarter of the multiplications: Winograd's minimal filtering, F(4x4, 3x3).

An output tile of 4x4 pixels is computed from its 6x6 inputs by 36 products for each pair of channels, in place of 144.
Inputs, kernel and products are multiplied by small constant matrices (S. Winograd, "Arithmetic complexity of
computations", 1980; A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks", CVPR 2016). Between the
transforms there is one matrix product for each of the 36 positions. The matrices come from the Toom-Cook construction.
Its points are chosen for float32: the error is a fifth of that with the customary 0, 1, -1, 2, -2
(docs/performance.md). Tiles of 3 pixels are used along an axis that they cover with fewer inputs.

A convolution of dilation d is d x d separate ones, each of every d-th row and column: the axes (tile, phase) of the
arrays below. S x T is the size of the inputs of a tile, usually 6 x 6.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from gun_jax.kernels.noinline import noinline

KERNEL = 3
POINTS = {4: (0, 2 / 3, -2 / 3, 3 / 2, -3 / 2), 3: (0, 1 / 2, -1, 2)}  # by the side of a tile; and infinity


def toom_cook(points: Sequence[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Matrices of F(n - 1, KERNEL): `output @ ((kernel @ g) * (data @ d))` filters n + 1 numbers d with 3 numbers g.

    Its element i, one of n - 1, is the sum of d[i + k] g[k] over k.

    Args:
      points: n different numbers; one more is infinity.

    Returns:
      float64 `output` (n - 1, n + 1), `kernel` (n + 1, 3), `data` (n + 1, n + 1).
    """
    at = np.asarray(points, np.float64)
    side = len(at) + 1
    output, kernel, data = np.zeros((side - KERNEL + 1, side)), np.zeros((side, KERNEL)), np.zeros((side, side))
    for index, point in enumerate(at):
        others = np.delete(at, index)
        output[:, index] = point ** np.arange(len(output))
        kernel[index] = point ** np.arange(KERNEL) / np.prod(point - others)
        data[index, :-1] = np.poly(others)[::-1]  # coefficients of the polynomial with these roots, constant first
    output[-1, -1] = kernel[-1, -1] = 1
    data[-1] = np.poly(at)[::-1]
    return output, kernel, data


@dataclasses.dataclass(frozen=True)
class _Axis:
    """How tiles cover one axis.

    Attributes:
      tile: output pixels of a tile along this axis.
      tiles: their number, in each phase of the dilation.
      output, kernel, data: matrices of `toom_cook`.
    """

    tile: int
    tiles: int
    output: np.ndarray
    kernel: np.ndarray
    data: np.ndarray

    @property
    def inputs(self) -> int:
        return self.tile + KERNEL - 1


def _axis(length: int, dilation: int) -> _Axis:
    """The tiles that cover `length` pixels and read the fewest inputs."""
    tiles = {tile: -(-length // (tile * dilation)) for tile in POINTS}
    tile = min(tiles, key=lambda tile: tiles[tile] * (tile + KERNEL - 1))
    return _Axis(tile, tiles[tile], *toom_cook(POINTS[tile]))


# Multiplies n pairs of matrices (n, a, b) and (n, c, d), summed over an axis, 1 or 2, of each: (n, ., .).
Multiply = Callable[[jax.Array, jax.Array, int, int], jax.Array]


def multiply(left: jax.Array, right: jax.Array, left_axis: int, right_axis: int) -> jax.Array:
    """The `Multiply` of XLA."""
    return jax.lax.dot_general(left, right, (((left_axis,), (right_axis,)), ((0,), (0,))))


# Inlined, the transformed kernels of all convolutions, 4 times their size, would be computed at the start and lie in
# memory together. As calls, those with the same shapes are also traced only once.
_as_a_call = noinline("dilation", "multiply")


@_as_a_call
def convolve(x: jax.Array, kernel: jax.Array, *, dilation: int, multiply: Multiply = multiply) -> jax.Array:
    """Convolves (B, H, W, Cin) with a kernel (3, 3, Cin, Cout), padded by `dilation` zeros all around: (B, H, W, Cout).

    Equal to `jax.lax.conv_general_dilated` up to rounding: about 1e-5 of the size of the results in float32.
    """
    return _convolve(x, kernel, 1, dilation, multiply)


@_as_a_call
def input_gradient(
    kernel: jax.Array, gradient: jax.Array, *, dilation: int, multiply: Multiply = multiply
) -> jax.Array:
    """The gradient (B, H, W, Cin) of the input: `gradient` (B, H, W, Cout) convolved with the flipped kernel."""
    return _convolve(gradient, kernel[::-1, ::-1], 2, dilation, multiply)


def _convolve(x: jax.Array, kernel: jax.Array, contracted: int, dilation: int, multiply: Multiply) -> jax.Array:
    """`kernel` is (3, 3, a, b); the channels of x are summed over a if `contracted` is 1, over b if it is 2."""
    batch, height, width, channels = x.shape
    rows, columns = _axis(height, dilation), _axis(width, dilation)
    data = _data_tiles(x, rows, columns, dilation)  # (S, T, B, rows, d, columns, d, C)
    flat = data.reshape(rows.inputs * columns.inputs, -1, channels)
    products = multiply(flat, _kernel_tile(kernel, rows, columns), 2, contracted)
    tiles = _combine(rows.output, list(products.reshape(*data.shape[:-1], -1)))
    tiles = jax.lax.optimization_barrier(tiles)
    lines = [jnp.stack(_combine(columns.output, list(tile)), 4) for tile in tiles]  # (B, rows, d, columns, 4, d, C')
    y = jnp.stack(lines, 2)  # (B, rows, 4, d, columns, 4, d, C')
    y = y.reshape(batch, rows.tiles * rows.tile * dilation, columns.tiles * columns.tile * dilation, -1)
    return y[:, :height, :width]


@_as_a_call
def kernel_gradient(x: jax.Array, gradient: jax.Array, *, dilation: int, multiply: Multiply = multiply) -> jax.Array:
    """The gradient (3, 3, Cin, Cout) of the kernel: `convolve`'s steps transposed.

    Args:
      x: (B, H, W, Cin), the input.
      gradient: (B, H, W, Cout), of the output.
      dilation: of the convolution.
      multiply: the matrix product to use.
    """
    rows, columns = _axis(x.shape[1], dilation), _axis(x.shape[2], dilation)
    places = rows.inputs * columns.inputs
    data = _data_tiles(x, rows, columns, dilation).reshape(places, -1, x.shape[-1])
    back = _output_tiles(gradient, rows, columns, dilation).reshape(places, -1, gradient.shape[-1])
    products = multiply(data, back, 1, 1)  # (S T, Cin, Cout)
    taps = jnp.matmul(_both_sides(rows, columns).T, products.reshape(places, -1))
    return taps.reshape(KERNEL, KERNEL, x.shape[-1], gradient.shape[-1])


def _both_sides(rows: _Axis, columns: _Axis) -> np.ndarray:
    """Transforms kernels along both axes: float32 (S T, 9)."""
    return np.kron(rows.kernel, columns.kernel).astype(np.float32)


def _kernel_tile(kernel: jax.Array, rows: _Axis, columns: _Axis) -> jax.Array:
    """(3, 3, a, b) to (S T, a, b)."""
    both = _both_sides(rows, columns)
    return jnp.matmul(both, kernel.reshape(KERNEL * KERNEL, -1)).reshape(len(both), *kernel.shape[2:])


def _data_tiles(x: jax.Array, rows: _Axis, columns: _Axis, dilation: int) -> jax.Array:
    """The transformed inputs of each tile: (B, H, W, C) to (S, T, B, rows, d, columns, d, C)."""
    batch, height, width, channels = x.shape
    down, across = rows.tiles * rows.tile, columns.tiles * columns.tile
    tall, wide = down + KERNEL - 1, across + KERNEL - 1
    below, beyond = (tall - 1) * dilation - height, (wide - 1) * dilation - width
    x = jnp.pad(x, ((0, 0), (dilation, below), (dilation, beyond), (0, 0)))
    x = x.reshape(batch, tall, dilation, wide, dilation, channels)
    lines = jnp.stack(_combine(rows.data, [x[:, i : i + down : rows.tile] for i in range(rows.inputs)]))
    lines = jax.lax.optimization_barrier(lines)
    parts = [lines[:, :, :, :, j : j + across : columns.tile] for j in range(columns.inputs)]
    return jnp.stack(_combine(columns.data, parts), 1)


def _output_tiles(gradient: jax.Array, rows: _Axis, columns: _Axis, dilation: int) -> jax.Array:
    """The transpose of the last step of `convolve`: (B, H, W, C) to (S, T, B, rows, d, columns, d, C)."""
    batch, height, width, channels = gradient.shape
    below = rows.tiles * rows.tile * dilation - height
    beyond = columns.tiles * columns.tile * dilation - width
    y = jnp.pad(gradient, ((0, 0), (0, below), (0, beyond), (0, 0)))
    y = y.reshape(batch, rows.tiles, rows.tile, dilation, columns.tiles, columns.tile, dilation, channels)
    lines = jnp.stack(_combine(rows.output.T, [y[:, :, i] for i in range(rows.tile)]))
    lines = jax.lax.optimization_barrier(lines)  # (S, B, rows, d, columns, 4, d, C)
    return jnp.stack(_combine(columns.output.T, [lines[:, :, :, :, :, j] for j in range(columns.tile)]), 1)


def _combine(matrix: np.ndarray, parts: Sequence[jax.Array]) -> list[jax.Array]:
    """Multiplies a constant matrix with a list of arrays, by sums without the terms that are zero."""
    return [
        functools.reduce(
            jnp.add, (part * np.asarray(factor, part.dtype) for factor, part in zip(row, parts, strict=True) if factor)
        )
        for row in matrix
    ]
