"""The network: drn, encoder, fusion, guidance, gum, gun; folding and counting. Each imports only those to its left."""

import gun_jax.kernels  # noqa: F401  registers the forms of the operations for CPUs
from gun_jax.models.drn import DRN
from gun_jax.models.gum import GuidedUpsampling
from gun_jax.models.gun import GUN

__all__ = ["DRN", "GUN", "GuidedUpsampling"]
