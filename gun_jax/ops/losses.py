"""The loss of the paper: softmax cross-entropy of the labelled pixels."""

import jax
import jax.numpy as jnp

from gun_jax.ops.dispatch import Op


def cross_entropy(
    logits: jax.Array, labels: jax.Array, ignore_label: int = 255, class_weights: jax.Array | None = None
) -> jax.Array:
    """Mean softmax cross-entropy of the labelled pixels.

    Args:
      logits: float32 (B, H, W, C).
      labels: integer (B, H, W), train ids.
      ignore_label: pixels of this label do not count.
      class_weights: float32 (C,), the weight of a pixel by its label; the mean is the weighted one, as in PyTorch.

    Returns:
      float32 (), 0 if no pixel is labelled.
    """
    counted = labels != ignore_label
    losses = pixel_losses(logits, labels)
    if class_weights is None:
        return jnp.sum(losses, where=counted) / jnp.maximum(counted.sum(), 1)
    weights = jnp.where(is_label(labels, logits.shape[-1]), class_weights, 0).sum(-1)  # (B, H, W)
    total = jnp.sum(weights, where=counted)
    return jnp.sum(weights * losses, where=counted) / jnp.where(total > 0, total, 1)


@Op
def pixel_losses(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """-log softmax at the label of each pixel, (B, H, W). Labels that are no class have no meaningful loss."""
    return jax.nn.logsumexp(logits, -1) - jnp.sum(logits, -1, where=is_label(labels, logits.shape[-1]))


def is_label(labels: jax.Array, classes: int) -> jax.Array:
    """Whether a class is the label of a pixel: (B, H, W, classes)."""
    return labels[..., None].astype(jnp.int32) == jnp.arange(classes)
