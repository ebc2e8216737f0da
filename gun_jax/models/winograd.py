"""3x3 convolutions at stride 1 with a quarter of the multiplications: Winograd's minimal filtering, F(4x4, 3x3).

An output tile of 4x4 pixels is computed from its 6x6 inputs by 36 products a pair of channels, in place of 144: inputs,
kernel and products pass through small constant matrices (S. Winograd, "Arithmetic complexity of computations", 1980;
A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks", CVPR 2016), and what lies between is one
matrix product for each of the 36 positions. The matrices come from the Toom-Cook construction; its points are chosen
for float32, in which the error is a fifth of that with the customary 0, 1, -1, 2, -2 (docs/performance.md).

A convolution of dilation d is d x d separate ones, each of every d-th row and column: the axes (tile, phase) of the
arrays below.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.xla_metadata import set_xla_metadata

TILE = 4  # output pixels along a side
KERNEL = 3
_SIDE = TILE + KERNEL - 1  # input pixels
POINTS = (0, 2 / 3, -2 / 3, 3 / 2, -3 / 2)  # and infinity


def toom_cook(points: Sequence[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Matrices of F(TILE, KERNEL): `output @ ((kernel @ g) * (data @ d))` filters 6 numbers d with 3 numbers g.

    Its element i, one of 4, is the sum of d[i + k] g[k] over k.

    Args:
      points: 5 different numbers; the sixth is infinity.

    Returns:
      float64 `output` (4, 6), `kernel` (6, 3), `data` (6, 6).
    """
    at = np.asarray(points, np.float64)
    output, kernel, data = np.zeros((TILE, _SIDE)), np.zeros((_SIDE, KERNEL)), np.zeros((_SIDE, _SIDE))
    for index, point in enumerate(at):
        others = np.delete(at, index)
        output[:, index] = point ** np.arange(TILE)
        kernel[index] = point ** np.arange(KERNEL) / np.prod(point - others)
        data[index, :-1] = np.poly(others)[::-1]  # coefficients of the polynomial with these roots, constant first
    output[-1, -1] = kernel[-1, -1] = 1
    data[-1] = np.poly(at)[::-1]
    return output, kernel, data


_OUTPUT, _KERNEL, _DATA = toom_cook(POINTS)
_BOTH_SIDES = np.kron(_KERNEL, _KERNEL).astype(np.float32)  # (36, 9): of rows and of columns


