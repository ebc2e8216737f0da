"""Guided Upsampling Network (BMVC 2018) in JAX and Flax."""

from gun_jax.data.images import normalise
from gun_jax.runs.loading import load_run
from gun_jax.metrics.confusion import ConfusionMatrix
from gun_jax.metrics.trimap import trimap_curve
from gun_jax.models import DRN, GUN, GuidedUpsampling
from gun_jax.weights.drn import load_drn_weights
from gun_jax.models.folding import fold_batch_norm
from gun_jax.weights.pretrained import load_pretrained
from gun_jax.ops.sampling import guided_upsample

__version__ = "0.1.0"
__all__ = [
    "DRN",
    "GUN",
    "ConfusionMatrix",
    "GuidedUpsampling",
    "fold_batch_norm",
    "guided_upsample",
    "load_drn_weights",
    "load_pretrained",
    "load_run",
    "normalise",
    "trimap_curve",
]
