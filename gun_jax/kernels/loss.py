"""Softmax cross-entropy with its gradient in closed form: nothing of the logits' size is kept beside them."""

import jax
import jax.numpy as jnp

from gun_jax.ops.losses import is_label, pixel_losses


@pixel_losses.on_cpu
@jax.custom_vjp
def pixel_losses_on_cpu(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """`gun_jax.ops.losses.pixel_losses`. Differentiable in reverse mode only."""
    return _forward(logits, labels)[0]


def _forward(logits: jax.Array, labels: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    chosen = jnp.sum(logits, -1, where=is_label(labels, logits.shape[-1]))
    total = jax.nn.logsumexp(logits, -1)
    losses = total - chosen
    # Saved by way of the losses: XLA would compute them at the end of the step, and keep the logits until then.
    total = jnp.where(jnp.isnan(losses), losses, total)
    return losses, (logits, labels, total)


def _backward(saved: tuple[jax.Array, ...], gradient: jax.Array) -> tuple[jax.Array, None]:
    logits, labels, total = saved
    probabilities = jnp.exp(logits - total[..., None])
    return gradient[..., None] * (probabilities - is_label(labels, logits.shape[-1])), None


pixel_losses_on_cpu.defvjp(_forward, _backward)
