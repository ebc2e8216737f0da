"""The loss of the paper: softmax cross-entropy of the labelled pixels."""

import jax
import jax.numpy as jnp

from gun_jax.ops.dispatch import Op


def cross_entropy(logits: jax.Array, labels: jax.Array, ignore_label: int = 255) -> jax.Array:
    """Mean softmax cross-entropy of the labelled pixels.

    Args:
      logits: float32 (B, H, W, C).
      labels: integer (B, H, W), train ids.
      ignore_label: pixels of this label do not count.

    Returns:
      float32 (), 0 if no pixel is labelled.
    """
    counted = labels != ignore_label
    return jnp.sum(pixel_losses(logits, labels), where=counted) / jnp.maximum(counted.sum(), 1)


@Op
def pixel_losses(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """-log softmax at the label of each pixel, (B, H, W). Labels that are no class have no meaningful loss."""
    return jax.nn.logsumexp(logits, -1) - jnp.sum(logits, -1, where=is_label(labels, logits.shape[-1]))


def is_label(labels: jax.Array, classes: int) -> jax.Array:
    """Whether a class is the label of a pixel: (B, H, W, classes)."""
    return labels[..., None].astype(jnp.int32) == jnp.arange(classes)
