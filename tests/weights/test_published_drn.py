"""drn_d_22 as github.com/fyu/drn publishes it, written by hand: its names, its shapes, and its forward pass."""

import jax
import numpy as np
import pytest
from reference_models import images, quick_jit
from reference_torch import write

from gun_jax import DRN, load_drn_weights

# Convolution, its batch norm, and (channels out, channels in, size of the kernel).
CONVOLUTIONS = """
layer0.0 layer0.1 16 3 7
layer1.0 layer1.1 16 16 3
layer2.0 layer2.1 32 16 3
layer3.0.conv1 layer3.0.bn1 64 32 3
layer3.0.conv2 layer3.0.bn2 64 64 3
layer3.0.downsample.0 layer3.0.downsample.1 64 32 1
layer3.1.conv1 layer3.1.bn1 64 64 3
layer3.1.conv2 layer3.1.bn2 64 64 3
layer4.0.conv1 layer4.0.bn1 128 64 3
layer4.0.conv2 layer4.0.bn2 128 128 3
layer4.0.downsample.0 layer4.0.downsample.1 128 64 1
layer4.1.conv1 layer4.1.bn1 128 128 3
layer4.1.conv2 layer4.1.bn2 128 128 3
layer5.0.conv1 layer5.0.bn1 256 128 3
layer5.0.conv2 layer5.0.bn2 256 256 3
layer5.0.downsample.0 layer5.0.downsample.1 256 128 1
layer5.1.conv1 layer5.1.bn1 256 256 3
layer5.1.conv2 layer5.1.bn2 256 256 3
layer6.0.conv1 layer6.0.bn1 512 256 3
layer6.0.conv2 layer6.0.bn2 512 512 3
layer6.0.downsample.0 layer6.0.downsample.1 512 256 1
layer6.1.conv1 layer6.1.bn1 512 512 3
layer6.1.conv2 layer6.1.bn2 512 512 3
layer7.0 layer7.1 512 512 3
layer8.0 layer8.1 512 512 3
"""


@pytest.fixture(scope="module")
def arrays():
    """Random numbers under the published names, in PyTorch's order of axes."""
    rng, found = np.random.default_rng(3), {}
    for convolution, norm, *shape in map(str.split, CONVOLUTIONS.strip().splitlines()):
        out, into, size = map(int, shape)
        found[f"{convolution}.weight"] = rng.normal(0, (2 / (into * size**2)) ** 0.5, (out, into, size, size))
        found[f"{norm}.weight"], found[f"{norm}.running_var"] = rng.uniform(0.5, 1.5, (2, out))
        found[f"{norm}.bias"], found[f"{norm}.running_mean"] = rng.uniform(-0.3, 0.3, (2, out))
        found[f"{norm}.num_batches_tracked"] = np.array(7)
    found["fc.weight"], found["fc.bias"] = rng.normal(0, 0.05, (1000, 512, 1, 1)), rng.normal(0, 0.05, 1000)
    return {name: array if array.dtype == int else array.astype(np.float32) for name, array in found.items()}


@pytest.fixture(scope="module")
def loaded(arrays, tmp_path_factory):
    return load_drn_weights(write(tmp_path_factory.mktemp("weights") / "drn_d_22.pth", arrays))


def forward(x, arrays):
    """Class scores (B, 1000) of images (B, 3, H, W) in float64: `DRN.forward` of the published drn.py, arch "D"."""
    arrays = {name: array.astype(np.float64) for name, array in arrays.items()}

    def convolved(x, weight, stride=1, dilation=1):
        size = weight.shape[-1]
        pad = size // 2 * dilation
        height, width = (-(-side // stride) for side in x.shape[2:])
        x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        out = 0
        for i, j in np.ndindex(size, size):
            rows, columns = (dilation * k + stride * np.arange(n) for k, n in ((i, height), (j, width)))
            out = out + np.einsum("oc,bchw->bohw", weight[:, :, i, j], x[:, :, rows][:, :, :, columns])
        return out

    def conv_norm(x, conv, norm, stride=1, dilation=1):
        mean, var, scale, bias = (
            arrays[f"{norm}.{entry}"][:, None, None] for entry in ("running_mean", "running_var", "weight", "bias")
        )
        return (convolved(x, arrays[f"{conv}.weight"], stride, dilation) - mean) / np.sqrt(var + 1e-5) * scale + bias

    def relu(x):
        return np.maximum(x, 0)

    for level, stride in ((0, 1), (1, 1), (2, 2)):
        x = relu(conv_norm(x, f"layer{level}.0", f"layer{level}.1", stride))
    for level, stride, dilation in ((3, 2, 1), (4, 2, 1), (5, 1, 2), (6, 1, 4)):
        for block in (f"layer{level}.0", f"layer{level}.1"):
            first = block.endswith(".0")
            skip = conv_norm(x, f"{block}.downsample.0", f"{block}.downsample.1", stride) if first else x
            y = relu(conv_norm(x, f"{block}.conv1", f"{block}.bn1", stride if first else 1, dilation))
            x = relu(conv_norm(y, f"{block}.conv2", f"{block}.bn2", 1, dilation) + skip)
    for level, dilation in ((7, 2), (8, 1)):
        x = relu(conv_norm(x, f"layer{level}.0", f"layer{level}.1", 1, dilation))
    return convolved(x.mean((2, 3), keepdims=True), arrays["fc.weight"])[:, :, 0, 0] + arrays["fc.bias"]


def test_every_published_number_is_used_once(arrays, loaded):
    sizes = [array.size for name, array in arrays.items() if not name.endswith("num_batches_tracked")]
    assert sum(leaf.size for leaf in jax.tree.leaves(loaded)) == sum(sizes)
    assert sum(leaf.size for leaf in jax.tree.leaves(loaded["params"])) == 16_393_752  # the published count


def test_class_scores_are_those_of_the_published_forward_pass(arrays, loaded):
    x = images(2, 41, 34)  # neither side a multiple of 8
    expected = forward(x.transpose(0, 3, 1, 2).astype(np.float64), arrays)
    ours = quick_jit(DRN("d22").apply)(loaded, x)
    np.testing.assert_allclose(ours, expected, atol=1e-4 * np.abs(expected).max())
