"""Convolutions and matrix products of oneDNN (Apache 2.0, github.com/uxlfoundation/oneDNN) in JAX programs on x86 CPUs.

All arrays are float32, images NHWC, kernels HWIO. The functions work under jit, vmap and reverse-mode differentiation.
Programs with them run on CPUs only. A program that is sharded over several devices gathers the arrays on each device.
"""

import ctypes
import functools
import importlib.machinery
import pathlib
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


Padding = tuple[tuple[int, int], tuple[int, int]]  # zeros (above, below) and (left, right)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def convolve(x: jax.Array, kernel: jax.Array, stride: int, padding: int | Padding, dilation: int) -> jax.Array:
    """Convolves (B, H, W, Cin) with a kernel: (B, H', W', Cout).

    Args:
      x: the images.
      kernel: (k, k, Cin, Cout), or (k, k, 1, Cin): one for each channel.
      stride, dilation: in pixels.
      padding: zeros on all sides, or on each.

    Raises:
      ValueError: channels that do not fit each other.
    """
    if x.shape[-1] != kernel.shape[2] and (1, x.shape[-1]) != kernel.shape[2:]:
        raise ValueError(
            f"convolve: {x.shape[-1]} channels and a kernel of {kernel.shape}; "
            "expected (k, k, Cin, Cout) or (k, k, 1, Cin)"
        )
    batch, *sides, _ = x.shape
    size, _, _, channels = kernel.shape
    reach = (size - 1) * dilation + 1
    height, width = (
        (side + sum(zeros) - reach) // stride + 1 for side, zeros in zip(sides, _sides(padding), strict=True)
    )
    shape = (batch, height, width, channels)
    return _call("convolve", shape, x, kernel, **_geometry(stride, padding, dilation))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4, 5))
def input_gradient(
    kernel: jax.Array, gradient: jax.Array, shape: tuple[int, ...], stride: int, padding: int | Padding, dilation: int
) -> jax.Array:
    """The gradient of the input, of `shape` (B, H, W, Cin), from that of the output (B, H', W', Cout)."""
    return _call("input_gradient", shape, kernel, gradient, **_geometry(stride, padding, dilation))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4, 5))
def kernel_gradient(
    x: jax.Array, gradient: jax.Array, shape: tuple[int, ...], stride: int, padding: int | Padding, dilation: int
) -> jax.Array:
    """The gradient of the kernel, of `shape` (k, k, Cin, Cout), from x (B, H, W, Cin) and that of the output."""
    # Only the pixels that were read: with a stride, oneDNN 3.2 writes out of bounds at some numbers of channels.
    if shape[0] == 1 and stride > 1:
        framed = jnp.pad(x, ((0, 0), *_sides(padding), (0, 0)))
        x, stride, padding = framed[:, ::stride, ::stride], 1, 0
    return _call("kernel_gradient", shape, x, gradient, **_geometry(stride, padding, dilation))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def multiply(left: jax.Array, right: jax.Array, left_axis: int, right_axis: int) -> jax.Array:
    """Products of n pairs of matrices, summed over an axis, 1 or 2, of each: (n, other axis of left, of right).

    Raises:
      ValueError: another number of pairs, or axes of other lengths.
    """
    if len(left) != len(right) or left.shape[left_axis] != right.shape[right_axis]:
        raise ValueError(f"multiply: {left.shape} by {right.shape}, summed over axes {left_axis} and {right_axis}")
    shape = (len(left), left.shape[3 - left_axis], right.shape[3 - right_axis])
    return _call("multiply", shape, left, right, left_turned=left_axis == 1, right_turned=right_axis == 2)


def _sides(padding: int | Padding) -> Padding:
    return ((padding, padding), (padding, padding)) if isinstance(padding, int) else padding


def _geometry(stride: int, padding: int | Padding, dilation: int) -> dict[str, np.int64]:
    (top, _), (left, _) = _sides(padding)
    return {"stride": np.int64(stride), "top": np.int64(top), "left": np.int64(left), "dilation": np.int64(dilation)}


def _call(name: str, shape: tuple[int, ...], *arrays: jax.Array, **attributes: Any) -> jax.Array:
    result = jax.ShapeDtypeStruct(shape, jnp.float32)
    return jax.ffi.ffi_call(f"gun_jax_onednn_{name}", result, vmap_method="sequential")(*arrays, **attributes)


# All four are linear in each array, so the gradients of each are others of the four.


def _gradients_of_convolve(*saved: Any) -> tuple[jax.Array, jax.Array]:
    *geometry, (x, kernel), gradient = saved
    of_x = input_gradient(kernel, gradient, x.shape, *geometry)
    return of_x, kernel_gradient(x, gradient, kernel.shape, *geometry)


def _gradients_of_input_gradient(_shape: Any, *saved: Any) -> tuple[jax.Array, jax.Array]:
    *geometry, (kernel, gradient), of_x = saved
    return kernel_gradient(of_x, gradient, kernel.shape, *geometry), convolve(of_x, kernel, *geometry)


def _gradients_of_kernel_gradient(_shape: Any, *saved: Any) -> tuple[jax.Array, jax.Array]:
    *geometry, (x, gradient), of_kernel = saved
    return input_gradient(of_kernel, gradient, x.shape, *geometry), convolve(x, of_kernel, *geometry)


def _gradients_of_multiply(
    left_axis: int, right_axis: int, saved: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    left, right = saved
    of_left = multiply(gradient, right, 2, 3 - right_axis)  # (n, left's other axis, the one summed over)
    of_right = multiply(gradient, left, 1, 3 - left_axis)
    return (
        of_left if left_axis == 2 else of_left.swapaxes(1, 2),
        of_right if right_axis == 2 else of_right.swapaxes(1, 2),
    )


for _function, _gradients in (
    (convolve, _gradients_of_convolve),
    (input_gradient, _gradients_of_input_gradient),
    (kernel_gradient, _gradients_of_kernel_gradient),
    (multiply, _gradients_of_multiply),
):
    _function.defvjp(lambda *arguments, call=_function: (call(*arguments), arguments[:2]), _gradients)
