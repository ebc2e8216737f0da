"""What the tests of the sampler compare with: the paper's equations in loops, and maps with offsets to sample by."""

import functools
import itertools

import jax
import numpy as np

from gun_jax import guided_upsample

MODES = list(itertools.product(("bilinear", "nearest"), ("border", "zeros"), (False, True)))
sample = functools.partial(jax.jit, static_argnames=("method", "align_corners", "padding", "straight_through"))(
    guided_upsample
)


def grid_position(index, source, target, align_corners):
    """Equation 1 for one output pixel along one axis, in Python's float64."""
    if align_corners:
        return 0.0 if target == 1 else index * (source - 1) / (target - 1)
    return (index + 0.5) * source / target - 0.5


def paper_sum(features, offsets, method, padding, align_corners):
    """Equations 2 and 4 as printed: for every output pixel, a sum over all pixels of the map, in float64."""
    batch, h, w, channels = features.shape
    height, width = offsets.shape[1:3]
    features, offsets = features.astype(np.float64), offsets.astype(np.float64)
    out = np.zeros((batch, height, width, channels))
    for i in range(height):
        for j in range(width):
            x = grid_position(j, w, width, align_corners) + offsets[:, i, j, 0]
            y = grid_position(i, h, height, align_corners) + offsets[:, i, j, 1]
            if padding == "border":  # coordinates end at the outermost pixel centres
                x, y = np.minimum(np.maximum(x, 0), w - 1), np.minimum(np.maximum(y, 0), h - 1)
            for n in range(h):
                for m in range(w):
                    if method == "nearest":
                        weight = (np.floor(x + 0.5) == m) * (np.floor(y + 0.5) == n)
                    else:
                        weight = np.maximum(0, 1 - np.abs(x - m)) * np.maximum(0, 1 - np.abs(y - n))
                    out[:, i, j] += weight[:, None] * features[:, n, m]
    return out


def offsets_that_read_at(fractions, source, target, align_corners, rng, batch=2, beyond=3):
    """Offsets (batch, H, W, 2) to random places, `beyond` pixels out at most, `fractions` right of a pixel centre."""
    out = np.zeros((batch, *target, 2))
    for axis, (small, large) in enumerate(((source[1], target[1]), (source[0], target[0]))):
        place = rng.integers(-beyond, small + beyond, (batch, *target)) + rng.uniform(*fractions, (batch, *target))
        grid = np.array([grid_position(i, small, large, align_corners) for i in range(large)])
        out[..., axis] = place - (grid if axis == 0 else grid[:, None])
    return out.astype(np.float32)


def example(source=(4, 5), target=(7, 9), seed=0, fractions=(0.1, 0.9), channels=3, beyond=3, align_corners=False):
    """A map and a table that keeps clear of the kinks of equation 4 (whole numbers)."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(2, *source, channels)).astype(np.float32)
    return features, offsets_that_read_at(fractions, source, target, align_corners, rng, beyond=beyond)
