"""Batch normalisation with its gradient in closed form.

It takes two sums over the pixels and one pass. Autodiff makes three sums, two passes and an array between them.
"""

import functools

import jax
import jax.numpy as jnp

from gun_jax.ops.norm import batch_normalise

_Saved = tuple[jax.Array, jax.Array, jax.Array, jax.Array]
_Three = tuple[jax.Array, jax.Array, jax.Array]


@batch_normalise.on_cpu
@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def batch_normalise_on_cpu(x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float) -> _Three:
    """`gun_jax.ops.norm.batch_normalise`. Differentiable in reverse mode only."""
    return batch_normalise.plain(x, scale, bias, epsilon)


def _forward(x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float) -> tuple[_Three, _Saved]:
    y, mean, var = batch_normalise.plain(x, scale, bias, epsilon)
    return (y, mean, var), (x, scale, mean, var)


def _backward(epsilon: float, saved: _Saved, gradients: _Three) -> _Three:
    x, scale, mean, var = saved
    gradient, of_mean, of_var = gradients
    axes = tuple(range(x.ndim - 1))
    x32, gradient = x.astype(jnp.float32), gradient.astype(jnp.float32)
    of_bias = gradient.sum(axes)
    inverse = jax.lax.rsqrt(var + epsilon)
    of_scale = ((gradient * x32).sum(axes) - mean * of_bias) * inverse
    count = x.size // x.shape[-1]
    factor = scale * inverse
    by_place = (2 * of_var - factor * of_scale * inverse) / count  # times x - mean
    of_x = factor * gradient + (x32 * by_place - (mean * by_place + (factor * of_bias - of_mean) / count))
    return of_x.astype(x.dtype), of_scale, of_bias


batch_normalise_on_cpu.defvjp(_forward, _backward)
