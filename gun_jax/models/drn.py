"""Dilated Residual Networks (Yu, Koltun, Funkhouser, CVPR 2017): D-22, D-38, D-54 and C-26, output stride 8.

Nine levels, 0 to 8. Every convolution is without bias and padded by `kernel // 2 * dilation` on both sides, as in the
published PyTorch weights, so that these load exactly.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gun_jax.errors import InputError, check_choice, check_count
from gun_jax.ops.convolution import conv
from gun_jax.ops.norm import batch_normalise

# He initialisation, fan-out, as the published DRN and residual networks were trained with.
he_fan_out = nn.initializers.variance_scaling(2.0, "fan_out", "normal")

LEVELS = 9
CHANNELS = (16, 16, 32, 64, 128, 256, 512, 512, 512)
STRIDES = (1, 1, 2, 2, 2, 1, 1, 1, 1)
DILATIONS = (1, 1, 1, 1, 1, 2, 4, 2, 1)


@dataclasses.dataclass(frozen=True)
class Variant:
    """The layers of a DRN.

    Attributes:
      blocks: blocks (or plain convolutions) at each of the nine levels.
      bottleneck: residual levels 3 to 6 use bottleneck blocks, with 4 times the channels on their output.
      plain: levels 1, 2, 7, 8 are plain convolutions (type D); else basic blocks, residual at 1, 2 (type C).
    """

    blocks: tuple[int, ...]
    bottleneck: bool = False
    plain: bool = True


VARIANTS = {
    "d22": Variant((1, 1, 1, 2, 2, 2, 2, 1, 1)),
    "d38": Variant((1, 1, 1, 3, 4, 6, 3, 1, 1)),
    "d54": Variant((1, 1, 1, 3, 4, 6, 3, 1, 1), bottleneck=True),
    "c26": Variant((1, 1, 1, 2, 2, 2, 2, 1, 1), plain=False),
}


class BatchNorm(nn.Module):
    """Batch normalisation over all but the last axis; eps 1e-5, statistics and arithmetic in float32.

    Unlike `nn.BatchNorm` it can keep several sets of running statistics (one for each branch, by name) with one scale
    and bias. Its running variance is the unbiased one, as in PyTorch, from which the published weights come.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array, train: bool, statistics: str = "") -> jax.Array:
        """Normalises x (..., C) with the set of running statistics named `statistics`; by default there is only ""."""
        channels = x.shape[-1]
        suffix = f"_{statistics}" if statistics else ""
        if self.has_variable("params", f"shift{suffix}"):  # from `fold_batch_norm`
            if train:
                raise InputError(
                    "BatchNorm: batch norm is folded into these variables; train with those before folding"
                )
            shift: jax.Array = self.get_variable("params", f"shift{suffix}")
            return (x * self.get_variable("params", f"factor{suffix}", 1.0) + shift).astype(x.dtype)
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        running_mean = self.variable("batch_stats", f"mean{suffix}", jnp.zeros, (channels,))
        running_var = self.variable("batch_stats", f"var{suffix}", jnp.ones, (channels,))
        if train:
            y, mean, var = batch_normalise(x, scale, bias, self.epsilon)
            if not self.is_initializing():
                count = x.size // channels
                keep = self.momentum
                running_mean.value = keep * running_mean.value + (1 - keep) * mean
                running_var.value = keep * running_var.value + (1 - keep) * var * count / max(count - 1, 1)
            return y
        factor = scale * jax.lax.rsqrt(running_var.value + self.epsilon)
        return (x * factor + (bias - running_mean.value * factor)).astype(x.dtype)


class ConvBatchNorm(nn.Module):
    """A convolution without bias, batch norm, and (by default) ReLU: (B, H, W, Cin) to (B, H/stride, W/stride, C).

    Here and in the blocks, `train` says whether batch norm uses the statistics of the batch, and `statistics` names the
    set of running ones (see `BatchNorm`).
    """

    channels: int
    kernel: int = 3
    stride: int = 1
    dilation: int = 1
    relu: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool, statistics: str = "") -> jax.Array:
        x = conv(
            self.channels,
            self.kernel,
            stride=self.stride,
            dilation=self.dilation,
            use_bias=False,
            kernel_init=he_fan_out,
            dtype=self.dtype,
            name="conv",
        )(x)
        x = BatchNorm(name="norm")(x, train, statistics)
        return nn.relu(x) if self.relu else x


class BasicBlock(nn.Module):
    """Two 3x3 convolutions; the skip is added before the second ReLU."""

    channels: int
    stride: int = 1
    dilations: tuple[int, int] = (1, 1)
    residual: bool = True
    dtype: Any = jnp.float32
    expansion = 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool, statistics: str = "") -> jax.Array:
        first, second = self.dilations
        y = ConvBatchNorm(self.channels, 3, self.stride, first, dtype=self.dtype, name="conv1")(x, train, statistics)
        y = ConvBatchNorm(self.channels, 3, 1, second, relu=False, dtype=self.dtype, name="conv2")(y, train, statistics)
        return nn.relu(y + _skip(self, x, train, statistics)) if self.residual else nn.relu(y)


