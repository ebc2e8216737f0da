"""The Guided Upsampling Module (Figure 3): a guidance module and the sampler."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gun_jax.errors import InputError, check_choice, check_size
from gun_jax.models.guidance import GUIDANCES, check_signals
from gun_jax.ops.resizing import resize
from gun_jax.ops.sampling import METHODS, PADDINGS, Method, Padding, guided_argmax, guided_upsample


class GuidedUpsampling(nn.Module):
    """The Guided Upsampling Module: a guidance module and the sampler, for any encoder-decoder (docs/plug_in.md).

    Attributes:
      guidance: what predicts the offsets, and from which features: "large_rf" (the deep ones), "high_res" (the early
        ones) or "fusion" (both; Table 4).
      method: "bilinear" (equation 4) or "nearest" (equation 2).
      straight_through: with "nearest", gives the offsets the gradient of "bilinear"; without it they cannot learn.
      align_corners, padding: as in `gun_jax.guided_upsample`.
      width: factor on the channels of the guidance module.
      dtype: of its convolutions.
    """

    guidance: str = "fusion"
    method: Method = "bilinear"
    straight_through: bool = True
    align_corners: bool = False
    padding: Padding = "border"
    width: float = 1.0
    dtype: Any = jnp.float32

    def setup(self) -> None:
        check_choice("GuidedUpsampling", "guidance", self.guidance, GUIDANCES)
        check_choice("GuidedUpsampling", "method", self.method, METHODS)
        check_choice("GuidedUpsampling", "padding", self.padding, PADDINGS)
        self.guide = GUIDANCES[self.guidance](width=self.width, dtype=self.dtype)

    def __call__(
        self,
        low: jax.Array,
        fused: jax.Array | None = None,
        high_resolution: jax.Array | None = None,
        output_size: tuple[int, int] | None = None,
        train: bool = False,
    ) -> jax.Array:
        """Upsamples a map, guided by deep and by early features.

        Args:
          low: (B, h, w, C) map to upsample, e.g. logits.
          fused: (B, h', w', D) deep features, from which the map was computed. "high_res" does not read them.
          high_resolution: (B, H', W', E) early features of the same image. "large_rf" does not read them.
          output_size: (H, W) of the result; by default that of `high_resolution`.
          train: whether batch norm uses the statistics of this batch.

        Returns:
          (B, H, W, C), of the dtype of `low`.

        Raises:
          InputError: attributes that are not as above, a missing map, or shapes that do not fit each other.
        """
        return self.sample(low, self.offsets(fused, high_resolution, output_size, train))

    def offsets(
        self,
        fused: jax.Array | None = None,
        high_resolution: jax.Array | None = None,
        output_size: tuple[int, int] | None = None,
        train: bool = False,
    ) -> jax.Array:
        """The Guidance Offset Table, float32 (B, H, W, 2), at `output_size` (H, W); arguments as in a call."""
        check_signals(self.guidance, {"fused": fused, "high_resolution": high_resolution})
        size = _size(output_size, high_resolution)
        return resize(self.guide(fused, high_resolution, train), size)

    def sample(self, low: jax.Array, offsets: jax.Array) -> jax.Array:
        """Upsamples `low` (B, h, w, C) by a table (B, H, W, 2) to (B, H, W, C)."""
        return guided_upsample(
            low,
            offsets,
            method=self.method,
            align_corners=self.align_corners,
            padding=self.padding,
            straight_through=self.straight_through,
        )

    def label(self, low: jax.Array, offsets: jax.Array) -> jax.Array:
        """The argmax of `sample` for logits, int32 (B, H, W), computed more cheaply."""
        return guided_argmax(low, offsets, method=self.method, align_corners=self.align_corners, padding=self.padding)


def _size(output_size: tuple[int, int] | None, high_resolution: jax.Array | None) -> tuple[int, ...]:
    """Height and width of the output."""
    if output_size is not None:
        size: tuple[int, ...] = output_size
    elif high_resolution is not None:
        size = high_resolution.shape[1:3]
    else:
        raise InputError("GuidedUpsampling: no output_size; expected (height, width), or high_resolution for its size")
    check_size("GuidedUpsampling", "output_size", size)
    return size
