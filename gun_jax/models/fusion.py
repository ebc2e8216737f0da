"""Fusion modules (section 3, Table 2, Figure 2): merge a coarse signal with a finer one."""

import dataclasses
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from gun_jax.errors import check_choice
from gun_jax.models.drn import ConvBatchNorm
from gun_jax.ops.resizing import resize


@dataclasses.dataclass(frozen=True)
class Merge:
    """How two signals merge, and whether a 3x3 convolution reduces the result."""

    concat: bool
    postprocess: bool


FUSIONS = {
    "base_sum": Merge(concat=False, postprocess=False),
    "base_concat": Merge(concat=True, postprocess=False),
    "postproc_sum": Merge(concat=False, postprocess=True),
    "postproc_concat": Merge(concat=True, postprocess=True),
}


class Fusion(nn.Module):
    """Merges a low-resolution signal into a finer one.

    Attributes:
      name_in_paper: one of `FUSIONS`.
      reduced_channels: output channels of the postprocessing step.
      dtype: of the convolutions and activations.
    """

    name_in_paper: str = "postproc_sum"
    reduced_channels: int = 128
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, fine: jax.Array, low: jax.Array, train: bool = False) -> jax.Array:
        """Fuses `fine` (B, H, W, F) and `low` (B, h, w, C).

        Returns:
          (B, H, W, C) for `base_sum`, 2C channels for `base_concat`, `reduced_channels` for `postproc_*`.
        """
        check_choice("Fusion", "fusion", self.name_in_paper, FUSIONS)
        merge = FUSIONS[self.name_in_paper]
        expand = ConvBatchNorm(low.shape[-1], kernel=1, relu=False, dtype=self.dtype, name="expand")
        merged = merge_signals(expand(fine, train), low, merge.concat)
        if merge.postprocess:
            merged = ConvBatchNorm(self.reduced_channels, dtype=self.dtype, name="postprocess")(merged, train)
        return merged


def merge_signals(fine: jax.Array, low: jax.Array, concat: bool = False) -> jax.Array:
    """Figure 2: resizes `low` (B, h, w, C) to `fine` (B, H, W, C), then sum or concatenation, and ReLU."""
    low = resize(low, fine.shape[1:3])
    chex.assert_equal_shape([fine, low])
    return nn.relu(jnp.concatenate([fine, low], axis=-1) if concat else fine + low)
