"""Depthwise convolutions as sums of shifted images, and by oneDNN where it can be used.

A sum of k x k shifted images, each times its place in the kernel, is one loop in which neighbouring channels are
vectors.
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from gun_jax.kernels.onednn import onednn_for
from gun_jax.ops.convolution import depthwise_convolve, same_padding


@depthwise_convolve.on_cpu
def depthwise_convolve_on_cpu(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """`gun_jax.ops.convolution.depthwise_convolve`. Differentiable in reverse mode only."""
    return (shifted_convolve if onednn_for(x, kernel) is None else onednn_convolve)(x, kernel, stride)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def shifted_convolve(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """The sum of shifted images: (B, H, W, C) and (k, k, 1, C) to (B, ceil(H/stride), ceil(W/stride), C)."""
    products = [shift * kernel[tap] for tap, shift in _shifts(x, kernel.shape[0], stride)]
    return functools.reduce(jnp.add, products)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def onednn_convolve(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """`shifted_convolve`, which XLA fuses with what stands around it; in a training by oneDNN."""
    return shifted_convolve(x, kernel, stride)


def _onednn_forward(x: jax.Array, kernel: jax.Array, stride: int) -> tuple[jax.Array, Callable]:
    padding = _padding(x.shape, kernel.shape[0], stride)
    onednn = onednn_for(x, kernel)
    assert onednn is not None
    return jax.vjp(lambda x, kernel: onednn.convolve(x, kernel, stride, padding, 1), x, kernel)


onednn_convolve.defvjp(_onednn_forward, lambda stride, pull_back, gradient: pull_back(gradient))


def _forward(x: jax.Array, kernel: jax.Array, stride: int) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return shifted_convolve(x, kernel, stride), (x, kernel)


def _backward(stride: int, saved: tuple[jax.Array, jax.Array], gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    size = kernel.shape[0]
    sums = [(shift * gradient).sum((0, 1, 2), dtype=jnp.float32) for _, shift in _shifts(x, size, stride)]
    of_kernel = jnp.stack(sums).reshape(kernel.shape).astype(kernel.dtype)
    return _input_gradient(kernel, gradient, x.shape, stride), of_kernel


shifted_convolve.defvjp(_forward, _backward)


def _input_gradient(kernel: jax.Array, gradient: jax.Array, shape: tuple[int, ...], stride: int) -> jax.Array:
    """The gradient of the input, of `shape`: each of its stride x stride phases is a sum of shifted gradients."""
    _, height, width, _ = shape
    (top, _), (left, _) = _padding(shape, kernel.shape[0], stride)
    phases = [
        [_phase(kernel, gradient, stride, row + top, column + left) for column in range(stride)]
        for row in range(stride)
    ]
    rows = [jnp.stack(row, 3) for row in phases]  # (B, H', W', stride, C)
    whole = jnp.stack(rows, 2)  # (B, H', stride, W', stride, C)
    batch, high, _, wide, _, channels = whole.shape
    return whole.reshape(batch, high * stride, wide * stride, channels)[:, :height, :width]


def _phase(kernel: jax.Array, gradient: jax.Array, stride: int, row: int, column: int) -> jax.Array:
    """The gradients of the padded input's pixels at `row`, `row` + stride and so on: (B, H', W', C)."""
    _, height, width, _ = gradient.shape
    reach = kernel.shape[0]
    framed = jnp.pad(gradient, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    total: Any = 0
    for i, j in itertools.product(range(row % stride, reach, stride), range(column % stride, reach, stride)):
        up, back = (row - i) // stride + reach, (column - j) // stride + reach
        total = total + framed[:, up : up + height, back : back + width] * kernel[i, j]
    return total


def _shifts(x: jax.Array, size: int, stride: int) -> Iterator[tuple[tuple[int, int], jax.Array]]:
    """For each place in a kernel, the pixels of (B, H, W, C) that it multiplies: (B, H', W', C)."""
    height, width = (-(-side // stride) for side in x.shape[1:3])
    framed = jnp.pad(x, ((0, 0), *_padding(x.shape, size, stride), (0, 0)))
    for i, j in itertools.product(range(size), repeat=2):
        yield (i, j), framed[:, i : i + (height - 1) * stride + 1 : stride, j : j + (width - 1) * stride + 1 : stride]


def _padding(shape: tuple[int, ...], size: int, stride: int) -> tuple[tuple[int, int], tuple[int, int]]:
    rows, columns = (same_padding(side, size, stride) for side in shape[1:3])
    return rows, columns
