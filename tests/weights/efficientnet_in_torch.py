"""EfficientNet-Lite as a PyTorch module under the published names: a peer for ours, written from the paper's table."""

import torch
from torch import nn
from torch.nn import functional

# Repeats, kernel, stride, expansion, channels of Lite0's stages.
TABLE = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
         (1, 3, 1, 6, 320))  # fmt: skip


def norm(channels):
    return nn.BatchNorm2d(channels, eps=1e-3)


class Same(nn.Conv2d):
    """A convolution with TensorFlow's padding."""

    def forward(self, x):
        frame = []
        for axis in (3, 2):
            size, stride, kernel = x.shape[axis], self.stride[0], self.kernel_size[0]
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            frame += [total // 2, total - total // 2]
        return super().forward(functional.pad(x, frame))


class Block(nn.Module):
    def __init__(self, into, out, kernel, stride, expansion):
        super().__init__()
        inner, self.skips = into * expansion, stride == 1 and into == out
        if expansion > 1:
            self._expand_conv, self._bn0 = Same(into, inner, 1, bias=False), norm(inner)
        self._depthwise_conv = Same(inner, inner, kernel, stride, groups=inner, bias=False)
        self._bn1 = norm(inner)
        self._project_conv, self._bn2 = Same(inner, out, 1, bias=False), norm(out)

    def forward(self, x):
        y = functional.relu6(self._bn0(self._expand_conv(x))) if hasattr(self, "_expand_conv") else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.skips else y


class TorchLite0(nn.Module):
    """Images (B, 3, H, W) of (RGB - 127) / 128 to class scores; `maps` keeps the output of each stage."""

    def __init__(self, classes):
        super().__init__()
        self._conv_stem, self._bn0 = Same(3, 32, 3, 2, bias=False), norm(32)
        blocks, self.ends, into = [], [], 32
        for repeats, kernel, stride, expansion, out in TABLE:
            for number in range(repeats):
                blocks.append(Block(into, out, kernel, stride if number == 0 else 1, expansion))
                into = out
            self.ends.append(len(blocks) - 1)
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = Same(320, 1280, 1, bias=False), norm(1280)
        self._fc = nn.Linear(1280, classes)

    def forward(self, x):
        x, self.maps = functional.relu6(self._bn0(self._conv_stem(x))), []
        for number, block in enumerate(self._blocks):
            x = block(x)
            if number in self.ends:
                self.maps.append(x)
        x = functional.relu6(self._bn1(self._conv_head(x)))
        return self._fc(x.mean((2, 3)))


def random_lite0(classes=1000, seed=0):
    """A network with random weights and statistics."""
    torch.manual_seed(seed)
    network = TorchLite0(classes).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.8, 1.6)
            nn.init.uniform_(module.bias, -0.5, 1.0)
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network
