"""Softmax cross-entropy of the labelled pixels, the loss of the paper, and its usual variants."""

import jax
import jax.numpy as jnp

from gun_jax.ops.dispatch import Op


def cross_entropy(
    logits: jax.Array,
    labels: jax.Array,
    ignore_label: int = 255,
    class_weights: jax.Array | None = None,
    label_smoothing: float = 0.0,
    hard: tuple[float, float] | None = None,
) -> jax.Array:
    """Mean softmax cross-entropy of the labelled pixels.

    Args:
      logits: float32 (B, H, W, C).
      labels: integer (B, H, W), train ids.
      ignore_label: pixels of this label do not count.
      class_weights: float32 (C,), the weight of a pixel by its label; the mean is the weighted one, as in PyTorch.
      label_smoothing: e of Szegedy et al. (2016): the target is 1 - e at the label, and e / C more at each class.
      hard: (threshold, share), to count only hard pixels; see `hard_pixels`.

    Returns:
      float32 (), 0 if no pixel is labelled.
    """
    counted = labels != ignore_label
    losses = pixel_losses(logits, labels)
    if hard is not None:
        counted = hard_pixels(losses, counted, *hard)
    if class_weights is None and not label_smoothing:
        return jnp.sum(losses, where=counted) / jnp.maximum(counted.sum(), 1)
    classes = logits.shape[-1]
    per_class = jnp.ones(classes) if class_weights is None else class_weights
    weights = jnp.where(is_label(labels, classes), per_class, 0).sum(-1)  # (B, H, W)
    losses = weights * losses
    if label_smoothing:
        of_all = (jax.nn.logsumexp(logits, -1) * per_class.sum() - (logits * per_class).sum(-1)) / classes
        losses = (1 - label_smoothing) * losses + label_smoothing * of_all
    total = jnp.sum(weights, where=counted)
    return jnp.sum(losses, where=counted) / jnp.where(total > 0, total, 1)


def hard_pixels(losses: jax.Array, counted: jax.Array, threshold: float, share: float) -> jax.Array:
    """The pixels for online hard example mining (OHEM: Shrivastava et al., CVPR 2016): bool (B, H, W).

    Args:
      losses: float32 (B, H, W), -log of the probability of the label.
      counted: bool (B, H, W), the labelled pixels.
      threshold: pixels whose label has a smaller probability are hard.
      share: at least this share of the labelled pixels, 0 to 1, counts: those with the largest losses.
    """
    ordered = jnp.sort(jnp.where(counted, losses, -jnp.inf), axis=None)  # the pixels that do not count come first
    least = jnp.ceil(share * counted.sum()).astype(jnp.int32)
    smallest = ordered[jnp.clip(ordered.size - least, 0, ordered.size - 1)]  # of the losses of the share
    limit = jnp.minimum(-jnp.log(threshold), jnp.where(least > 0, smallest, jnp.inf))
    return counted & (losses >= jax.lax.stop_gradient(limit))


@Op
def pixel_losses(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """-log softmax at the label of each pixel, (B, H, W). Labels that are no class have no meaningful loss."""
    return jax.nn.logsumexp(logits, -1) - jnp.sum(logits, -1, where=is_label(labels, logits.shape[-1]))


def is_label(labels: jax.Array, classes: int) -> jax.Array:
    """Whether a class is the label of a pixel: (B, H, W, classes)."""
    return labels[..., None].astype(jnp.int32) == jnp.arange(classes)
