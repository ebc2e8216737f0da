"""Bilinear resizing of maps."""

import functools
from collections.abc import Sequence

import jax

from gun_jax.ops.dispatch import Op


def resize(x: jax.Array, size: Sequence[int]) -> jax.Array:
    """Resizes floating (B, h, w, C) to `size` (height, width): half-pixel centres, antialiased when it shrinks."""
    return x if x.shape[1:3] == tuple(size) else bilinear_resize(x, tuple(size))


@Op
@functools.partial(jax.jit, static_argnames="size")  # a function of its own in traces, by whose name exports find it
def bilinear_resize(x: jax.Array, size: tuple[int, int]) -> jax.Array:
    """`resize` to another size."""
    return jax.image.resize(x, (x.shape[0], *size, x.shape[3]), "linear")
