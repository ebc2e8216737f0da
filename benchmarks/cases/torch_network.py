"""The final network in PyTorch, a peer for speed and values; it needs the `parity` extra.

Modules have the names of the Flax ones, so that `state_of` needs no table. Maps are (B, C, H, W). DRN-D-22 is repeated
here: importing ours would load JAX into PyTorch's process.
"""

import collections
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

_CHANNELS = 16, 16, 32, 64, 128, 256, 512, 512, 512  # of levels 0 to 8
_LAYERS = 1, 1, 1, 2, 2, 2, 2, 1, 1
_STRIDES = 1, 1, 2, 2, 2, 1, 1, 1, 1
_DILATIONS = 1, 1, 1, 1, 1, 2, 4, 2, 1
_LAST_LEVEL, _FINE_LEVEL, _HIGH_RESOLUTION_LEVEL = 8, 4, 2

_NAMES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


class ConvNorm(nn.Module):
    """Convolution, batch norm, and ReLU by default."""

    def __init__(self, into: int, out: int, kernel: int = 3, stride: int = 1, dilation: int = 1, relu: bool = True):
        super().__init__()
        self.conv = nn.Conv2d(into, out, kernel, stride, kernel // 2 * dilation, dilation, bias=False)
        self.norm = nn.BatchNorm2d(out)
        self.relu = relu

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.conv(x))
        return functional.relu(x, inplace=True) if self.relu else x


class Block(nn.Module):
    """The basic residual block."""

    def __init__(self, into: int, out: int, stride: int, dilation: int):
        super().__init__()
        self.conv1 = ConvNorm(into, out, 3, stride, dilation)
        self.conv2 = ConvNorm(out, out, 3, 1, dilation, relu=False)
        if into != out or stride != 1:
            self.downsample = ConvNorm(into, out, 1, stride, relu=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skip = self.downsample(x) if hasattr(self, "downsample") else x
        return functional.relu(self.conv2(self.conv1(x)) + skip)


def _levels() -> nn.ModuleDict:
    """DRN-D-22 without its head."""
    levels, into = {}, 3
    for index, out in enumerate(_CHANNELS):
        layers: list[tuple[str, nn.Module]] = []
        for number in range(_LAYERS[index]):
            stride = 1 if number else _STRIDES[index]
            if 3 <= index <= 6:
                layer: nn.Module = Block(into, out, stride, _DILATIONS[index])
            else:
                layer = ConvNorm(into, out, 3 if index else 7, stride, _DILATIONS[index])
            layers.append((f"layers_{number}", layer))
            into = out
        levels[f"levels_{index}"] = nn.Sequential(collections.OrderedDict(layers))
    return nn.ModuleDict(levels)


class TorchGUN(nn.Module):
    """`gun_jax.GUN(classes, input_subsampling=2)`: normalised images (B, 3, H, W) to logits of their size.

    Args:
      classes: number of classes.
      guided: False for bilinear upsampling, the paper's baseline.
      antialias: whether the low branch's image is antialiased, like ours; PyTorch's compiler and OpenVINO are faster
        without it.
      labels: whether to return the argmax of the logits, (B, H, W), instead of the logits.
    """

    def __init__(self, classes: int = 19, guided: bool = True, antialias: bool = False, labels: bool = False):
        super().__init__()
        self.guided, self.antialias, self.labels = guided, antialias, labels
        self.encode = nn.ModuleDict({"drn": _levels()})
        expand, postprocess = ConvNorm(128, 512, 1, relu=False), ConvNorm(512, 128)
        self.fusion1 = nn.ModuleDict({"expand": expand, "postprocess": postprocess})
        self.classifier = nn.Conv2d(128, classes, 1)
        if guided:
            guide = {
                name: ConvNorm(into, 32, 1, relu=False) for name, into in (("expand_low", 128), ("expand_high", 32))
            }
            self.gum = nn.ModuleDict({"guide": nn.ModuleDict(guide | {"offsets": nn.Conv2d(32, 2, 1)})})

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        size = images.shape[2:]
        half = functional.interpolate(images, scale_factor=0.5, mode="bilinear", antialias=self.antialias)
        low = self._features(half, _LAST_LEVEL)[-1]
        levels = self._features(images, _FINE_LEVEL)
        medium, high_resolution = levels[-1], levels[_HIGH_RESOLUTION_LEVEL]
        merged = functional.relu(self.fusion1["expand"](medium) + _resized(low, medium.shape[2:]))
        fused = self.fusion1["postprocess"](merged)
        logits = self.classifier(fused)
        out = self._guided(logits, fused, high_resolution, size) if self.guided else _resized(logits, size)
        return out.argmax(1) if self.labels else out

    def _features(self, x: torch.Tensor, last: int) -> list[torch.Tensor]:
        outputs = []
        for index in range(last + 1):
            x = self.encode["drn"][f"levels_{index}"](x)
            outputs.append(x)
        return outputs

    def _guided(self, logits: torch.Tensor, fused: torch.Tensor, high: torch.Tensor, size: Any) -> torch.Tensor:
        guide = self.gum["guide"]
        seen = functional.relu(guide["expand_high"](high) + _resized(guide["expand_low"](fused), high.shape[2:]))
        offsets = _resized(guide["offsets"](seen), size)  # pixels of the logits
        # grid_sample counts from -1 to 1 across the map.
        places = [(torch.arange(side) * 2 + 1) / side - 1 for side in size]
        grid = torch.stack(torch.meshgrid(*places, indexing="ij")[::-1], -1)
        scale = torch.tensor([2 / logits.shape[3], 2 / logits.shape[2]])
        grid = grid + offsets.permute(0, 2, 3, 1) * scale
        return functional.grid_sample(logits, grid, padding_mode="border", align_corners=False)


def _resized(x: torch.Tensor, size: Any) -> torch.Tensor:
    return functional.interpolate(x, size=size, mode="bilinear")


def state_of(variables: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Flax variables as a state for `TorchGUN.load_state_dict` (`strict=False`: batch counters are missing)."""
    state = {}
    for collection in ("params", "batch_stats"):
        for path, leaf in _leaves(variables[collection]):
            array = np.array(leaf)
            if path[-1] == "kernel":
                array = array.transpose(3, 2, 0, 1).copy()
            state[".".join((*path[:-1], _NAMES[path[-1]]))] = torch.from_numpy(array)
    return state


def _leaves(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(tree, Mapping):
        for name, child in tree.items():
            yield from _leaves(child, (*path, name))
    else:
        yield path, tree
