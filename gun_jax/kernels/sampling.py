"""The sampler's equation 4 for CPUs: one gather for four pixels, and gradients and argmax class by class.

The cost of a gather depends on the number of places it reads, not on the length of a row there. So the four pixels of
equation 4 lie side by side in the channels, and the gradient of one gather is one scatter.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from gun_jax.ops.dispatch import one_device
from gun_jax.ops.sampling import Padding, bilinear, bilinear_argmax, clip, nearest, nearest_straight_through

MAX_CLASSES = 64  # for which a program is written out class by class


@bilinear.on_cpu
@functools.partial(jax.checkpoint, static_argnums=3)
def bilinear_on_cpu(features: jax.Array, x: jax.Array, y: jax.Array, padding: Padding) -> jax.Array:
    """`gun_jax.ops.sampling.bilinear`."""
    mixture = _mixture if features.shape[-1] > MAX_CLASSES else _mixture_with_gradients
    return mixture(features, x, y, padding)


@nearest_straight_through.on_cpu
@functools.partial(jax.custom_jvp, nondiff_argnums=(3,))
def nearest_straight_through_on_cpu(features: jax.Array, x: jax.Array, y: jax.Array, padding: Padding) -> jax.Array:
    """`gun_jax.ops.sampling.nearest_straight_through`, which samples bilinearly in the backward pass only."""
    return nearest(features, x, y, padding)


@nearest_straight_through_on_cpu.defjvp
def _nearest_with_bilinear_slopes(
    padding: Padding, primals: Sequence, tangents: Sequence
) -> tuple[jax.Array, jax.Array]:
    features, x, y = primals
    sampled, by_features = jax.jvp(lambda features: nearest(features, x, y, padding), (features,), tangents[:1])
    _, by_place = jax.jvp(lambda x, y: bilinear_on_cpu(features, x, y, padding), (x, y), tangents[1:])
    return sampled, by_features + by_place


@bilinear_argmax.on_cpu
def bilinear_argmax_on_cpu(features: jax.Array, x: jax.Array, y: jax.Array, padding: Padding) -> jax.Array:
    """`gun_jax.ops.sampling.bilinear_argmax`, class by class: no (B, H, W, C) array exists. NaN counts as infinity."""
    channels = features.shape[-1]
    if channels > MAX_CLASSES:
        return bilinear_argmax.plain(features, x, y, padding)
    quads, row, column, weights = _quads(features, x, y, padding)

    def value(channel: int) -> jax.Array:
        mixed = _weigh(weights, _corners(quads, channel, row, column)).astype(features.dtype)
        return jnp.where(jnp.isnan(mixed), jnp.inf, mixed)  # argmax takes NaN for the largest, too

    best = value(0)
    labels = jnp.zeros(best.shape, jnp.int32)
    for channel in range(1, channels):
        here = value(channel)
        better = here > best
        best, labels = jnp.where(better, here, best), jnp.where(better, channel, labels)
    return labels


def _mixture(features: jax.Array, x: jax.Array, y: jax.Array, padding: Padding) -> jax.Array:
    quads, row, column, weights = _quads(features, x, y, padding)
    corners = jnp.split(_gather(quads, row, column), 4, axis=-1)  # (B, H, W, C) each
    return _weigh([weight[..., None] for weight in weights], corners).astype(features.dtype)


@functools.partial(jax.custom_jvp, nondiff_argnums=(3,))
def _mixture_with_gradients(features: jax.Array, x: jax.Array, y: jax.Array, padding: Padding) -> jax.Array:
    return _mixture(features, x, y, padding)


def _value_and_slopes(padding: Padding, primals: Sequence, tangents: Sequence) -> tuple[jax.Array, jax.Array]:
    """The derivative in the form whose transpose, the backward pass, is fastest on CPUs.

    The map's part broadcasts one gradient to the four corners, instead of joining four arrays; with one device, image
    by image. The coordinates' part reads the map channel by channel, and makes no array of the size of four maps.
    """
    features, x, y = primals
    channels = features.shape[-1]
    quads, row, column, weights = _quads(features, x, y, padding)
    moving = [not isinstance(tangent, jax.custom_derivatives.SymbolicZero) for tangent in tangents]
    moved = [tangent for tangent, moves in zip(tangents, moving, strict=True) if moves]

    def quads_and_weights(features: jax.Array, x: jax.Array, y: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
        return _quads(features, x, y, padding)[::3]

    quad_slopes, weight_slopes = _along(quads_and_weights, list(primals), moved, moving)

    def of_map(quads: jax.Array, row: jax.Array, column: jax.Array, weights: list[jax.Array]) -> jax.Array:
        corners = _gather(quads.reshape(1, *quads.shape[:2], 4, channels), row[None], column[None])[0]  # (H, W, 4, C)
        return jnp.sum(jnp.stack(weights, -1)[..., None] * corners, -2)

    slopes = []
    if moving[0]:
        images = quad_slopes, row, column, weights
        slopes.append(jax.lax.map(lambda image: of_map(*image), images) if one_device() else jax.vmap(of_map)(*images))
    if any(moving[1:]):
        of_channels = [_weigh(weight_slopes, _corners(quads, channel, row, column)) for channel in range(channels)]
        slopes.append(jnp.stack(of_channels, -1))
    value = _mixture_with_gradients(features, x, y, padding)
    return value, functools.reduce(jnp.add, slopes).astype(features.dtype)


_mixture_with_gradients.defjvp(_value_and_slopes, symbolic_zeros=True)


def _along(function: Callable, primals: list[jax.Array], tangents: list[jax.Array], moving: list[bool]) -> Any:
    """The derivative of a function of `primals` along the tangents of those that are `moving`."""

    def of_moving(*moved: jax.Array) -> Any:
        values = iter(moved)
        return function(*(next(values) if moves else primal for primal, moves in zip(primals, moving, strict=True)))

    return jax.jvp(of_moving, [one for one, moves in zip(primals, moving, strict=True) if moves], tangents)[1]


def _quads(
    features: jax.Array, x: jax.Array, y: jax.Array, padding: Padding
) -> tuple[jax.Array, jax.Array, jax.Array, list[jax.Array]]:
    """Squares of four pixels (B, h, w, 4 C), and for each output pixel its row and column there and four weights."""
    x, y = clip(x, y, features.shape, padding)
    if padding == "zeros":  # a frame of zeros, on which coordinates end
        features, x, y = jnp.pad(features, ((0, 0), (1, 1), (1, 1), (0, 0))), x + 1, y + 1
    left, top = jnp.floor(x), jnp.floor(y)
    right_weight, bottom_weight = x - left, y - top
    right = jnp.concatenate([features[:, :, 1:], features[:, :, -1:]], 2)
    rows = jnp.concatenate([features, right], -1)
    quads = jnp.concatenate([rows, jnp.concatenate([rows[:, 1:], rows[:, -1:]], 1)], -1)
    weights = [
        weight_y * weight_x
        for weight_y in (1 - bottom_weight, bottom_weight)
        for weight_x in (1 - right_weight, right_weight)
    ]
    return quads, top.astype(jnp.int32), left.astype(jnp.int32), weights


def _corners(quads: jax.Array, channel: int, row: jax.Array, column: jax.Array) -> list[jax.Array]:
    """One channel of the four pixels of each output pixel, (B, H, W) each."""
    channels = quads.shape[-1] // 4
    planes = (quads[..., corner * channels + channel, None] for corner in range(4))  # (B, h, w, 1) each
    return [_gather(plane, row, column)[..., 0] for plane in planes]


def _weigh(weights: Sequence[jax.Array], corners: Sequence[jax.Array]) -> jax.Array:
    return functools.reduce(jnp.add, (weight * corner for weight, corner in zip(weights, corners, strict=True)))


def _gather(features: jax.Array, row: jax.Array, column: jax.Array) -> jax.Array:
    """Reads (B, h, w, ...) at rows and columns (B, H, W): (B, H, W, ...)."""
    batch, height, width, *rest = features.shape
    flat = features.reshape(batch, height * width, *rest)
    # One gather an image: under a mesh the batch axis stays on its device.
    read = jax.vmap(lambda pixels, index: jnp.take(pixels, index, axis=0, mode="clip"))
    return read(flat, row * width + column)
