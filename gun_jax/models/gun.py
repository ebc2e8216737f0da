"""The Guided Upsampling Network (Figure 1)."""

from collections.abc import Callable
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from gun_jax.errors import InputError, check_choice, check_count, check_size
from gun_jax.models.decoder import Decoder, Refine
from gun_jax.models.drn import scaled
from gun_jax.models.efficientnet import VARIANTS as EFFICIENTNETS
from gun_jax.models.efficientnet import EfficientNetLite
from gun_jax.models.encoder import ENCODERS, Encoder, branch_size
from gun_jax.models.fusion import FUSIONS, Fusion
from gun_jax.models.gum import GuidedUpsampling
from gun_jax.ops.convolution import conv
from gun_jax.ops.resizing import resize
from gun_jax.ops.sampling import METHODS, PADDINGS, Method, Padding

Size = tuple[int, int]
LOGITS_STRIDES = (2, 4, 8, 16, 32)
_FUSED_STRIDE = 8  # of the fused signal in the image that the finest branch sees


class GUN(nn.Module):
    """Guided Upsampling Network.

    Attributes:
      num_classes: number of classes.
      encoder: Table 1: "baseline", "enc4", "enc24", "enc24shared", "enc124" or "enc124shared". Beside the paper:
        "efficientnet_lite0", "efficientnet_lite1" or "efficientnet_lite2", which see the images as they are.
      fusion: Table 2: "base_sum", "base_concat", "postproc_sum" or "postproc_concat". An EfficientNet has one branch,
        and a `Decoder` in place of the fusion module.
      guidance: Table 4: "large_rf", "high_res", "fusion", or None for bilinear upsampling (the paper's baseline).
      method: of the sampler, "bilinear" or "nearest".
      input_subsampling: the factor by which the images are subsampled already; a branch of factor s sees them resized
        by `input_subsampling / s`.
      width: factor on all channels.
      dtype: of convolutions and activations, float32 or bfloat16; parameters, statistics, offsets and logits are
        float32.
      variant: of the DRN.
      branch_norm: "shared" or "separate" running statistics of the branches that share parameters.
      align_corners, padding: of the sampler, as in `gun_jax.guided_upsample`.
      logits_stride: side of a logit in pixels of the image that the finest branch sees, 2, 4 or 8, and with an
        EfficientNet also 16 or 32; 0: 8. Below 8, steps of a `Decoder` follow the fusion.
      decoder_channels: channels of the decoder.
      auxiliary: whether a classifier of the coarsest signal exists, for the auxiliary loss of a training.
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
    align_corners: bool = False
    padding: Padding = "border"
    logits_stride: int = 0
    decoder_channels: int = 64
    auxiliary: bool = False

    def setup(self) -> None:
        self._check_attributes()
        common: dict[str, Any] = {"width": self.width, "dtype": self.dtype}
        if self.encoder in EFFICIENTNETS:
            self.encode: nn.Module = EfficientNetLite(self.encoder, num_classes=None, dtype=self.dtype)
            self.decode = Decoder(self.decoder_channels, self.dtype)
        else:
            self.encode = Encoder(self.encoder, self.variant, self.branch_norm, self.input_subsampling, **common)
            self.fusions = [
                Fusion(self.fusion, scaled(128, self.width), dtype=self.dtype, name=f"fusion{step}")
                for step in range(1, len(ENCODERS[self.encoder].factors))
            ]
        self.refinements = {
            stride: Refine(self.decoder_channels, self.dtype, name=f"refine_stride{stride}")
            for stride in (4, 2)
            if self.logits_stride and self.logits_stride <= stride
        }
        # Small normal weights: He's fan-out over a handful of classes would start from logits of several units.
        classifier: dict[str, Any] = {"use_bias": True, "kernel_init": nn.initializers.normal(0.01)}
        classifier["dtype"] = jnp.float32  # bfloat16 rounds close logits to the same number
        self.classify = conv(self.num_classes, 1, **classifier, name="classifier")
        if self.auxiliary:
            self.classify_coarse = conv(self.num_classes, 1, **classifier, name="auxiliary_classifier")
        if self.guidance is not None:
            self.gum = GuidedUpsampling(
                self.guidance, self.method, align_corners=self.align_corners, padding=self.padding, **common
            )

    def __call__(self, images: jax.Array, train: bool = False, output_size: Size | None = None) -> jax.Array:
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
        return self._forward(images, train, output_size, self.sample)

    def predict(self, images: jax.Array, output_size: Size | None = None) -> jax.Array:
        """Labels int32 (B, H', W') of images (B, H, W, 3): the argmax of the logits, computed more cheaply."""
        return self._forward(images, False, output_size, self.label)

    def predict_with_offsets(self, images: jax.Array, output_size: Size | None = None) -> dict[str, jax.Array]:
        """Labels, offsets, and the labels that bilinear upsampling would give.

        Returns:
          "labels" and "bilinear_labels", int32 (B, H', W'), from the same low-resolution logits, and "offsets",
          float32 (B, H', W', 2) in pixels of those logits (zero for `guidance=None`).
        """
        low, offsets, size = self.logits_and_offsets(images, False, output_size)
        bilinear = self.label(low, None, size)
        if offsets is None:
            return {"labels": bilinear, "bilinear_labels": bilinear, "offsets": jnp.zeros((*bilinear.shape, 2))}
        return {"labels": self.label(low, offsets, size), "bilinear_labels": bilinear, "offsets": offsets}

    def logits_and_offsets(
        self, images: jax.Array, train: bool = False, output_size: Size | None = None
    ) -> tuple[jax.Array, jax.Array | None, Size]:
        """Low-resolution logits float32 (B, h, w, num_classes), the offset table or None, and the output size.

        Arguments and errors are those of a call.
        """
        return self._forward(images, train, output_size, lambda *inputs: inputs)

    def training_logits(self, images: jax.Array, output_size: Size, separate: bool = False) -> dict[str, jax.Array]:
        """Logits for the losses of a training, each float32 (B, H', W', num_classes); `train` is True.

        Args:
          images, output_size: as in a call.
          separate: whether the guided logits have no gradient but for the guidance module.

        Returns:
          "guided", those of a call; "bilinear", by bilinear upsampling of the same low-resolution logits; "auxiliary",
          from the coarsest signal alone, if the network has that classifier.
        """
        size = self._checked_size(images, output_size)
        signals, early = self.see(images, True)
        fused = self.fuse(signals, early, True)
        low = self.classify(fused)
        of_guided = jax.lax.stop_gradient if separate else lambda array: array
        offsets = self.guide(of_guided(fused), of_guided(early[2]), size, True)
        logits = {"guided": self.sample(of_guided(low), offsets, size), "bilinear": self.sample(low, None, size)}
        if self.auxiliary:
            logits["auxiliary"] = resize(self.classify_coarse(signals[-1]), size)
        return logits

    def _forward(self, images: jax.Array, train: bool, output_size: Size | None, sample: Callable) -> Any:
        size = self._checked_size(images, output_size)
        signals, early = self.see(images, train)  # Table 1
        fused = self.fuse(signals, early, train)  # Table 2
        low = self.classify(fused)  # (B, h, w, num_classes)
        if self.auxiliary and self.is_initializing():
            self.classify_coarse(signals[-1])
        offsets = self.guide(fused, early[2], size, train)  # (B, H', W', 2), Table 4
        return sample(low, offsets, size)  # equations 1 to 4

    def see(self, images: jax.Array, train: bool) -> tuple[list[jax.Array], dict[int, jax.Array]]:
        """The encoder's signals (B, h, w, C), finest first, and its early maps by their strides, 2 and 4."""
        if self.encoder not in EFFICIENTNETS:
            signals, early = self.encode(images, train)
            return signals, early
        maps = self.encode.features(images, train)
        coarse = [stride for stride in maps if stride >= max(self.logits_stride, _FUSED_STRIDE)]
        return [maps[stride] for stride in coarse], maps

    def fuse(self, signals: list[jax.Array], early: dict[int, jax.Array], train: bool) -> jax.Array:
        """Fuses the signals, finest first, from coarse to fine, then early maps by stride: (B, h, w, C)."""
        if self.encoder in EFFICIENTNETS:
            fused = self.decode(signals, train)
        else:
            fused = signals[-1]
            for fusion, fine in zip(self.fusions, reversed(signals[:-1]), strict=True):
                fused = fusion(fine, fused, train)
        for stride, refine in self.refinements.items():
            fused = refine(early[stride], fused, train)
        return fused

    def guide(self, fused: jax.Array, high_resolution: jax.Array, size: Size, train: bool) -> jax.Array | None:
        """The offset table, float32 (B, H', W', 2), or None without guidance."""
        return None if self.guidance is None else self.gum.offsets(fused, high_resolution, size, train)

    def sample(self, low: jax.Array, offsets: jax.Array | None, size: Size) -> jax.Array:
        """Upsamples logits by an offset table, or without one bilinearly: float32 (B, H', W', num_classes)."""
        logits = resize(low, size) if offsets is None else self.gum.sample(low, offsets)
        chex.assert_type(logits, jnp.float32)
        return logits

    def label(self, low: jax.Array, offsets: jax.Array | None, size: Size) -> jax.Array:
        """The argmax of `sample`, int32 (B, H', W'), computed more cheaply."""
        labels = resize(low, size).argmax(-1).astype(jnp.int32) if offsets is None else self.gum.label(low, offsets)
        chex.assert_rank(labels, 3)
        return labels

    def _check_attributes(self) -> None:
        check_choice("GUN", "encoder", self.encoder, (*ENCODERS, *EFFICIENTNETS))
        self._check_strides()
        check_choice("GUN", "fusion", self.fusion, FUSIONS)
        check_choice("GUN", "method", self.method, METHODS)
        check_choice("GUN", "padding", self.padding, PADDINGS)
        check_count("GUN", "num_classes", self.num_classes)

    def _check_strides(self) -> None:
        strides = LOGITS_STRIDES if self.encoder in EFFICIENTNETS else LOGITS_STRIDES[:3]
        if self.logits_stride not in (0, *strides):
            raise InputError(
                f"GUN: logits_stride of {self.logits_stride!r}; expected 0 or one of {strides} with {self.encoder!r}"
            )
        check_count("GUN", "decoder_channels", self.decoder_channels)
        if self.encoder in EFFICIENTNETS and (self.width, self.input_subsampling) != (1, 1):
            raise InputError(
                f"GUN: width {self.width:g} and input_subsampling {self.input_subsampling} with {self.encoder!r}; "
                "expected 1 and 1: its channels are fixed, and it sees the images as they are"
            )

    def _checked_size(self, images: jax.Array, output_size: Size | None) -> Size:
        """Height and width of the output, or an InputError for images or a size that the network does not take."""
        if images.ndim != 4 or images.shape[-1] != 3 or 0 in images.shape:
            raise InputError(f"GUN: images of shape {images.shape}; expected (B, H, W, 3)")
        if not jnp.issubdtype(images.dtype, jnp.floating):
            raise InputError(f"GUN: images of {images.dtype}; expected normalised ones: gun_jax.normalise(images)")
        if output_size is None:
            finest = 1 if self.encoder in EFFICIENTNETS else ENCODERS[self.encoder].factors[0]
            return branch_size(images.shape[1:3], finest, self.input_subsampling)
        check_size("GUN", "output_size", output_size)
        return output_size