def _as_a_call(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Compiles a function of arrays and a dilation as a program of its own, which larger ones call.

    Inlined, the transformed kernels of all convolutions, 4 times their size, would be computed at the start, where they
    wait for nothing, and lie in memory together. And what is called with the same shapes is traced once.
    """
    call = jax.jit(function, static_argnames="dilation")

    @functools.wraps(function)
    def not_inlined(*arrays: jax.Array, dilation: int) -> jax.Array:
        with set_xla_metadata(inlineable="false"):
            return call(*arrays, dilation=dilation)

    return not_inlined


@_as_a_call
def convolve(x: jax.Array, kernel: jax.Array, *, dilation: int) -> jax.Array:
    """Convolves (B, H, W, Cin) with a kernel (3, 3, Cin, Cout), padded by `dilation` zeros all around: (B, H, W, Cout).

    Equal to `jax.lax.conv_general_dilated` up to rounding: about 1e-5 of the size of the results in float32.
    """
    return _convolve(x, _kernel_tile(kernel), 1, dilation)


@_as_a_call
def input_gradient(kernel: jax.Array, gradient: jax.Array, *, dilation: int) -> jax.Array:
    """The gradient (B, H, W, Cin) of what was convolved: `gradient` (B, H, W, Cout) with the kernel turned around."""
    return _convolve(gradient, _kernel_tile(kernel[::-1, ::-1]), 2, dilation)


def _convolve(x: jax.Array, kernel_tile: jax.Array, contracted: int, dilation: int) -> jax.Array:
    """`kernel_tile` is (36, a, b), where axis `contracted` has the channels of x, the other those of the result."""
    batch, height, width, channels = x.shape
    data = _data_tiles(x, dilation)  # (6, 6, B, rows, d, columns, d, C)
    places = data.shape[2:-1]
    products = jax.lax.dot_general(
        data.reshape(_SIDE * _SIDE, -1, channels), kernel_tile, (((2,), (contracted,)), ((0,), (0,)))
    )
    tiles = _combine(_OUTPUT, list(products.reshape(_SIDE, _SIDE, *places, -1)))
    tiles = jax.lax.optimization_barrier(tiles)
    rows = [jnp.stack(_combine(_OUTPUT, list(tile)), 4) for tile in tiles]  # (B, rows, d, columns, 4, d, C')
    y = jnp.stack(rows, 2)  # (B, rows, 4, d, columns, 4, d, C')
    _, down, _, _, across, _, _, _ = y.shape
    y = y.reshape(batch, down * TILE * dilation, across * TILE * dilation, -1)
    return y[:, :height, :width]


@_as_a_call
def kernel_gradient(x: jax.Array, gradient: jax.Array, *, dilation: int) -> jax.Array:
    """The gradient (3, 3, Cin, Cout) of the kernel: `convolve`'s steps transposed.

    Args:
      x: (B, H, W, Cin), what was convolved.
      gradient: (B, H, W, Cout), of the result.
      dilation: of the convolution.
    """
    data = _data_tiles(x, dilation).reshape(_SIDE * _SIDE, -1, x.shape[-1])
    back = _output_tiles(gradient, dilation).reshape(_SIDE * _SIDE, -1, gradient.shape[-1])
    products = jax.lax.dot_general(data, back, (((1,), (1,)), ((0,), (0,))))  # (36, Cin, Cout)
    taps = jnp.matmul(_BOTH_SIDES.T, products.reshape(_SIDE * _SIDE, -1))
    return taps.reshape(KERNEL, KERNEL, x.shape[-1], gradient.shape[-1])


def _kernel_tile(kernel: jax.Array) -> jax.Array:
    """(3, 3, Cin, Cout) to (36, Cin, Cout)."""
    return jnp.matmul(_BOTH_SIDES, kernel.reshape(KERNEL * KERNEL, -1)).reshape(_SIDE * _SIDE, *kernel.shape[2:])


def _data_tiles(x: jax.Array, dilation: int) -> jax.Array:
    """The transformed 6x6 inputs of each tile: (B, H, W, C) to (6, 6, B, rows, d, columns, d, C)."""
    batch, height, width, channels = x.shape
    down, across = (-(-side // (TILE * dilation)) for side in (height, width))  # tiles
    tall, wide = down * TILE + KERNEL - 1, across * TILE + KERNEL - 1
    below, beyond = (tall - 1) * dilation - height, (wide - 1) * dilation - width
    x = jnp.pad(x, ((0, 0), (dilation, below), (dilation, beyond), (0, 0)))
    x = x.reshape(batch, tall, dilation, wide, dilation, channels)
    rows = jnp.stack(_combine(_DATA, [x[:, i : i + down * TILE : TILE] for i in range(_SIDE)]))
    rows = jax.lax.optimization_barrier(rows)
    return jnp.stack(_combine(_DATA, [rows[:, :, :, :, j : j + across * TILE : TILE] for j in range(_SIDE)]), 1)


def _output_tiles(gradient: jax.Array, dilation: int) -> jax.Array:
    """The transpose of the last step of `convolve`: (B, H, W, C) to (6, 6, B, rows, d, columns, d, C)."""
    batch, height, width, channels = gradient.shape
    down, across = (-(-side // (TILE * dilation)) for side in (height, width))
    tall, wide = down * TILE * dilation, across * TILE * dilation
    y = jnp.pad(gradient, ((0, 0), (0, tall - height), (0, wide - width), (0, 0)))
    y = y.reshape(batch, down, TILE, dilation, across, TILE, dilation, channels)
    rows = jnp.stack(_combine(_OUTPUT.T, [y[:, :, i] for i in range(TILE)]))  # (6, B, rows, d, columns, 4, d, C)
    rows = jax.lax.optimization_barrier(rows)
    return jnp.stack(_combine(_OUTPUT.T, [rows[:, :, :, :, :, j] for j in range(TILE)]), 1)


def _combine(matrix: np.ndarray, parts: Sequence[jax.Array]) -> list[jax.Array]:
    """Multiplies a constant matrix with a list of arrays: sums, which the compiler joins, and no zero terms."""
    return [
        functools.reduce(
            jnp.add, (part * np.asarray(factor, part.dtype) for factor, part in zip(row, parts, strict=True) if factor)
        )
        for row in matrix
    ]
