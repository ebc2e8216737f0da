#!/usr/bin/env python3
"""Times single operations of the network in their plain and their fast forms, in turn, for docs/performance.md.

    python benchmarks/operations.py

Prints a table: medians in milliseconds, and their ratio. The last rows need oneDNN (`make onednn`).
"""

import functools
import importlib.util
import statistics

import jax
import jax.numpy as jnp
import numpy as np

from gun_jax import guided_upsample, plain_ops
from gun_jax.kernels import packed_conv, shift_matmul, winograd
from gun_jax.kernels.convolution import PACKED, pointwise_convolve
from gun_jax.kernels.resizing import weighted_sum
from gun_jax.ops.convolution import convolve
from gun_jax.ops.norm import batch_normalise
from gun_jax.ops.resizing import bilinear_resize
from gun_jax.ops.sampling import guided_argmax
from gun_jax.programs import command_line
from gun_jax.system.timing import machine, time_in_turn

ROUNDS = 15
# 3x3 convolutions: batch, height, width, channels in, out, dilation. Labels of 512x1024; steps of 8x180x240, 8x360x480.
WINOGRAD = (
    (1, 128, 256, 64, 64, 1),
    (1, 64, 128, 128, 128, 1),
    (1, 64, 128, 512, 128, 1),
    (1, 32, 64, 256, 256, 2),
    (1, 32, 64, 512, 512, 4),
    (8, 45, 60, 64, 64, 1),
    (8, 23, 30, 128, 128, 1),
    (8, 12, 15, 512, 512, 4),
    (8, 90, 120, 64, 64, 1),
    (8, 45, 60, 512, 128, 1),
)
# Convolutions of a step of 8x180x240 that Winograd's does not do: height, width, channels in, out, kernel, stride.
TAPS = (
    (180, 240, 16, 32, 3, 2),
    (45, 60, 64, 128, 3, 2),
    (90, 120, 32, 32, 1, 1),
    (23, 30, 128, 512, 1, 1),
)
# Convolutions to few channels: batch, height, width, channels in, out, kernel, stride. Labels of 360x480 by a quarter
# of the width, by 0.3125 and by all of it, of 512x1024; a step of the demo.
BLOCKS = (
    (1, 360, 480, 3, 4, 7, 1),
    (1, 360, 480, 4, 4, 3, 1),
    (1, 360, 480, 4, 8, 3, 2),
    (1, 360, 480, 3, 5, 7, 1),
    (1, 360, 480, 5, 5, 3, 1),
    (1, 360, 480, 3, 16, 7, 1),
    (1, 512, 1024, 3, 16, 7, 1),
    (4, 128, 256, 3, 4, 7, 1),
    (4, 128, 256, 4, 4, 3, 1),
    (4, 128, 256, 4, 8, 3, 2),
)
# 1x1 convolutions: batch, height, width, channels in, out.
POINTWISE = ((1, 64, 128, 128, 512), (1, 256, 512, 32, 32), (8, 23, 30, 128, 512), (8, 90, 120, 32, 32))
# Resizing: batch, height, width, channels, new height, new width.
RESIZING = (
    (1, 512, 1024, 3, 256, 512),
    (1, 32, 64, 512, 64, 128),
    (1, 64, 128, 32, 256, 512),
    (1, 256, 512, 2, 512, 1024),
    (1, 64, 128, 19, 512, 1024),
    (8, 23, 30, 512, 45, 60),
    (1, 1024, 2048, 3, 256, 512),
)
# Convolutions that oneDNN does, of a step of 8x180x240 and of labels of 512x1024: batch, height, width, channels in,
# out, kernel, stride.
ONEDNN = (
    (8, 180, 240, 3, 16, 7, 1),
    (8, 180, 240, 16, 16, 3, 1),
    (8, 180, 240, 16, 32, 3, 2),
    (8, 90, 120, 32, 64, 3, 2),
    (1, 512, 1024, 16, 16, 3, 1),
    (1, 128, 256, 64, 64, 3, 1),
    (1, 64, 128, 128, 512, 1, 1),
)
# Matrix products between Winograd's transforms: how many, rows, inner, columns.
PRODUCTS = ((30, 128, 512, 512), (36, 384, 128, 128))


