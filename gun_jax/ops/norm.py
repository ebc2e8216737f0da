"""Batch normalisation (Ioffe and Szegedy, ICML 2015, algorithm 1)."""

import jax
import jax.numpy as jnp

from gun_jax.ops.dispatch import Op


@Op
def batch_normalise(
    x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Normalises over all but the last axis, in float32.

    Args:
      x: (..., C).
      scale, bias: float32 (C,).
      epsilon: added to the variance.

    Returns:
      (..., C) of the dtype of x, and the mean and the (biased) variance of each channel, float32 (C,).
    """
    axes = tuple(range(x.ndim - 1))
    x32 = x.astype(jnp.float32)
    mean = x32.mean(axes)
    # Two passes: the difference of squares loses the variance of a channel whose mean is large.
    var = jnp.square(x32 - mean).mean(axes)
    factor = scale * jax.lax.rsqrt(var + epsilon)
    return (x32 * factor + (bias - mean * factor)).astype(x.dtype), mean, var
