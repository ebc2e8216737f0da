"""Chooses the form of a convolution, and of its gradients, by its shapes (times: docs/performance.md).

The order is: Winograd's form for wide maps, oneDNN where it can be used, packed convolution, matrix products, XLA's own
form. Except for oneDNN's and XLA's, the forms are differentiable in reverse mode only.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gun_jax.kernels import packed_conv, shift_matmul, winograd
from gun_jax.kernels.onednn import onednn_for
from gun_jax.ops.convolution import convolve

# For narrower inputs XLA's gradient of a strided input is slow. For narrower inputs and for fewer outputs the products
# of `shift_matmul` are too thin. The gradient of a 1x1 kernel is one product, and fast at any width.
MIN_CHANNELS_SHIFT_MATMUL, MIN_OUTPUTS_SHIFT_MATMUL = 32, 128
# The transforms of narrower maps cost more than the products they save: those of XLA, and those of oneDNN.
MIN_CHANNELS_WINOGRAD, MIN_CHANNELS_WINOGRAD_ONEDNN = 64, 128
# By the size of the kernel: the most outputs for which packing is faster than XLA, and the side of a block.
PACKED = {3: (8, 2), 7: (16, 4)}

Forward = Callable[[jax.Array, jax.Array], jax.Array]
Backward = Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]


@convolve.on_cpu
def convolve_on_cpu(x: jax.Array, kernel: jax.Array, stride: int, padding: int, dilation: int) -> jax.Array:
    """`gun_jax.ops.convolution.convolve` in the form that is fastest for these shapes."""
    onednn = onednn_for(x, kernel)
    if _suits_winograd(x, kernel, stride, padding, dilation, MIN_CHANNELS_WINOGRAD_ONEDNN if onednn else None):
        return _by_winograd(x, kernel, dilation, onednn.multiply if onednn else winograd.multiply)
    if onednn and (kernel.shape[0], stride, padding) == (1, 1, 0):
        # Its matrix product reads the kernel as it is, its convolution reorders the kernel in each call.
        product = onednn.multiply(x.reshape(1, -1, x.shape[-1]), kernel[0], 2, 1)
        return product.reshape(*x.shape[:-1], kernel.shape[-1])
    if onednn:
        return onednn.convolve(x, kernel, stride, padding, dilation)
    most, block = PACKED.get(kernel.shape[0], (0, 0))
    if dilation == 1 and kernel.shape[-1] <= most:
        packed = functools.partial(packed_conv.convolve, stride=stride, padding=padding, block=block)
        return _with_gradients(packed, _pull_back(packed))(x, kernel)
    return _by_matmul(x, kernel, stride, padding, dilation)


def _suits_winograd(
    x: jax.Array, kernel: jax.Array, stride: int, padding: int, dilation: int, least: int | None
) -> bool:
    size, _, *channels = kernel.shape
    return (
        (size, stride, padding) == (winograd.KERNEL, 1, dilation)
        and min(channels) >= (least or MIN_CHANNELS_WINOGRAD)
        and x.dtype == kernel.dtype == jnp.float32  # its sums are not exact enough in bfloat16
    )


def _by_winograd(x: jax.Array, kernel: jax.Array, dilation: int, multiply: winograd.Multiply) -> jax.Array:
    options: dict[str, Any] = {"dilation": dilation, "multiply": multiply}

    def gradients(x: jax.Array, kernel: jax.Array, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
        of_x = winograd.input_gradient(kernel, gradient, **options)
        return of_x, winograd.kernel_gradient(x, gradient, **options)

    return _with_gradients(functools.partial(winograd.convolve, **options), gradients)(x, kernel)


def _by_matmul(x: jax.Array, kernel: jax.Array, stride: int, padding: int, dilation: int) -> jax.Array:
    """XLA's convolution, but the matrix product that a 1x1 one is, and matrix products for gradients where they win."""
    geometry: dict[str, int] = {"stride": stride, "padding": padding, "dilation": dilation}
    plain: Forward = functools.partial(convolve.plain, stride=stride, padding=padding, dilation=dilation)
    size, _, inputs, outputs = kernel.shape
    wide = inputs >= MIN_CHANNELS_SHIFT_MATMUL
    pointwise = (size, stride, padding) == (1, 1, 0)
    shift_input = stride > 1 and size > 1 and not wide
    shift_kernel = size == 1 or (wide and outputs >= MIN_OUTPUTS_SHIFT_MATMUL)
    if not (pointwise or shift_input or shift_kernel):
        return plain(x, kernel)

    def gradients(x: jax.Array, kernel: jax.Array, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
        of_x, of_kernel = _pull_back(plain)(x, kernel, gradient)  # XLA leaves out what is replaced below
        if pointwise:
            of_x = jnp.matmul(gradient, kernel[0, 0].T)
        elif shift_input:
            of_x = shift_matmul.input_gradient(kernel, gradient, x.shape, **geometry)
        if shift_kernel:
            of_kernel = shift_matmul.kernel_gradient(x, gradient, size, **geometry)
        return of_x, of_kernel

    return _with_gradients(pointwise_convolve if pointwise else plain, gradients)(x, kernel)


def pointwise_convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A convolution with a kernel (1, 1, Cin, Cout) and stride 1, as a matrix product."""
    return jnp.matmul(x, kernel[0, 0])


def _pull_back(forward: Forward) -> Backward:
    return lambda x, kernel, gradient: jax.vjp(forward, x, kernel)[1](gradient)


def _with_gradients(forward: Forward, backward: Backward) -> Forward:
    """`forward` with gradients by `backward`; nothing but input and kernel is kept for it."""
    differentiable: Any = jax.custom_vjp(forward)
    differentiable.defvjp(
        lambda x, kernel: (forward(x, kernel), (x, kernel)), lambda saved, gradient: backward(*(*saved, gradient))
    )
    return differentiable
