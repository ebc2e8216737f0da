"""Convolution with forms that suit the processor; its values are those of `jax.lax`'s.

On CPUs `convolve` and its gradients take, by the shapes alone, another form where that was faster as a rule
(docs/performance.md has the times). GPUs and TPUs keep the plain one. In a process of one CPU device oneDNN does the
work in float32 where it is installed (`make onednn`), beside Winograd's form for wide maps. `jax.export` refuses its
calls: GUN_ONEDNN=0 in the environment, when a program is traced, leaves it out. So do sizes that an export leaves open.
"""

import functools
import importlib
import importlib.util
import os
import types
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.export
import jax.numpy as jnp

from gun_jax.errors import InputError
from gun_jax.kernels import packed_conv as blocks
from gun_jax.kernels import winograd

_NHWC = ("NHWC", "HWIO", "NHWC")
# Narrower inputs make XLA's gradient of a strided input slow, and the products of a kernel gradient too thin; so do
# fewer outputs. A 1x1 kernel's gradient is one product, and fast at any width.
_MIN_CHANNELS_BY_TAPS, _MIN_OUTPUTS_BY_TAPS = 32, 128
# Narrower maps cost more to transform than the products that they save: those of XLA, and those of oneDNN.
_MIN_CHANNELS_WINOGRAD, _MIN_CHANNELS_WINOGRAD_ONEDNN = 64, 128
# By the size of the kernel: the most outputs of which XLA is slower than with blocks of them, and the blocks.
_BLOCKS = {3: (8, 2), 7: (16, 4)}


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def convolve(x: jax.Array, kernel: jax.Array, stride: int, padding: int, dilation: int) -> jax.Array:
    """Convolves (B, H, W, Cin) with a kernel (k, k, Cin, Cout), padded with zeros on both sides: (B, H', W', Cout).

    Differentiable in reverse mode only.
    """
    return _convolve(x, kernel, stride, padding, dilation)


def _convolve(x: jax.Array, kernel: jax.Array, stride: int, padding: int, dilation: int) -> jax.Array:
    onednn = _onednn(x, kernel)
    plain = functools.partial(plain_convolve, stride=stride, padding=padding, dilation=dilation)
    fast: Callable[[jax.Array, jax.Array], jax.Array]
    if _suits_winograd(x, kernel, stride, padding, dilation, onednn):
        multiply = onednn.multiply if onednn else winograd.multiply
        fast = functools.partial(winograd.convolve, dilation=dilation, multiply=multiply)
    elif onednn:
        fast = functools.partial(onednn.convolve, stride=stride, padding=padding, dilation=dilation)
    elif _is_pointwise(kernel, stride, padding):
        fast = pointwise
    elif _suits_blocks(x, kernel, dilation):
        fast = functools.partial(convolve_by_blocks, stride=stride, padding=padding)
    else:
        return plain(x, kernel)
    return jax.lax.platform_dependent(x, kernel, cpu=fast, default=plain)


def plain_convolve(x: jax.Array, kernel: jax.Array, stride: int, padding: int, dilation: int) -> jax.Array:
    """`convolve` as `jax.lax` does it, on every device."""
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), [(padding, padding)] * 2, rhs_dilation=(dilation, dilation),
        dimension_numbers=_NHWC,
    )  # fmt: skip