def draw(*shapes: tuple[int, ...]) -> list[jax.Array]:
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in shapes]


def in_plain_ops(function):
    def plain(*arguments):
        with plain_ops():
            return function(*arguments)

    return plain


def show(name: str, plain, fast, *inputs: jax.Array) -> None:
    """Prints a row: median milliseconds of both, and their ratio."""
    runs = []
    for function in (plain, fast):
        compiled = jax.jit(function).lower(*inputs).compile()
        jax.block_until_ready(compiled(*inputs))
        runs.append(functools.partial(lambda compiled: jax.block_until_ready(compiled(*inputs)), compiled))
    usual, ours = (1000 * statistics.median(seconds) for seconds in time_in_turn(runs, ROUNDS).T)
    print(f"| {name} | {usual:.1f} | {ours:.1f} | {ours / usual:.2f} |", flush=True)


def by_winograd(batch: int, height: int, width: int, into: int, out: int, dilation: int) -> None:
    x, kernel, back = draw((batch, height, width, into), (3, 3, into, out), (batch, height, width, out))
    plain = functools.partial(convolve.plain, stride=1, padding=dilation, dilation=dilation)
    name = f"{batch}x{height}x{width}, {into} to {out}, dilation {dilation}"
    show(f"convolution, {name}", plain, functools.partial(winograd.convolve, dilation=dilation), x, kernel)

    def gradients(x, kernel, back):
        of_x = winograd.input_gradient(kernel, back, dilation=dilation)
        return of_x, winograd.kernel_gradient(x, back, dilation=dilation)

    if batch > 1:
        show(
            f"gradients, {name}", lambda x, kernel, back: jax.vjp(plain, x, kernel)[1](back), gradients, x, kernel, back
        )


