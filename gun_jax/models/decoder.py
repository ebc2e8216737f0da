"""A light decoder for maps of several strides, as in SwiftNet (Orsic et al., CVPR 2019)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gun_jax.models.drn import ConvBatchNorm, he_fan_out
from gun_jax.ops.convolution import conv
from gun_jax.ops.resizing import resize


class Refine(nn.Module):
    """One step to a finer map: a 1x1 convolution of it, plus the resized coarse map, and a 3x3 convolution."""

    channels: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, fine: jax.Array, coarse: jax.Array, train: bool = False) -> jax.Array:
        """Merges `fine` (B, H, W, F) and `coarse` (B, h, w, C): (B, H, W, channels)."""
        lateral = ConvBatchNorm(coarse.shape[-1], 1, dtype=self.dtype, name="lateral")(fine, train)
        merged = lateral + resize(coarse, fine.shape[1:3])
        return ConvBatchNorm(self.channels, dtype=self.dtype, name="blend")(merged, train)


class Decoder(nn.Module):
    """From the maps of an encoder to one at the stride of the finest.

    Attributes:
      channels: of all maps inside and of the output.
      dtype: of the convolutions and activations.
    """

    channels: int = 64
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, signals: list[jax.Array], train: bool = False) -> jax.Array:
        """Merges `signals` (B, h, w, C), finest first, to a map of the size of the first: (B, H, W, channels)."""
        x = ConvBatchNorm(self.channels, 1, dtype=self.dtype, name="lateral")(signals[-1], train)
        # What the whole image shows, at the coarsest map. In float32: a mean of bfloat16 numbers rounds.
        whole = x.mean((1, 2), keepdims=True, dtype=jnp.float32).astype(x.dtype)  # (B, 1, 1, channels)
        context = conv(self.channels, 1, use_bias=True, kernel_init=he_fan_out, dtype=self.dtype, name="context")
        x = x + context(whole)
        for step, fine in enumerate(reversed(signals[:-1]), 1):
            x = Refine(self.channels, self.dtype, name=f"refine{step}")(fine, x, train)
        return x