class Bottleneck(nn.Module):
    """1x1 convolution, 3x3, and 1x1 to four times the channels; the skip is added before the last ReLU."""

    channels: int
    stride: int = 1
    dilations: tuple[int, int] = (1, 1)
    residual: bool = True
    dtype: Any = jnp.float32
    expansion = 4

    @nn.compact
    def __call__(self, x: jax.Array, train: bool, statistics: str = "") -> jax.Array:
        c, d = self.channels, self.dtype
        y = ConvBatchNorm(c, 1, dtype=d, name="conv1")(x, train, statistics)
        y = ConvBatchNorm(c, 3, self.stride, self.dilations[1], dtype=d, name="conv2")(y, train, statistics)
        y = ConvBatchNorm(c * self.expansion, 1, relu=False, dtype=d, name="conv3")(y, train, statistics)
        return nn.relu(y + _skip(self, x, train, statistics)) if self.residual else nn.relu(y)


def _skip(block: Any, x: jax.Array, train: bool, statistics: str) -> jax.Array:
    """The block's input, matched by a 1x1 convolution where stride or channels differ."""
    channels = block.channels * block.expansion
    if block.stride == 1 and x.shape[-1] == channels:
        return x
    match = ConvBatchNorm(channels, 1, block.stride, relu=False, dtype=block.dtype, name="downsample")
    return match(x, train, statistics)


class Level(nn.Module):
    """One of the nine levels: a sequence of blocks or convolutions, each under its published number."""

    layers: Sequence[nn.Module]

    def __call__(self, x: jax.Array, train: bool, statistics: str = "") -> jax.Array:
        for layer in self.layers:
            x = layer(x, train, statistics)
        return x


class DRN(nn.Module):
    """A dilated residual network.

    Attributes:
      variant: "d22", "d38", "d54" or "c26".
      num_classes: size of the ImageNet head (average pooling, 1x1 classifier); None for the features alone.
      width: factor on all channels, at least 1 channel each.
      dtype: of the convolutions and activations; parameters and statistics are float32.
    """

    variant: str = "d22"
    num_classes: int | None = 1000
    width: float = 1.0
    dtype: Any = jnp.float32

    def setup(self) -> None:
        check_choice("DRN", "variant", self.variant, VARIANTS)
        self.levels = [self._level(index) for index in range(LEVELS)]
        if self.num_classes is not None:
            check_count("DRN", "num_classes", self.num_classes)
            self.fc = conv(self.num_classes, 1, use_bias=True, kernel_init=he_fan_out, dtype=self.dtype)

    def _level(self, index: int) -> Level:
        variant = VARIANTS[self.variant]
        channels, stride, dilation = scaled(CHANNELS[index], self.width), STRIDES[index], DILATIONS[index]
        residual_levels = 3 <= index <= 6
        layers: list[nn.Module] = []
        for number in range(variant.blocks[index]):
            stride_here = stride if number == 0 else 1
            if index == 0 or (variant.plain and not residual_levels):
                kernel = 7 if index == 0 else 3
                layers.append(ConvBatchNorm(channels, kernel, stride_here, dilation, dtype=self.dtype))
            else:
                block = Bottleneck if variant.bottleneck and residual_levels else BasicBlock
                layers.append(block(channels, stride_here, (dilation, dilation), index < 7, dtype=self.dtype))
        return Level(layers)

    def features(
        self, x: jax.Array, train: bool = False, last_level: int = LEVELS - 1, statistics: str = ""
    ) -> list[jax.Array]:
        """Runs levels 0 to `last_level` on images (B, H, W, 3) and returns the output of each.

        Level k is (B, H/s, W/s, C) with s = 1, 1, 2, 4, 8, 8, 8, 8, 8 (rounded up). `statistics` names the set of
        batch-norm running statistics to use.

        Raises:
          InputError: images of another layout.
        """
        if x.ndim != 4 or x.shape[-1] != 3 or 0 in x.shape:
            raise InputError(f"DRN: images of shape {x.shape}; expected (B, H, W, 3)")
        outputs = []
        for level in self.levels[: last_level + 1]:
            x = level(x, train, statistics)
            outputs.append(x)
        return outputs

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Class scores (B, num_classes) of images (B, H, W, 3), or with `num_classes=None` the last level's output.

        Raises:
          InputError: images of another layout, or attributes that no DRN has.
        """
        x = self.features(x, train)[-1]
        if self.num_classes is None:
            return x
        return self.fc(x.mean((1, 2), keepdims=True))[:, 0, 0]  # (B, num_classes)


def scaled(channels: int, width: float) -> int:
    """Channels at a width factor: rounded, at least 1."""
    if not width > 0:
        raise InputError(f"width {width!r}; expected a factor on all channels, more than 0")
    return max(1, round(channels * width))
