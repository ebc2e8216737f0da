"""The sampler of the Guided Upsampling Module: equations 1 to 4 of the paper, with `jnp` gathers.

Conventions: maps are NHWC; a coordinate counts pixels of the low-resolution map, pixel centres lying at whole numbers;
offsets are (x, y) = (p, q), in pixels of the low-resolution map. Coordinates are float32 whatever the map's dtype.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from gun_jax.errors import InputError, check_choice

Method = Literal["bilinear", "nearest"]
Padding = Literal["border", "zeros"]
METHODS = ("bilinear", "nearest")
PADDINGS = ("border", "zeros")
_MAX_CLASSES = 64  # of which the program is written out one by one


def guided_upsample(
    features: jax.Array,
    offsets: jax.Array,
    *,
    method: Method = "bilinear",
    align_corners: bool = False,
    padding: Padding = "border",
    straight_through: bool = False,
) -> jax.Array:
    """Upsamples a map on a regular grid (equation 1) that a table of offsets bends (equations 2 to 4).

    Zero offsets give `jax.image.resize` with `nearest` or `linear` (for upsampling, `align_corners=False`).

    Gradients: with `bilinear`, those of equation 4 with respect to map and offsets. With `nearest`, the map's are exact
    and the offsets' are zero, unless `straight_through` gives them the ones of `bilinear`. An offset that leads out of
    a border-padded map has no gradient in that direction.

    Args:
      features: (B, h, w, C) map to be upsampled, of a floating dtype (`nearest` takes any dtype).
      offsets: (B, H, W, 2) floating (p, q) = (x, y) shifts, any value: infinite and huge ones end in the padding, NaN
        counts as no offset.
      method: `nearest`, equation 2, takes the pixel at floor(x + p + 0.5); `bilinear`, equation 4, mixes four.
      align_corners: False puts the borders of both grids on each other (half-pixel centres), True the corner pixels.
      padding: `border` reads the nearest pixel outside of the map, `zeros` reads 0 there, as the equations do.
      straight_through: with `nearest`, lends the offsets the gradient that `bilinear` would give them.

    Returns:
      (B, H, W, C) of the dtype of `features`.

    Raises:
      InputError: a `ValueError`, for an unknown method or padding, or shapes or dtypes that are not as above.
    """
    _check(features, offsets, method, padding)
    x, y = _coordinates(features.shape[1:3], offsets, align_corners)  # (B, H, W) each
    if method == "bilinear":
        return _bilinear(features, x, y, padding)
    return (_nearest_straight_through if straight_through else _nearest)(features, x, y, padding)


def _check(features: jax.Array, offsets: jax.Array, method: str, padding: str) -> None:
    check_choice("guided_upsample", "method", method, METHODS)
    check_choice("guided_upsample", "padding", padding, PADDINGS)
    if features.ndim != 4 or offsets.ndim != 4 or offsets.shape[-1] != 2 or features.shape[0] != offsets.shape[0]:
        raise InputError(
            f"guided_upsample: features {features.shape} and offsets {offsets.shape}; "
            "expected (B, h, w, C) and (B, H, W, 2)"
        )
    if not jnp.issubdtype(offsets.dtype, jnp.floating):
        raise InputError(f"guided_upsample: offsets of {offsets.dtype}; expected floating numbers of pixels")
    if method == "bilinear" and not jnp.issubdtype(features.dtype, jnp.floating):
        raise InputError(f"guided_upsample: features of {features.dtype} have no mixtures; use method='nearest'")
    if 0 in features.shape[1:3]:
        raise InputError(f"guided_upsample: features {features.shape} have no pixel to read")


def guided_argmax(
    features: jax.Array,
    offsets: jax.Array,
    *,
    method: Method = "bilinear",
    align_corners: bool = False,
    padding: Padding = "border",
) -> jax.Array:
    """`guided_upsample(...).argmax(-1)`, at less cost: the labels int32 (B, H, W) of (B, h, w, C) logits.

    Arguments and errors are those of `guided_upsample`. With `nearest` the classes are decided on the small map; with
    `bilinear`, on CPUs, class by class, so that the upsampled logits never exist. (There NaN counts as infinity.)
    """
    _check(features, offsets, method, padding)
    sample = functools.partial(guided_upsample, method=method, align_corners=align_corners, padding=padding)
    if method == "nearest":  # the label of logits that are all zero is 0, so both paddings may read it
        labels = features.argmax(-1)[..., None].astype(jnp.int32)
        return sample(labels, offsets)[..., 0]

    def plain(features: jax.Array, offsets: jax.Array) -> jax.Array:
        return sample(features, offsets).argmax(-1).astype(jnp.int32)

    if features.shape[-1] > _MAX_CLASSES:
        return plain(features, offsets)

    def by_class(features: jax.Array, offsets: jax.Array) -> jax.Array:
        return _bilinear_argmax(features, *_coordinates(features.shape[1:3], offsets, align_corners), padding)

    return jax.lax.platform_dependent(features, offsets, cpu=by_class, default=plain)


def _coordinates(source: Sequence[int], offsets: jax.Array, align_corners: bool) -> tuple[jax.Array, jax.Array]:
    """Equations 1 and 3: where each output pixel reads, x and y in pixels of the source, float32 (B, H, W)."""
    height, width = offsets.shape[1:3]
    offsets = offsets.astype(jnp.float32)
    offsets = jnp.where(jnp.isnan(offsets), 0.0, offsets)
    x = offsets[..., 0] + regular_grid(source[1], width, align_corners)
    y = offsets[..., 1] + regular_grid(source[0], height, align_corners)[:, None]
    return x, y


def regular_grid(source: int, target: int, align_corners: bool = False) -> np.ndarray | jax.Array:
    """Equation 1 along one axis: float32 (target,); a `jax.Array` where an export leaves a size open."""
    at: Any
    last: Any
    if jax.export.is_symbolic_dim(source) or jax.export.is_symbolic_dim(target):
        at, last = jnp.arange(target).astype(jnp.float32), jnp.maximum(target - 1, 1)
    else:
        at, last = np.arange(target, dtype=np.float64), max(target - 1, 1)
    grid = at * (source - 1) / last if align_corners else (at + 0.5) * source / target - 0.5
    return grid.astype(np.float32)


def _nearest(features: jax.Array, x: jax.Array, y: jax.Array, padding: Padding) -> jax.Array:
    """Equation 2."""
    column, inside_x = _pixel(jnp.floor(x + 0.5), features.shape[2])
    row, inside_y = _pixel(jnp.floor(y + 0.5), features.shape[1])
    values = _gather(features, row, column)
    if padding == "zeros":
        values = jnp.where((inside_x & inside_y)[..., None], values, jnp.zeros((), values.dtype))
    return values


@functools.partial(jax.custom_jvp, nondiff_argnums=(3,))
def _nearest_straight_through(features: jax.Array, x: jax.Array, y: jax.Array, padding: Padding) -> jax.Array:
    return _nearest(features, x, y, padding)


@_nearest_straight_through.defjvp
def _nearest_with_bilinear_slopes(
    padding: Padding, primals: Sequence, tangents: Sequence
) -> tuple[jax.Array, jax.Array]:
    features, x, y = primals
    sampled, by_features = jax.jvp(lambda features: _nearest(features, x, y, padding), (features,), tangents[:1])
    _, by_place = jax.jvp(lambda x, y: _bilinear(features, x, y, padding), (x, y), tangents[1:])
    return sampled, by_features + by_place


def _bilinear(features: jax.Array, x: jax.Array, y: jax.Array, padding: Padding) -> jax.Array:
    """Equation 4: of its sum over the map, the four terms that are not zero."""
    # The backward pass reads the map again, in place of keeping four values an output pixel and channel.
    return jax.checkpoint(lambda *arrays: _mixture(*arrays, padding))(features, x, y)


@functools.partial(jax.custom_jvp, nondiff_argnums=(3,))
def _mixture(features: jax.Array, x: jax.Array, y: jax.Array, padding: Padding) -> jax.Array:
    return _plain_mixture(features, x, y, padding)


def _mixture_and_slopes(padding: Padding, primals: Sequence, tangents: Sequence) -> tuple[jax.Array, jax.Array]:
    moving = [not isinstance(tangent, jax.custom_derivatives.SymbolicZero) for tangent in tangents]
    options: dict[str, Any] = {"moving": moving, "padding": padding}
    plain: Callable[..., jax.Array] = functools.partial(_plain_slopes, **options)
    slopes = plain
    if primals[0].shape[-1] <= _MAX_CLASSES:
        by_class = functools.partial(_slopes_by_class, **options)
        slopes = functools.partial(jax.lax.platform_dependent, cpu=by_class, default=plain)
    moved = [tangent for tangent, moves in zip(tangents, moving, strict=True) if moves]
    return _mixture(*primals, padding), slopes(list(primals), moved)


_mixture.defjvp(_mixture_and_slopes, symbolic_zeros=True)


def _plain_mixture(features: jax.Array, x: jax.Array, y: jax.Array, padding: Padding) -> jax.Array:
    quads, row, column, weights = _quads(features, x, y, padding)
    parts = jnp.split(_gather(quads, row, column), 4, axis=-1)  # (B, H, W, C) each
    terms = (weight[..., None] * part for weight, part in zip(weights, parts, strict=True))
    return functools.reduce(jnp.add, terms).astype(features.dtype)


def _along(function: Callable, primals: list[jax.Array], tangents: list[jax.Array], moving: list[bool]) -> Any:
    """The derivative of a function of `primals` along the tangents of those that are `moving`."""

    def of_moving(*moved: jax.Array) -> Any:
        values = iter(moved)
        return function(*(next(values) if moves else primal for primal, moves in zip(primals, moving, strict=True)))

    return jax.jvp(of_moving, [one for one, moves in zip(primals, moving, strict=True) if moves], tangents)[1]


def _plain_slopes(
    primals: list[jax.Array], tangents: list[jax.Array], moving: list[bool], padding: Padding
) -> jax.Array:
    """The derivative of `_plain_mixture`."""
    return _along(functools.partial(_plain_mixture, padding=padding), primals, tangents, moving)


def _slopes_by_class(
    primals: list[jax.Array], tangents: list[jax.Array], moving: list[bool], padding: Padding
) -> jax.Array:
    """`_plain_slopes` in the form whose transpose, the backward pass, is fastest on CPUs.

    The map's part broadcasts one gradient to the four corners, in place of joining four arrays; with one device, for
    one image after the other. That of the places reads the map one channel after the other, as `_bilinear_argmax` does,
    and makes nothing of the size of four maps.
    """
    features, x, y = primals
    channels = features.shape[-1]
    quads, row, column, weights = _quads(features, x, y, padding)

    def quads_and_weights(features: jax.Array, x: jax.Array, y: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
        return _quads(features, x, y, padding)[::3]

    quad_slopes, weight_slopes = _along(quads_and_weights, primals, tangents, moving)

    def by_place(channel: int) -> jax.Array:
        planes = (quads[..., corner * channels + channel, None] for corner in range(4))  # (B, h, w, 1) each
        terms = (
            slope * _gather(plane, row, column)[..., 0] for slope, plane in zip(weight_slopes, planes, strict=True)
        )
        return functools.reduce(jnp.add, terms)

    def of_map(quads: jax.Array, row: jax.Array, column: jax.Array, weights: list[jax.Array]) -> jax.Array:
        corners = _gather(quads.reshape(1, *quads.shape[:2], 4, channels), row[None], column[None])[0]  # (H, W, 4, C)
        return jnp.sum(jnp.stack(weights, -1)[..., None] * corners, -2)

    sums = []
    if moving[0]:
        images = quad_slopes, row, column, weights
        one_device = jax.device_count() == 1
        sums.append(jax.lax.map(lambda image: of_map(*image), images) if one_device else jax.vmap(of_map)(*images))
    if any(moving[1:]):
        sums.append(jnp.stack([by_place(channel) for channel in range(channels)], -1))
    return functools.reduce(jnp.add, sums).astype(features.dtype)


def _bilinear_argmax(features: jax.Array, x: jax.Array, y: jax.Array, padding: Padding) -> jax.Array:
    """The argmax over the channels of `_bilinear`, one channel after the other: no (B, H, W, C) array exists."""
    quads, row, column, weights = _quads(features, x, y, padding)
    channels = features.shape[-1]

    def value(channel: int) -> jax.Array:
        planes = (quads[..., corner * channels + channel, None] for corner in range(4))  # (B, h, w, 1) each
        terms = (weight * _gather(plane, row, column)[..., 0] for weight, plane in zip(weights, planes, strict=True))
        mixed = functools.reduce(jnp.add, terms).astype(features.dtype)
        return jnp.where(jnp.isnan(mixed), jnp.inf, mixed)  # the largest for argmax, too, and no slow test below

    best = value(0)
    labels = jnp.zeros(best.shape, jnp.int32)
    for channel in range(1, channels):
        here = value(channel)
        better = here > best
        best, labels = jnp.where(better, here, best), jnp.where(better, channel, labels)
    return labels


def _quads(
    features: jax.Array, x: jax.Array, y: jax.Array, padding: Padding
) -> tuple[jax.Array, jax.Array, jax.Array, list[jax.Array]]:
    """What `_bilinear` reads: (B, h, w, 4 C) squares of four pixels, the row and column of each, and four weights.

    One gather reads all four pixels, side by side in the channels of the small map, and its gradient is one scatter
    instead of four: what a gather costs goes by the places it reads, not by the length of a row there.
    """
    if padding == "zeros":  # a frame of zeros; coordinates end on it
        features, x, y = jnp.pad(features, ((0, 0), (1, 1), (1, 1), (0, 0))), x + 1, y + 1
    height, width = features.shape[1:3]
    x, y = jnp.clip(x, 0, width - 1), jnp.clip(y, 0, height - 1)
    left, top = jnp.floor(x), jnp.floor(y)
    right_weight, bottom_weight = x - left, y - top
    right = jnp.concatenate([features[:, :, 1:], features[:, :, -1:]], 2)
    rows = jnp.concatenate([features, right], -1)
    quads = jnp.concatenate([rows, jnp.concatenate([rows[:, 1:], rows[:, -1:]], 1)], -1)
    row, column = (_pixel(place, size)[0] for place, size in ((top, height), (left, width)))
    weights = [
        weight_y * weight_x
        for weight_y in (1 - bottom_weight, bottom_weight)
        for weight_x in (1 - right_weight, right_weight)
    ]
    return quads, row, column, weights


def _pixel(position: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    """The pixel to read at a whole-numbered position, always one that exists, and whether the position is inside."""
    pixel = jnp.clip(position, 0, size - 1)
    return pixel.astype(jnp.int32), pixel == position


def _gather(features: jax.Array, row: jax.Array, column: jax.Array) -> jax.Array:
    """Reads (B, h, w, ...) at rows and columns (B, H, W): (B, H, W, ...)."""
    batch, height, width, *rest = features.shape
    flat = features.reshape(batch, height * width, *rest)
    # One gather an image: under a mesh the batch axis stays on its device.
    read = jax.vmap(lambda pixels, index: jnp.take(pixels, index, axis=0, mode="clip"))
    return read(flat, row * width + column)
