"""Guided Upsampling Network (BMVC 2018) in JAX and Flax."""

from gun_jax.metrics.confusion import ConfusionMatrix
from gun_jax.metrics.trimap import trimap_curve
from gun_jax.models import DRN, GUN, GuidedUpsampling
from gun_jax.models.folding import fold_batch_norm
from gun_jax.ops.dispatch import plain_ops
from gun_jax.ops.normalisation import normalise
from gun_jax.ops.sampling import guided_upsample
from gun_jax.runs.loading import load_pretrained, load_run
from gun_jax.version import __version__
from gun_jax.weights.drn import load_drn_weights

__all__ = [
    "DRN",
    "GUN",
    "ConfusionMatrix",
    "GuidedUpsampling",
    "__version__",
    "fold_batch_norm",
    "guided_upsample",
    "load_drn_weights",
    "load_pretrained",
    "load_run",
    "normalise",
    "plain_ops",
    "trimap_curve",
]
