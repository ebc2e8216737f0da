"""The Guided Upsampling Module and the Guided Upsampling Network (Figures 1 and 3)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gun_jax.errors import InputError, check_choice, check_count, check_size
from gun_jax.models.drn import scaled
from gun_jax.models.encoder import ENCODERS, Encoder, branch_size
from gun_jax.models.fusion import FUSIONS, Fusion
from gun_jax.models.guidance import GUIDANCES, check_signals
from gun_jax.ops.convolution import conv
from gun_jax.ops.resizing import resize
from gun_jax.ops.sampling import METHODS, Method, Padding, guided_argmax, guided_upsample


class GuidedUpsampling(nn.Module):
    """The Guided Upsampling Module: a guidance module and the sampler, for any encoder-decoder (docs/plug_in.md).

    Attributes:
      guidance: what predicts the offsets, and from which features: "large_rf" (the deep ones), "high_res" (the early
        ones) or "fusion" (both; Table 4).
      method: "bilinear" (equation 4) or "nearest" (equation 2).
      straight_through: with "nearest", lends the offsets the gradient of "bilinear"; without it they cannot learn.
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
        self.guide = GUIDANCES[self.guidance](width=self.width, dtype=self.dtype)

    def offsets(
        self,
        fused: jax.Array | None = None,
        high_resolution: jax.Array | None = None,
        output_size: tuple[int, int] | None = None,
        train: bool = False,
    ) -> jax.Array:
        """The Guidance Offset Table, float32 (B, H, W, 2), at `output_size` (H, W); arguments as in a call."""
        check_signals(self.guidance, {"fused": fused, "high_resolution": high_resolution})
        size: tuple[int, ...]
        if output_size is not None:
            size = output_size
        elif high_resolution is not None:
            size = high_resolution.shape[1:3]
        else:
            raise InputError("GuidedUpsampling: no output_size; without high_resolution it has no default")
        check_size("GuidedUpsampling", "output_size", size)
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
        """The argmax of what `sample` makes of logits, int32 (B, H, W), computed more cheaply."""
        return guided_argmax(low, offsets, method=self.method, align_corners=self.align_corners, padding=self.padding)

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
          low: (B, h, w, C) map to upsample, as a rule logits.
          fused: (B, h', w', D) deep features: what the map was computed from. "high_res" does not read them.
          high_resolution: (B, H', W', E) early features of the same image. "large_rf" does not read them.
          output_size: (H, W) of the result; by default that of `high_resolution`.
          train: whether batch norm uses the statistics of this batch.

        Returns:
          (B, H, W, C), of the dtype of `low`.

        Raises:
          InputError: attributes that are not as above, a missing map, or shapes that do not fit each other.
        """
        return self.sample(low, self.offsets(fused, high_resolution, output_size, train))


class GUN(nn.Module):
    """Guided Upsampling Network.

    Attributes:
      num_classes: number of classes.
      encoder: Table 1: "baseline", "enc4", "enc24", "enc24shared", "enc124" or "enc124shared".
      fusion: Table 2: "base_sum", "base_concat", "postproc_sum" or "postproc_concat".
      guidance: Table 4: "large_rf", "high_res", "fusion", or None for bilinear upsampling (the paper's baseline).
      method: of the sampler, "bilinear" or "nearest".
      input_subsampling: by how much the images handed in are subsampled already; a branch of factor s sees them
        resized by `input_subsampling / s`.
      width: factor on all channels.
      dtype: of convolutions and activations, float32 or bfloat16; parameters, statistics, offsets and logits are
        float32.
      variant: of the DRN.
      branch_norm: "shared" or "separate" running statistics of the branches that share parameters.
    """

    num_classes: int
    encoder: str = "enc24shared"
    fusion: str = "postproc_sum"
    guidance: str | None = "fusion"
    method: Method = "bilinear"
    input_subsampling: int = 1
    width: float = 1.0
    dtype: Any = jnp.float32
    variant: str = "d22"
    branch_norm: str = "shared"

    def setup(self) -> None:
        check_choice("GUN", "encoder", self.encoder, ENCODERS)
        check_choice("GUN", "fusion", self.fusion, FUSIONS)  # which an encoder of one branch has no use for
        check_choice("GUN", "method", self.method, METHODS)  # nor plain bilinear upsampling for this
        check_count("GUN", "num_classes", self.num_classes)
        common = {"width": self.width, "dtype": self.dtype}
        self.encode = Encoder(self.encoder, self.variant, self.branch_norm, self.input_subsampling, **common)
        branches = len(ENCODERS[self.encoder].factors)
        self.fusions = [
            Fusion(self.fusion, scaled(128, self.width), dtype=self.dtype, name=f"fusion{step}")
            for step in range(1, branches)
        ]
        # Small normal weights: He's fan-out over a handful of classes would start from logits of several units.
        self.classify = conv(
            self.num_classes,
            1,
            use_bias=True,
            kernel_init=nn.initializers.normal(0.01),
            dtype=jnp.float32,  # a bfloat16 cannot tell close logits apart
            name="classifier",
        )
        if self.guidance is not None:
            self.gum = GuidedUpsampling(self.guidance, self.method, **common)

    def __call__(self, images: jax.Array, train: bool = False, output_size: tuple[int, int] | None = None) -> jax.Array:
        """Logits of images.

        Args:
          images: (B, H, W, 3) normalised images, floating (see `gun_jax.normalise`).
          train: whether batch norm uses and updates the statistics of this batch (`mutable=["batch_stats"]`).
          output_size: (H', W') of the result; by default the size that the finest branch sees.

        Returns:
          float32 (B, H', W', num_classes).

        Raises:
          InputError: a `ValueError`, for attributes, images or an output size that are not as above, or a branch that
            would have to enlarge the images.
        """
        low, offsets, output_size = self.logits_and_offsets(images, train, output_size)
        if offsets is None:
            return resize(low, output_size)
        return self.gum.sample(low, offsets)

    def predict(self, images: jax.Array, output_size: tuple[int, int] | None = None) -> jax.Array:
        """Labels int32 (B, H', W') of images (B, H, W, 3): the argmax of the logits, computed more cheaply."""
        low, offsets, output_size = self.logits_and_offsets(images, False, output_size)
        if offsets is None:
            return resize(low, output_size).argmax(-1).astype(jnp.int32)
        return self.gum.label(low, offsets)

    def predict_with_offsets(
        self, images: jax.Array, output_size: tuple[int, int] | None = None
    ) -> dict[str, jax.Array]:
        """What the upsampling does: labels, offsets, and the labels that plain bilinear upsampling would give.

        Returns:
          "labels" and "bilinear_labels", int32 (B, H', W'), from the same low-resolution logits, and "offsets",
          float32 (B, H', W', 2) in pixels of those logits (zero for `guidance=None`).
        """
        low, offsets, output_size = self.logits_and_offsets(images, False, output_size)
        bilinear = resize(low, output_size).argmax(-1).astype(jnp.int32)
        if offsets is None:
            return {"labels": bilinear, "bilinear_labels": bilinear, "offsets": jnp.zeros((*bilinear.shape, 2))}
        return {"labels": self.gum.label(low, offsets), "bilinear_labels": bilinear, "offsets": offsets}

    def logits_and_offsets(
        self, images: jax.Array, train: bool = False, output_size: tuple[int, int] | None = None
    ) -> tuple[jax.Array, jax.Array | None, tuple[int, int]]:
        """What GUM is given: logits float32 (B, h, w, num_classes), the table of offsets or None, and the output size.

        Arguments and errors are those of a call.
        """
        if images.ndim != 4 or images.shape[-1] != 3 or 0 in images.shape:
            raise InputError(f"GUN: images of shape {images.shape}; expected (B, H, W, 3)")
        if not jnp.issubdtype(images.dtype, jnp.floating):
            raise InputError(f"GUN: images of {images.dtype}; expected normalised ones: gun_jax.normalise(images)")
        if output_size is not None:
            check_size("GUN", "output_size", output_size)
        signals, high_resolution = self.encode(images, train)
        fused = signals[-1]
        for step, fine in enumerate(reversed(signals[:-1])):  # coarse to fine
            fused = self.fusions[step](fine, fused, train)
        low = self.classify(fused)  # (B, h, w, num_classes)
        if output_size is None:
            finest = ENCODERS[self.encoder].factors[0]
            output_size = branch_size(images.shape[1:3], finest, self.input_subsampling)
        if self.guidance is None:
            return low, None, output_size
        return low, self.gum.offsets(fused, high_resolution, output_size, train), output_size
