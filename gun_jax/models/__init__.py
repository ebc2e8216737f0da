"""The network: convolution, resizing, drn, encoder, fusion, guidance, gun; each imports only those to its left."""

from gun_jax.models.drn import DRN
from gun_jax.models.gun import GUN, GuidedUpsampling

__all__ = ["DRN", "GUN", "GuidedUpsampling"]
