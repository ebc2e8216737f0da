"""Bilinear resizing as a weighted sum of the few pixels that each output reads.

XLA's own form is a product with a matrix along each axis, most of whose numbers are zero.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from gun_jax.kernels.noinline import noinline
from gun_jax.ops.resizing import bilinear_resize


@bilinear_resize.on_cpu
@functools.partial(jax.jit, static_argnames="size")
def resize_on_cpu(x: jax.Array, size: tuple[int, int]) -> jax.Array:
    """`gun_jax.ops.resizing.bilinear_resize`. Differentiable in reverse mode only."""
    resize = jax.custom_vjp(functools.partial(weighted_sum, size=size))
    # Inlined in training, its terms would be kept, and summed again in the backward pass.
    resize.defvjp(
        lambda x: (_weighted_sum_call(x, size=size), None),
        lambda _, gradient: jax.linear_transpose(functools.partial(bilinear_resize.plain, size=size), x)(gradient),
    )
    return resize(x)


def weighted_sum(x: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Resizes (B, h, w, C) to `size` (height, width), one axis after the other, in float32."""
    wide = _sum_taps(x.astype(jnp.promote_types(x.dtype, jnp.float32)), 2, size[1])
    if x.shape[2] > size[1]:
        wide = jax.lax.optimization_barrier(wide)  # its many terms would be summed again for each tap of the rows
    return _sum_taps(wide, 1, size[0]).astype(x.dtype)


_weighted_sum_call = noinline("size")(weighted_sum)


def _sum_taps(x: jax.Array, axis: int, length: int) -> jax.Array:
    if x.shape[axis] == length:
        return x
    shape = [1] * x.ndim
    shape[axis] = length
    terms = (
        x.take(at, axis, mode="clip") * weight.reshape(shape).astype(x.dtype)
        for at, weight in zip(*_taps(x.shape[axis], length), strict=True)
    )
    return functools.reduce(jnp.add, terms)


def _taps(old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """The pixels that each output reads along an axis: indices and weights, (taps, new). Weights sum to 1."""
    reach = max(1.0, old / new)  # of the triangle that weighs the pixels around a place
    at = (np.arange(new) + 0.5) * old / new - 0.5
    index = np.floor(at - reach).astype(int) + 1 + np.arange(math.ceil(2 * reach))[:, None]
    weight = np.maximum(0, 1 - np.abs(index - at) / reach) * ((index >= 0) & (index < old))
    return index.clip(0, old - 1), weight / weight.sum(0)
