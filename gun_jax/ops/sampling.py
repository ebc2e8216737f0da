"""The sampler of the Guided Upsampling Module: equations 1 to 4 of the paper.

Maps are (B, h, w, C). A coordinate counts pixels of the low-resolution map; pixel centres lie at whole numbers. Offsets
are (x, y) = (p, q), in pixels of the low-resolution map. Coordinates are float32 whatever the map's dtype.

Equation 4 has kinks at whole-numbered coordinates. The derivative there is the one to the right (and downwards).
"""

import functools
from collections.abc import Sequence
from typing import Any, Literal

import chex
import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from gun_jax.errors import InputError, check_choice
from gun_jax.ops.dispatch import Op

Method = Literal["bilinear", "nearest"]
Padding = Literal["border", "zeros"]
METHODS = ("bilinear", "nearest")
PADDINGS = ("border", "zeros")


def guided_upsample(
    features: jax.Array,
    offsets: jax.Array,
    *,
    method: Method = "bilinear",
    align_corners: bool = False,
    padding: Padding = "border",
    straight_through: bool = False,
) -> jax.Array:
    """Upsamples a map on a regular grid (equation 1), warped by an offset table (equations 2 to 4).

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
      straight_through: with `nearest`, gives the offsets the gradient that they have with `bilinear`.

    Returns:
      (B, H, W, C) of the dtype of `features`.

    Raises:
      InputError: a `ValueError`, for an unknown method or padding, or shapes or dtypes that are not as above.
    """
    _check(features, offsets, method, padding)
    x, y = coordinates(features.shape[1:3], offsets, align_corners)
    if method == "bilinear":
        upsampled = bilinear(features, x, y, padding)
    else:
        upsampled = (nearest_straight_through if straight_through else nearest)(features, x, y, padding)
    chex.assert_equal_shape_prefix([upsampled, offsets], 3)
    chex.assert_equal(upsampled.dtype, features.dtype)
    return upsampled


def guided_argmax(
    features: jax.Array,
    offsets: jax.Array,
    *,
    method: Method = "bilinear",
    align_corners: bool = False,
    padding: Padding = "border",
) -> jax.Array:
    """`guided_upsample(...).argmax(-1)`, at less cost: labels int32 (B, H, W) of logits (B, h, w, C).

    Arguments and errors are those of `guided_upsample`. With `nearest` the classes are decided on the small map.
    """
    _check(features, offsets, method, padding)
    x, y = coordinates(features.shape[1:3], offsets, align_corners)
    if method == "nearest":  # the label of logits that are all zero is 0, so both paddings may read it
        labels = features.argmax(-1)[..., None].astype(jnp.int32)
        return nearest(labels, x, y, padding)[..., 0]
    return bilinear_argmax(features, x, y, padding)


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


# The equations


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


def coordinates(source: Sequence[int], offsets: jax.Array, align_corners: bool) -> tuple[jax.Array, jax.Array]:
    """Equation 3: the coordinates x and y that each output pixel reads at, float32 (B, H, W) each."""
    height, width = offsets.shape[1:3]
    offsets = offsets.astype(jnp.float32)
    offsets = jnp.where(jnp.isnan(offsets), 0.0, offsets)
    x = offsets[..., 0] + regular_grid(source[1], width, align_corners)  # p + x
    y = offsets[..., 1] + regular_grid(source[0], height, align_corners)[:, None]  # q + y
    return x, y


def nearest(features: jax.Array, x: jax.Array, y: jax.Array, padding: Padding) -> jax.Array:
    """Equation 2: the pixel at (floor(x + 1/2), floor(y + 1/2))."""
    x, y = clip(x, y, features.shape, padding)
    return _read(features, jnp.floor(y + 0.5), jnp.floor(x + 0.5), padding)


@Op
@functools.partial(jax.checkpoint, static_argnums=3)  # or four values would be kept of each output pixel and channel
def bilinear(features: jax.Array, x: jax.Array, y: jax.Array, padding: Padding) -> jax.Array:
    """Equation 4: the four terms of its sum over the map that are not zero."""
    x, y = clip(x, y, features.shape, padding)
    left, top = jnp.floor(x), jnp.floor(y)
    mixture = jnp.zeros((), jnp.float32)
    for row, row_weight in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, column_weight in ((left, 1 - (x - left)), (left + 1, x - left)):
            weight = row_weight * column_weight
            mixture = mixture + weight[..., None] * _read(features, row, column, padding)
    return mixture.astype(features.dtype)


@Op
def nearest_straight_through(features: jax.Array, x: jax.Array, y: jax.Array, padding: Padding) -> jax.Array:
    """Equation 2 with the derivative of equation 4 with respect to the coordinates."""
    values = nearest(features, x, y, padding)
    if not jnp.issubdtype(features.dtype, jnp.floating):
        return values
    mixture = bilinear(jax.lax.stop_gradient(features), x, y, padding)
    zero = jnp.where(jnp.isfinite(mixture), mixture - jax.lax.stop_gradient(mixture), 0)
    return values + zero


@Op
def bilinear_argmax(features: jax.Array, x: jax.Array, y: jax.Array, padding: Padding) -> jax.Array:
    """The class of the largest logit after equation 4, int32 (B, H, W)."""
    return bilinear(features, x, y, padding).argmax(-1).astype(jnp.int32)


def clip(x: jax.Array, y: jax.Array, shape: Sequence[int], padding: Padding) -> tuple[jax.Array, jax.Array]:
    """Ends coordinates at the outermost pixels, or with `zeros` one pixel beyond, where all that is read is zero."""
    beyond = 1 if padding == "zeros" else 0

    def along(at: jax.Array, size: int) -> jax.Array:
        # Not jnp.clip, whose derivative at the end is a half.
        at = jnp.where(at < -beyond, -beyond, at)
        return jnp.where(at >= size - 1 + beyond, size - 1 + beyond, at)

    return along(x, shape[2]), along(y, shape[1])


def _read(features: jax.Array, row: jax.Array, column: jax.Array, padding: Padding) -> jax.Array:
    """Gathers (B, H, W, C) from a map (B, h, w, C) at whole-numbered rows and columns (B, H, W)."""
    height, width = features.shape[1:3]
    # One gather an image: under a mesh the batch axis stays on its device.
    gather = jax.vmap(lambda image, row, column: image.at[row, column].get(mode="clip", wrap_negative_indices=False))
    values = gather(features, row.astype(jnp.int32), column.astype(jnp.int32))
    if padding == "zeros":
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        values = jnp.where(inside[..., None], values, jnp.zeros((), values.dtype))
    return values
