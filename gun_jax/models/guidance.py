"""Guidance modules (section 4, Table 4, Figure 3): predict the Guidance Offset Table.

The table has 2 channels, (x, y) = (p, q) of equation 3, in pixels of the map to be upsampled. The last convolution of
each module starts at zero: an untrained GUM is the plain upsampling that it replaces.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gun_jax.errors import InputError
from gun_jax.models.drn import ConvBatchNorm, scaled
from gun_jax.models.fusion import merge_signals
from gun_jax.ops.convolution import conv
from gun_jax.ops.resizing import resize


def _offsets(use_bias: bool = True) -> nn.Conv:
    # float32 whatever the dtype of the rest: in bfloat16, offsets of 100 pixels are multiples of a half.
    return conv(2, 1, use_bias=use_bias, kernel_init=nn.initializers.zeros, dtype=jnp.float32, name="offsets")


class LargeRF(nn.Module):
    """`large-rf`: upsamples the fusion output three times by 2, halving the channels each time."""

    width: float = 1.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, fused: jax.Array, high_resolution: jax.Array | None, train: bool = False) -> jax.Array:
        """Offsets (B, 8h, 8w, 2) from the fusion output (B, h, w, C); `high_resolution` is not used."""
        x = fused
        for step in range(1, 4):
            x = resize(x, (2 * x.shape[1], 2 * x.shape[2]))
            x = ConvBatchNorm(max(1, fused.shape[-1] >> step), dtype=self.dtype, name=f"up{step}")(x, train)
        return _offsets()(x)


class HighRes(nn.Module):
    """`high-res`: one 1x1 convolution on an early, high-resolution map; 64 parameters at full width."""

    width: float = 1.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, fused: jax.Array | None, high_resolution: jax.Array, train: bool = False) -> jax.Array:
        """Offsets (B, H, W, 2) from the finest branch's level 2 (B, H, W, 32); `fused` is not used."""
        return _offsets(use_bias=False)(high_resolution)


class FusionGuidance(nn.Module):
    """`fusion`: a `base_sum` fusion of both signals (Table 2) at 32 channels, then a 1x1 convolution."""

    width: float = 1.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, fused: jax.Array, high_resolution: jax.Array, train: bool = False) -> jax.Array:
        """Offsets (B, H, W, 2) from the fusion output (B, h, w, C) and level 2 of the finest branch (B, H, W, 32)."""
        channels = scaled(32, self.width)

        def reduce(name: str, x: jax.Array) -> jax.Array:
            return ConvBatchNorm(channels, kernel=1, relu=False, dtype=self.dtype, name=name)(x, train)

        # `fused` is reduced before it is resized, at a fraction of the pixels. The sum is the same, except for the
        # statistics of a batch.
        fine, low = reduce("expand_high", high_resolution), reduce("expand_low", fused)
        return _offsets()(merge_signals(fine, low))


GUIDANCES = {"large_rf": LargeRF, "high_res": HighRes, "fusion": FusionGuidance}
# The signals that each one reads.
READS = {"large_rf": ("fused",), "high_res": ("high_resolution",), "fusion": ("fused", "high_resolution")}


def check_signals(guidance: str, signals: dict[str, jax.Array | None]) -> None:
    """Raises an InputError unless the signals that a guidance module reads are maps of the same number of images."""
    read = {}
    for name in READS[guidance]:
        signal = signals[name]
        if signal is None or signal.ndim != 4:
            found = "missing" if signal is None else f"of shape {signal.shape}"
            raise InputError(
                f"GuidedUpsampling: {name} is {found}; guidance {guidance!r} reads it: expected (B, height, width, C)"
            )
        read[name] = signal
    if len({signal.shape[0] for signal in read.values()}) > 1:
        shapes = " and ".join(f"{name} {signal.shape}" for name, signal in read.items())
        raise InputError(f"GuidedUpsampling: {shapes}; expected maps of the same number of images")