def pointwise(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A convolution with a kernel (1, 1, Cin, Cout) and stride 1 as the matrix product that it is."""
    return jnp.matmul(x, kernel[0, 0])


def _is_pointwise(kernel: jax.Array, stride: int, padding: int) -> bool:
    return (kernel.shape[0], stride, padding) == (1, 1, 0)


def _suits_blocks(x: jax.Array, kernel: jax.Array, dilation: int) -> bool:
    """Whether `blocks` does this convolution, and is faster."""
    most, _ = _BLOCKS.get(kernel.shape[0], (0, 0))
    known = not any(jax.export.is_symbolic_dim(side) for side in x.shape)
    return known and dilation == 1 and kernel.shape[-1] <= most


def convolve_by_blocks(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> jax.Array:
    """`convolve` to few channels, by `blocks` of a size that suits the kernel."""
    return blocks.convolve(x, kernel, stride, padding, _BLOCKS[kernel.shape[0]][1])


def _suits_winograd(
    x: jax.Array, kernel: jax.Array, stride: int, padding: int, dilation: int, onednn: types.ModuleType | None
) -> bool:
    """Whether `winograd` does this convolution, and is faster. Not in bfloat16, which its sums would not bear."""
    size, _, *channels = kernel.shape
    return (
        (size, stride, padding) == (winograd.KERNEL, 1, dilation)
        and min(channels) >= (_MIN_CHANNELS_WINOGRAD_ONEDNN if onednn else _MIN_CHANNELS_WINOGRAD)
        and x.dtype == kernel.dtype == jnp.float32
    )


def _onednn(*arrays: jax.Array) -> types.ModuleType | None:
    """oneDNN's convolutions, where they are installed and can take the arrays in this process."""
    suits = all(array.dtype == jnp.float32 for array in arrays)
    suits &= not any(jax.export.is_symbolic_dim(side) for array in arrays for side in array.shape)
    one_cpu = jax.default_backend() == "cpu" and jax.device_count() == 1
    return _installed_onednn() if suits and one_cpu and os.environ.get("GUN_ONEDNN") != "0" else None


@functools.cache
def _installed_onednn() -> types.ModuleType | None:
    if importlib.util.find_spec("gun_jax_onednn") is None:
        return None
    try:
        return importlib.import_module("gun_jax_onednn")
    except (AttributeError, ImportError, OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"gun_jax_onednn is installed but does not load ({error}); run `make -B onednn`, or set GUN_ONEDNN=0"
        ) from error


def _forward(
    x: jax.Array, kernel: jax.Array, stride: int, padding: int, dilation: int
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _convolve(x, kernel, stride, padding, dilation), (x, kernel)


def _backward(
    stride: int, padding: int, dilation: int, saved: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    geometry: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation}
    onednn: Any = _onednn(x, kernel)

    def plain(x: jax.Array, kernel: jax.Array, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.vjp(functools.partial(plain_convolve, **geometry), x, kernel)[1](gradient)

    def by_winograd(x: jax.Array, kernel: jax.Array, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
        options = {"dilation": dilation, "multiply": onednn.multiply if onednn else winograd.multiply}
        return (
            winograd.input_gradient(kernel, gradient, **options),
            winograd.kernel_gradient(x, gradient, **options),
        )

    def by_onednn(x: jax.Array, kernel: jax.Array, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
        return (
            onednn.input_gradient(kernel, gradient, x.shape, **geometry),
            onednn.kernel_gradient(x, gradient, kernel.shape, **geometry),
        )

    def by_taps(x: jax.Array, kernel: jax.Array, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
        of_x, of_kernel = plain(x, kernel, gradient)  # what is not used is not computed
        size = kernel.shape[0]
        wide = x.shape[-1] >= _MIN_CHANNELS_BY_TAPS
        if _is_pointwise(kernel, stride, padding):
            of_x = jnp.matmul(gradient, kernel[0, 0].T)
        elif stride > 1 and size > 1 and not wide:
            of_x = input_gradient_by_taps(kernel, gradient, x.shape, **geometry)
        if size == 1 or (wide and kernel.shape[-1] >= _MIN_OUTPUTS_BY_TAPS):
            of_kernel = kernel_gradient_by_taps(x, gradient, size, **geometry)
        return of_x, of_kernel

    def by_blocks(x: jax.Array, kernel: jax.Array, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.vjp(functools.partial(convolve_by_blocks, stride=stride, padding=padding), x, kernel)[1](gradient)

    if _suits_winograd(x, kernel, stride, padding, dilation, onednn):
        fast = by_winograd
    elif onednn:
        fast = by_onednn
    else:
        fast = by_blocks if _suits_blocks(x, kernel, dilation) else by_taps
    return jax.lax.platform_dependent(x, kernel, gradient, cpu=fast, default=plain)


convolve.defvjp(_forward, _backward)


def input_gradient_by_taps(
    kernel: jax.Array, gradient: jax.Array, shape: Sequence[int], stride: int, padding: int, dilation: int
) -> jax.Array:
    """The gradient of what was convolved: for each tap, what came back times the kernel there, laid where it read.

    With a stride, XLA's CPU form convolves a map most of which is zeros.

    Args:
      kernel: (k, k, Cin, Cout).
      gradient: (B, H', W', Cout), of the result.
      shape: (B, H, W, Cin), of what was convolved.
      stride, padding, dilation: of the convolution.
    """
    _, height, width, channels = shape
    size = kernel.shape[0]
    by_tap = kernel.reshape(-1, kernel.shape[-1]).T  # (Cout, k k Cin)
    read = jnp.matmul(gradient, by_tap).reshape(*gradient.shape[:3], size, size, channels)
    sums = jnp.zeros((), gradient.dtype)
    for top in range(size):
        for left in range(size):
            placed = [
                (start * dilation - padding, long + padding - start * dilation - (count - 1) * stride - 1, stride - 1)
                for start, long, count in ((top, height, gradient.shape[1]), (left, width, gradient.shape[2]))
            ]
            zero = jnp.zeros((), read.dtype)
            sums = sums + jax.lax.pad(read[:, :, :, top, left], zero, ((0, 0, 0), *placed, (0, 0, 0)))
    return sums


def kernel_gradient_by_taps(
    x: jax.Array, gradient: jax.Array, size: int, stride: int, padding: int, dilation: int
) -> jax.Array:
    """The gradient (size, size, Cin, Cout) of a kernel: for each tap, what it read times what came back.

    Args:
      x: (B, H, W, Cin), what was convolved.
      gradient: (B, H', W', Cout), of the result.
      size: of the kernel, along both axes.
      stride, padding, dilation: of the convolution.
    """
    batch, height, width, out_channels = gradient.shape
    x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    back = gradient.reshape(-1, out_channels)
    sums = jnp.promote_types(x.dtype, jnp.float32)  # bfloat16 would lose the small ones
    products = []
    for top in range(0, size * dilation, dilation):
        for left in range(0, size * dilation, dilation):
            end = (batch, top + (height - 1) * stride + 1, left + (width - 1) * stride + 1, x.shape[-1])
            read = jax.lax.slice(x, (0, top, left, 0), end, (1, stride, stride, 1))  # (B, H', W', Cin)
            products.append(jnp.matmul(read.reshape(-1, x.shape[-1]).T, back, preferred_element_type=sums))
    return jnp.stack(products).reshape(size, size, x.shape[-1], out_channels).astype(x.dtype)


def _as_flax_calls_it(
    x: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    *,
    rhs_dilation: Sequence[int],
    **_: Any,
) -> jax.Array:
    return convolve(x, kernel, strides[0], padding[0][0], rhs_dilation[0])


def conv(
    channels: int, size: int, *, stride: int = 1, dilation: int = 1, kernel_init: Any, use_bias: bool, **options: Any
) -> nn.Conv:
    """A Flax convolution with a square kernel, padded by `size // 2 * dilation` on all sides, made by `convolve`."""
    return nn.Conv(
        channels,
        (size, size),
        strides=stride,
        padding=size // 2 * dilation,
        kernel_dilation=dilation,
        kernel_init=kernel_init,
        use_bias=use_bias,
        conv_general_dilated=_as_flax_calls_it,
        **options,
    )