def by_taps(height: int, width: int, into: int, out: int, size: int, stride: int) -> None:
    """The gradient of the input where that is narrow, else of the kernel, as `convolve` has it; batch 8."""
    x, kernel = draw((8, height, width, into), (size, size, into, out))
    how = {"stride": stride, "padding": size // 2, "dilation": 1}
    plain = functools.partial(convolve.plain, **how)
    (back,) = draw(jax.eval_shape(plain, x, kernel).shape)
    name = f"8x{height}x{width}, {into} to {out}, {size}x{size}, stride {stride}"
    if into < 32:
        show(
            f"gradient of the input, {name}",
            lambda kernel, back: jax.linear_transpose(lambda x: plain(x, kernel), x)(back),
            lambda kernel, back: shift_matmul.input_gradient(kernel, back, x.shape, **how),
            *(kernel, back),
        )
    else:
        show(
            f"gradient of the kernel, {name}",
            lambda x, back: jax.linear_transpose(lambda kernel: plain(x, kernel), kernel)(back),
            lambda x, back: shift_matmul.kernel_gradient(x, back, size, **how),
            *(x, back),
        )


def packed(batch: int, height: int, width: int, into: int, out: int, size: int, stride: int) -> None:
    x, kernel = draw((batch, height, width, into), (size, size, into, out))
    how = {"stride": stride, "padding": size // 2}
    plain = functools.partial(convolve.plain, dilation=1, **how)
    packed_form = functools.partial(packed_conv.convolve, block=PACKED[size][1], **how)
    name = f"{batch}x{height}x{width}, {into} to {out}, {size}x{size}, stride {stride}"
    show(f"packed convolution, {name}", plain, packed_form, x, kernel)
    if batch > 1:
        (back,) = draw(jax.eval_shape(plain, x, kernel).shape)

        def gradients(function):
            return lambda x, kernel, back: jax.vjp(function, x, kernel)[1](back)[into == 3 :]  # none of images

        show(f"gradients of the packed convolution, {name}", gradients(plain), gradients(packed_form), x, kernel, back)


def sampler_gradients() -> None:
    logits, offsets, back = draw((8, 23, 30, 19), (8, 180, 240, 2), (8, 180, 240, 19))

    def gradients(logits, offsets, back):
        return jax.vjp(guided_upsample, logits, offsets)[1](back)

    name = "gradients of GUM, 8x23x30 to 180x240"
    show(name, in_plain_ops(gradients), gradients, logits, offsets, back)


def norm_gradients() -> None:
    x, back, scale, bias = draw((8, 180, 240, 16), (8, 180, 240, 16), (16,), (16,))

    def gradients(x, scale, bias, back):
        return jax.vjp(lambda *arrays: batch_normalise(*arrays, 1e-5)[0], x, scale, bias)[1](back)

    name = "gradients of batch norm, 8x180x240, 16 channels"
    show(name, in_plain_ops(gradients), gradients, x, scale, bias, back)


def by_onednn() -> None:
    import gun_jax_onednn as onednn

    for batch, height, width, into, out, size, stride in ONEDNN:
        x, kernel = draw((batch, height, width, into), (size, size, into, out))
        how = {"stride": stride, "padding": size // 2, "dilation": 1}
        plain = functools.partial(convolve.plain, **how)
        (back,) = draw(jax.eval_shape(plain, x, kernel).shape)
        name = f"{batch}x{height}x{width}, {into} to {out}, {size}x{size}, stride {stride}"
        show(f"oneDNN, convolution, {name}", plain, functools.partial(onednn.convolve, **how), x, kernel)
        show(
            f"oneDNN, gradient of the kernel, {name}",
            lambda x, back, plain=plain, kernel=kernel: jax.linear_transpose(lambda k: plain(x, k), kernel)(back),
            lambda x, back, how=how, kernel=kernel: onednn.kernel_gradient(x, back, kernel.shape, **how),
            *(x, back),
        )
    for count, rows, inner, columns in PRODUCTS:
        left, right, turned = draw((count, rows, inner), (count, inner, columns), (count, rows, columns))
        for name, other, axis in (("", right, 2), (", the first turned", turned, 1)):
            theirs, ours = (
                lambda left, other, multiply=multiply, axis=axis: multiply(left, other, axis, 1)
                for multiply in (winograd.multiply, onednn.multiply)
            )
            show(
                f"oneDNN, {count} products {rows}x{inner} by {other.shape[1]}x{columns}{name}",
                theirs,
                ours,
                left,
                other,
            )


def main() -> None:
    print(f"{machine()}, JAX {jax.__version__}; medians of {ROUNDS} rounds, ms\n")
    print("| operation | plain | fast | ratio |\n|---|---:|---:|---:|")
    for shape in WINOGRAD:
        by_winograd(*shape)
    for shape in TAPS:
        by_taps(*shape)
    for shape in BLOCKS:
        packed(*shape)
    for batch, height, width, into, out in POINTWISE:
        x, kernel = draw((batch, height, width, into), (1, 1, into, out))
        plain = functools.partial(convolve.plain, stride=1, padding=0, dilation=1)
        show(f"convolution, {batch}x{height}x{width}, {into} to {out}, 1x1", plain, pointwise_convolve, x, kernel)
    for *shape, new_height, new_width in RESIZING:
        (x,) = draw(tuple(shape))
        forms = (
            functools.partial(form, size=(new_height, new_width)) for form in (bilinear_resize.plain, weighted_sum)
        )
        name = f"resizing, {'x'.join(map(str, shape[:3]))}, {shape[3]} channels, to {new_height}x{new_width}"
        show(name, *forms, x)
    logits, offsets = draw((1, 64, 128, 19), (1, 512, 1024, 2))
    name = "labels by GUM, 64x128 to 512x1024, 19 classes"
    show(name, in_plain_ops(guided_argmax), guided_argmax, logits, offsets)
    sampler_gradients()
    norm_gradients()
    if importlib.util.find_spec("gun_jax_onednn"):
        by_onednn()


if __name__ == "__main__":
    command_line.run(main)
