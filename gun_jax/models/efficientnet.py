"""EfficientNet-Lite 0, 1 and 2 (Tan and Le, ICML 2019; Lite: Tan, 2020): encoders with published ImageNet weights.

An EfficientNet without squeeze-and-excite and with ReLU6 in place of swish. Its inverted residual blocks are those of
MobileNetV2. Padding is TensorFlow's "SAME", and batch norm's epsilon is 1e-3, as in the published weights.
"""

import dataclasses
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gun_jax.errors import InputError, check_choice, check_count
from gun_jax.models.drn import BatchNorm, he_fan_out
from gun_jax.ops.convolution import conv, depthwise_conv, same_padding
from gun_jax.ops.normalisation import MEAN, STD

EPSILON = 1e-3  # of batch norm


@dataclasses.dataclass(frozen=True)
class Scaling:
    """Factors on the channels and on the number of blocks of EfficientNet-B0."""

    width: float
    depth: float


VARIANTS = {
    "efficientnet_lite0": Scaling(1.0, 1.0),
    "efficientnet_lite1": Scaling(1.0, 1.1),
    "efficientnet_lite2": Scaling(1.1, 1.2),
}


@dataclasses.dataclass(frozen=True)
class Stage:
    """A sequence of inverted residual blocks; the first one has the stride, the others 1."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STEM, HEAD = 32, 1280  # channels, the same in all variants
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
TAPS = {2: 0, 4: 1, 8: 2, 16: 4, 32: 6}  # the last stage at each stride


def stages(variant: str) -> list[Stage]:
    """The seven stages of a variant. Those at both ends keep their number of blocks."""
    scaling = VARIANTS[variant]
    last = len(STAGES) - 1
    return [
        dataclasses.replace(
            stage,
            channels=_rounded(stage.channels * scaling.width),
            blocks=stage.blocks if index in (0, last) else math.ceil(stage.blocks * scaling.depth),
        )
        for index, stage in enumerate(STAGES)
    ]


def _rounded(channels: float) -> int:
    """The nearest multiple of 8 that is at least 0.9 times the number."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


def _norm(name: str) -> BatchNorm:
    return BatchNorm(epsilon=EPSILON, name=name)


class Pointwise(nn.Module):
    """A 1x1 convolution and batch norm: (B, H, W, Cin) to (B, H, W, channels)."""

    channels: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        x = conv(self.channels, 1, use_bias=False, kernel_init=he_fan_out, dtype=self.dtype, name="conv")(x)
        return _norm("norm")(x, train)


class Depthwise(nn.Module):
    """A convolution of each channel by itself, batch norm and ReLU6: (B, H, W, C) to (B, H/stride, W/stride, C)."""

    kernel: int
    stride: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        # One input channel each: He's fan-out is the size of the kernel.
        init = nn.initializers.normal(math.sqrt(2) / self.kernel)
        layer = depthwise_conv(
            x.shape[-1], self.kernel, stride=self.stride, kernel_init=init, dtype=self.dtype, name="conv"
        )
        return nn.relu6(_norm("norm")(layer(x), train))


class Stem(nn.Module):
    """A 3x3 convolution of stride 2, batch norm and ReLU6: (B, H, W, 3) to (B, H/2, W/2, 32)."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        rows, columns = (same_padding(side, 3, 2) for side in x.shape[1:3])
        x = jnp.pad(x, ((0, 0), rows, columns, (0, 0)))
        options: dict[str, Any] = {"use_bias": False, "kernel_init": he_fan_out, "dtype": self.dtype, "name": "conv"}
        x = conv(STEM, 3, stride=2, padding=0, **options)(x)
        return nn.relu6(_norm("norm")(x, train))


class InvertedResidual(nn.Module):
    """A 1x1 convolution to more channels, a depthwise one, a 1x1 one to fewer; the skip is added where shapes agree."""

    channels: int
    kernel: int
    stride: int
    expansion: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        y = x
        if self.expansion > 1:
            y = nn.relu6(Pointwise(x.shape[-1] * self.expansion, self.dtype, name="expand")(y, train))
        y = Depthwise(self.kernel, self.stride, self.dtype, name="depthwise")(y, train)
        y = Pointwise(self.channels, self.dtype, name="project")(y, train)
        return x + y if y.shape == x.shape and self.stride == 1 else y


class EfficientNetLite(nn.Module):
    """An EfficientNet-Lite.

    Attributes:
      variant: "efficientnet_lite0", "efficientnet_lite1" or "efficientnet_lite2".
      num_classes: size of the ImageNet head (a 1x1 convolution, average pooling, classifier); None for the features.
      dtype: of the convolutions and activations; parameters and statistics are float32.
    """

    variant: str = "efficientnet_lite0"
    num_classes: int | None = 1000
    dtype: Any = jnp.float32

    def setup(self) -> None:
        check_choice("EfficientNetLite", "variant", self.variant, VARIANTS)
        self.stem = Stem(self.dtype)
        self.stages = [
            [
                InvertedResidual(
                    stage.channels, stage.kernel, stage.stride if number == 0 else 1, stage.expansion, self.dtype,
                    name=f"stage{index}_block{number}",
                )
                for number in range(stage.blocks)
            ]
            for index, stage in enumerate(stages(self.variant), 1)
        ]  # fmt: skip
        if self.num_classes is not None:
            check_count("EfficientNetLite", "num_classes", self.num_classes)
            self.head = Pointwise(HEAD, self.dtype)
            self.fc = nn.Dense(self.num_classes, dtype=self.dtype)

    def features(self, images: jax.Array, train: bool = False) -> dict[int, jax.Array]:
        """The maps at strides 2, 4, 8, 16 and 32 (sides rounded up) of normalised images (B, H, W, 3).

        Lite0 and Lite1 have 16, 24, 40, 112 and 320 channels there, Lite2 16, 24, 48, 120 and 352.

        Raises:
          InputError: images of another layout.
        """
        if images.ndim != 4 or images.shape[-1] != 3 or 0 in images.shape:
            raise InputError(f"EfficientNetLite: images of shape {images.shape}; expected (B, H, W, 3)")
        x = self.stem(_as_published(images).astype(self.dtype), train)
        outputs = []
        for stage in self.stages:
            for block in stage:
                x = block(x, train)
            outputs.append(x)
        return {stride: outputs[tap] for stride, tap in TAPS.items()}

    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Class scores (B, num_classes) of normalised images (B, H, W, 3); the coarsest map with `num_classes=None`.

        Raises:
          InputError: images of another layout, or attributes that no EfficientNet-Lite has.
        """
        x = self.features(images, train)[max(TAPS)]
        if self.num_classes is None:
            return x
        x = nn.relu6(self.head(x, train))
        return self.fc(x.mean((1, 2)))  # (B, num_classes)


def _as_published(images: jax.Array) -> jax.Array:
    """Images of `gun_jax.normalise` as the published weights expect them: (RGB of 0 to 255, less 127) / 128."""
    mean, deviation = (255 * jnp.asarray(channels, jnp.float32) for channels in (MEAN, STD))
    return images * (deviation / 128) + (mean - 127) / 128
