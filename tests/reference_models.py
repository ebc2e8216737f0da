"""What the tests of the models compare with: the layers in NumPy's float64, the published DRN tables, and variables."""

import functools
import math
import zlib

import jax
import numpy as np


def known(name, value):
    """Whether this XLA has the option: they come and go."""
    try:
        jax.jit(lambda: 0, compiler_options={name: value})()
    except jax.errors.JaxRuntimeError:
        return False
    return True


# Tiny networks run in milliseconds however they are compiled; the compiler's optimisations are what would take time.
OPTIONS = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
OPTIONS = {name: value for name, value in OPTIONS.items() if known(name, value)}
quick_jit = functools.partial(jax.jit, compiler_options=OPTIONS)

# The DRNs as published: kind and number of the layers of each level, then channels, strides and dilations of all four.
LAYERS = {
    "d22": "7x7*1 3x3*1 3x3*1 basic*2 basic*2 basic*2 basic*2 3x3*1 3x3*1",
    "d38": "7x7*1 3x3*1 3x3*1 basic*3 basic*4 basic*6 basic*3 3x3*1 3x3*1",
    "d54": "7x7*1 3x3*1 3x3*1 bottleneck*3 bottleneck*4 bottleneck*6 bottleneck*3 3x3*1 3x3*1",
    "c26": "7x7*1 basic*1 basic*1 basic*2 basic*2 basic*2 basic*2 no_skip*1 no_skip*1",
}
CHANNELS = (16, 16, 32, 64, 128, 256, 512, 512, 512)
STRIDES = (1, 1, 2, 2, 2, 1, 1, 1, 1)
DILATIONS = (1, 1, 1, 1, 1, 2, 4, 2, 1)


def layers(variant):
    """The rows of a DRN's table: (level, number in the level, kind, channels, stride, dilation)."""
    for level, entry in enumerate(LAYERS[variant].split()):
        kind, times = entry.split("*")
        for number in range(int(times)):
            yield level, number, kind, CHANNELS[level], 1 if number else STRIDES[level], DILATIONS[level]


def drn_parameters(variant="d22", levels=9, width=1.0):
    """Parameters of a DRN's levels by the table: kernels, and two numbers a channel for the norm behind each."""
    total, channels = 0, 3
    for level, _, kind, planes, _, _ in layers(variant):
        if level == levels:
            break
        c, i = max(1, round(planes * width)), channels
        if kind == "bottleneck":
            kernels, channels = [(1, i, c), (3, c, c), (1, c, 4 * c)], 4 * c
        elif kind in ("basic", "no_skip"):
            kernels, channels = [(3, i, c), (3, c, c)], c
        else:
            kernels, channels = [(int(kind[0]), i, c)], c
        if kind in ("basic", "bottleneck") and i != channels:
            kernels.append((1, i, channels))
        total += sum(k * k * into * out + 2 * out for k, into, out in kernels)
    return total


def size_of(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def shapes_of(model, *inputs, **options):
    """The variables of an untrained model as shapes; `inputs` may be shapes too."""
    inputs = [jax.ShapeDtypeStruct(x, np.float32) if isinstance(x, tuple) else x for x in inputs]
    return jax.eval_shape(functools.partial(model.init, **options), jax.random.key(0), *inputs)


def filled(model, *inputs, seed=0, **options):
    """Variables with random numbers in all places, those that start as zeros and ones included.

    What stands under the same path gets the same numbers in every model.
    """

    def draw(path, leaf):
        rng = np.random.default_rng([seed, zlib.crc32(jax.tree_util.keystr(path).encode())])
        name = path[-1].key.split("_")[0]
        if name == "kernel":
            return rng.normal(0, np.sqrt(2 / math.prod(leaf.shape[:-1])), leaf.shape).astype(np.float32)
        spread = {"scale": (0.5, 1.5), "var": (0.5, 1.5), "bias": (-0.3, 0.3), "mean": (-0.3, 0.3)}[name]
        return rng.uniform(*spread, leaf.shape).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, shapes_of(model, *inputs, **options))


