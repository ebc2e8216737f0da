"""Bilinear resizing of maps; its values are those of `jax.image.resize`."""

import functools
import math
from collections.abc import Callable, Sequence

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from gun_jax.kernels.noinline import noinline


def resize(x: jax.Array, size: Sequence[int]) -> jax.Array:
    """Resizes (B, h, w, C) to `size` (height, width) bilinearly: half-pixel centres, antialiased when it shrinks.

    Of floating maps; differentiable in reverse mode only.
    """
    return x if x.shape[1:3] == tuple(size) else bilinear_resize(x, tuple(size))


RESIZE_CALL = "bilinear_resize"  # its name in traces, by which gun_jax.export knows it


@functools.partial(jax.jit, static_argnames="size")
def bilinear_resize(x: jax.Array, size: tuple[int, int]) -> jax.Array:
    """`resize` to another size, as a program of its own: what `gun_jax.export` finds in traces."""
    return _resize(x, x.shape[1:3], size)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _resize(x: jax.Array, old_size: tuple[int, int], size: tuple[int, int]) -> jax.Array:
    return _by_platform(resize_by_taps, x, size)


def _by_platform(fast: Callable[..., jax.Array], x: jax.Array, size: tuple[int, int]) -> jax.Array:
    plain = functools.partial(plain_resize, size=size)
    if any(jax.export.is_symbolic_dim(side) for side in (*x.shape[1:3], *size)):
        return plain(x)
    return jax.lax.platform_dependent(x, cpu=functools.partial(fast, size=size), default=plain)


def plain_resize(x: jax.Array, size: tuple[int, int]) -> jax.Array:
    """`resize` as `jax.image` does it: a product with a matrix along each axis, most of whose numbers are zero."""
    return jax.image.resize(x, (x.shape[0], *size, x.shape[3]), "linear")


def _forward(x: jax.Array, old_size: tuple[int, int], size: tuple[int, int]) -> tuple[jax.Array, None]:
    return _by_platform(_taps_as_a_call, x, size), None


def _backward(old_size: tuple[int, int], size: tuple[int, int], _: None, gradient: jax.Array) -> tuple[jax.Array]:
    x = jax.ShapeDtypeStruct((gradient.shape[0], *old_size, gradient.shape[3]), gradient.dtype)
    return jax.linear_transpose(functools.partial(plain_resize, size=size), x)(gradient)


_resize.defvjp(_forward, _backward)


def resize_by_taps(x: jax.Array, size: tuple[int, int]) -> jax.Array:
    """`resize` as a weighted sum of the few pixels that each result reads."""
    wide = _sum_taps(x.astype(jnp.promote_types(x.dtype, jnp.float32)), 2, size[1])
    if x.shape[2] > size[1]:
        wide = jax.lax.optimization_barrier(wide)  # its many taps would be summed again for each tap of the rows
    return _sum_taps(wide, 1, size[0]).astype(x.dtype)


# For training: inlined, its terms are kept, and summed again in the backward pass.
_taps_as_a_call = noinline("size")(resize_by_taps)


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
    """What each of `new` pixels reads of `old` ones along an axis: indices and weights, (taps, new), that sum to 1."""
    reach = max(1.0, old / new)  # of the triangle that weighs the pixels around a place
    at = (np.arange(new) + 0.5) * old / new - 0.5
    index = np.floor(at - reach).astype(int) + 1 + np.arange(math.ceil(2 * reach))[:, None]
    weight = np.maximum(0, 1 - np.abs(index - at) / reach) * ((index >= 0) & (index < old))
    return index.clip(0, old - 1), weight / weight.sum(0)
