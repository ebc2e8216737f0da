"""The DRN family as a PyTorch module under the published names, and files of its random weights: a peer for ours.

Written from the layer table (reference_models.LAYERS) and the naming of the published files: a type-D network numbers
convolution, batch norm and ReLU of a plain level; type C calls its first convolution `conv1` and its norm `bn1`.
"""

import torch
from reference_models import layers
from torch import nn


def convolution(into, out, kernel, stride=1, dilation=1):
    return nn.Conv2d(into, out, kernel, stride, kernel // 2 * dilation, dilation, bias=False)


class Block(nn.Module):
    """A residual block: convolutions with their norms, each but the last with ReLU; the skip; ReLU."""

    def __init__(self, into, planes, kind, stride, dilation):
        super().__init__()
        out = 4 * planes if kind == "bottleneck" else planes
        if kind == "bottleneck":
            rows = [(into, planes, 1), (planes, planes, 3, stride, dilation), (planes, out, 1)]
        else:
            rows = [(into, planes, 3, stride, dilation), (planes, planes, 3, 1, dilation)]
        for number, row in enumerate(rows, 1):
            self.add_module(f"conv{number}", convolution(*row))
            self.add_module(f"bn{number}", nn.BatchNorm2d(row[1]))
        self.pairs = range(1, len(rows) + 1)
        self.skips, self.out = kind != "no_skip", out
        if self.skips and (stride > 1 or into != out):
            self.downsample = nn.Sequential(convolution(into, out, 1, stride), nn.BatchNorm2d(out))

    def forward(self, x):
        y = x
        for number in self.pairs:
            y = self.get_submodule(f"bn{number}")(self.get_submodule(f"conv{number}")(y))
            if number < self.pairs[-1]:
                y = torch.relu(y)
        if self.skips:
            y = y + (self.downsample(x) if hasattr(self, "downsample") else x)
        return torch.relu(y)


class TorchDRN(nn.Module):
    """A DRN by its layer table."""

    def __init__(self, variant, num_classes=1000):
        super().__init__()
        self.variant = variant
        channels, levels = 3, {}
        for level, _, kind, planes, stride, dilation in layers(variant):
            if kind[0].isdigit():
                conv = convolution(channels, planes, int(kind[0]), stride, dilation)
                parts, channels = [conv, nn.BatchNorm2d(planes), nn.ReLU()], planes
            else:
                parts = [Block(channels, planes, kind, stride, dilation)]
                channels = parts[0].out
            levels.setdefault(level, []).extend(parts)
        self.type_c = variant.startswith("c")
        for level, parts in levels.items():
            if level == 0 and self.type_c:
                self.conv1, self.bn1 = parts[:2]
            else:
                self.add_module(f"layer{level}", nn.Sequential(*parts))
        self.fc = nn.Conv2d(channels, num_classes, 1)

    def forward(self, x):
        """Images (B, 3, H, W) to the outputs of the nine levels and the class scores."""
        outputs = []
        for level in range(9):
            if level == 0 and self.type_c:
                x = torch.relu(self.bn1(self.conv1(x)))
            else:
                x = self.get_submodule(f"layer{level}")(x)
            outputs.append(x)
        return outputs, self.fc(x.mean((2, 3), keepdim=True))[:, :, 0, 0]


def random_drn(variant, num_classes=1000, seed=0):
    """One with random numbers in all places, running statistics included."""
    torch.manual_seed(seed)
    drn = TorchDRN(variant, num_classes)
    with torch.no_grad():
        for name, numbers in [*drn.named_parameters(), *drn.named_buffers()]:
            if numbers.ndim == 4:
                numbers.normal_(0, (2 / numbers[0].numel()) ** 0.5)
            elif numbers.is_floating_point():
                numbers.uniform_(*((0.5, 1.5) if name.endswith(("weight", "running_var")) else (-0.3, 0.3)))
    return drn