def images(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=(*shape, 3)).astype(np.float32)


def convolved(x, kernel, stride=1, dilation=1):
    """A convolution as in PyTorch: for each tap, what it reads of the padded map times its weights."""
    size, batch = kernel.shape[0], x.shape[0]
    pad = size // 2 * dilation
    x = np.pad(np.asarray(x, np.float64), ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    height, width = ((side - (size - 1) * dilation - 1) // stride + 1 for side in x.shape[1:3])
    out = np.zeros((batch, height, width, kernel.shape[-1]))
    for i, j in np.ndindex(size, size):
        rows = i * dilation + stride * np.arange(height)
        columns = j * dilation + stride * np.arange(width)
        out += x[:, rows][:, :, columns] @ np.asarray(kernel[i, j], np.float64)
    return out


def taps_by_loops(x, back, size, stride, padding, dilation):
    """The gradient of a kernel: at each tap and place, the pixel read there times the output's gradient there."""
    out = np.zeros((size, size, x.shape[-1], back.shape[-1]))
    for i, j in np.ndindex(size, size):
        for row, column in np.ndindex(back.shape[1:3]):
            y, z = row * stride + i * dilation - padding, column * stride + j * dilation - padding
            if 0 <= y < x.shape[1] and 0 <= z < x.shape[2]:  # a place outside reads zero
                out[i, j] += x[:, y, z].T @ back[:, row, column]
    return out


def conv_norm(x, variables, path, stride=1, dilation=1, statistics=""):
    """Convolution and batch norm with running statistics, (x - mean) / sqrt(var + 1e-5) * scale + bias."""
    params, stats = variables["params"], variables["batch_stats"]
    for name in path.split("/"):
        params, stats = params[name], stats[name]
    mean, var = stats["norm"][f"mean{statistics}"], stats["norm"][f"var{statistics}"]
    y = convolved(x, params["conv"]["kernel"], stride, dilation)
    return (y - mean) / np.sqrt(np.float64(var) + 1e-5) * params["norm"]["scale"] + params["norm"]["bias"]


def relu(x):
    return np.maximum(x, 0)


def block(x, variables, path, kind, stride, dilation, statistics=""):
    """A residual block: its convolutions, the skip (matched by a 1x1 convolution if there is one), and ReLU."""
    run = functools.partial(conv_norm, variables=variables, statistics=statistics)
    if kind == "bottleneck":
        y = relu(run(x, path=f"{path}/conv1"))
        y = relu(run(y, path=f"{path}/conv2", stride=stride, dilation=dilation))
        y = run(y, path=f"{path}/conv3")
    else:
        y = relu(run(x, path=f"{path}/conv1", stride=stride, dilation=dilation))
        y = run(y, path=f"{path}/conv2", dilation=dilation)
    if kind == "no_skip":
        return relu(y)
    if y.shape != x.shape:
        x = run(x, path=f"{path}/downsample", stride=stride)
    return relu(y + x)


def drn_levels(x, variables, variant="d22", prefix="", statistics="", levels=9):
    """The outputs of the first levels of a DRN whose variables lie under `prefix`."""
    outputs = []
    for level, number, kind, _, stride, dilation in layers(variant):
        if level == levels:
            break
        path = f"{prefix}levels_{level}/layers_{number}"
        if kind[0].isdigit():
            x = relu(conv_norm(x, variables, path, stride, dilation, statistics))
        else:
            x = block(x, variables, path, kind, stride, dilation, statistics)
        outputs = [*outputs[:level], x]
    return outputs


def resized(x, size):
    """`jax.image.resize`, bilinear, to (height, width)."""
    return np.asarray(jax.image.resize(np.asarray(x, np.float32), (x.shape[0], *size, x.shape[3]), "linear"))
