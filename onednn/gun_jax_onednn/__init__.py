"""Convolutions and matrix products of oneDNN (Apache 2.0, github.com/uxlfoundation/oneDNN) in JAX programs on x86 CPUs.

All arrays are float32, images NHWC, kernels HWIO. The functions can be compiled and mapped over, not differentiated:
`gun_jax.models.convolution` makes one the gradient of the other. Programs with them run on CPUs only, and one that is
split over several devices gathers their arrays on each.
"""

import ctypes
import importlib.machinery
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_NAMES = ("convolve", "input_gradient", "kernel_gradient", "multiply")


def _register() -> None:
    folder = pathlib.Path(__file__).parent
    (library,) = (path for suffix in importlib.machinery.EXTENSION_SUFFIXES for path in folder.glob(f"_calls{suffix}"))
    calls = ctypes.CDLL(str(library))
    for name in _NAMES:
        jax.ffi.register_ffi_target(f"gun_jax_onednn_{name}", jax.ffi.pycapsule(getattr(calls, name)), platform="cpu")


_register()


def convolve(x: jax.Array, kernel: jax.Array, *, stride: int, padding: int, dilation: int) -> jax.Array:
    """Convolves (B, H, W, Cin) with a kernel (k, k, Cin, Cout), padded with zeros on both sides: (B, H', W', Cout).

    Raises:
      ValueError: channels that do not fit each other.
    """
    if x.shape[-1] != kernel.shape[2]:
        raise ValueError(f"convolve: {x.shape[-1]} channels and a kernel of {kernel.shape}; expected (k, k, Cin, Cout)")
    batch, *sides, _ = x.shape
    size, _, _, channels = kernel.shape
    reach = (size - 1) * dilation + 1
    height, width = ((side + 2 * padding - reach) // stride + 1 for side in sides)
    shape = (batch, height, width, channels)
    return _call("convolve", shape, x, kernel, **_numbers(stride=stride, padding=padding, dilation=dilation))


def input_gradient(
    kernel: jax.Array, gradient: jax.Array, shape: Sequence[int], *, stride: int, padding: int, dilation: int
) -> jax.Array:
    """The gradient of what was convolved, of `shape` (B, H, W, Cin), from that of the result (B, H', W', Cout)."""
    numbers = _numbers(stride=stride, padding=padding, dilation=dilation)
    return _call("input_gradient", shape, kernel, gradient, **numbers)


def kernel_gradient(
    x: jax.Array, gradient: jax.Array, shape: Sequence[int], *, stride: int, padding: int, dilation: int
) -> jax.Array:
    """The gradient of the kernel, of `shape` (k, k, Cin, Cout), from x (B, H, W, Cin) and that of the result."""
    numbers = _numbers(stride=stride, padding=padding, dilation=dilation)
    return _call("kernel_gradient", shape, x, gradient, **numbers)


def multiply(left: jax.Array, right: jax.Array, left_axis: int, right_axis: int) -> jax.Array:
    """Matrix products of n pairs, summed over an axis, 1 or 2, of each: the other axes of both are the result's."""
    shape = (len(left), left.shape[3 - left_axis], right.shape[3 - right_axis])
    return _call("multiply", shape, left, right, left_turned=left_axis == 1, right_turned=right_axis == 2)


def _numbers(**attributes: int) -> dict[str, np.int64]:
    return {name: np.int64(value) for name, value in attributes.items()}


def _call(name: str, shape: Sequence[int], *arrays: jax.Array, **attributes: Any) -> jax.Array:
    result = jax.ShapeDtypeStruct(tuple(shape), jnp.float32)
    return jax.ffi.ffi_call(f"gun_jax_onednn_{name}", result, vmap_method="sequential")(*arrays, **attributes)
