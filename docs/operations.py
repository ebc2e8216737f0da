#!/usr/bin/env python3
"""Times single operations of the network in their plain and their fast forms, in turn, for docs/performance.md.

    python docs/operations.py

Prints a table: medians in milliseconds, and their ratio.
"""

import functools
import statistics

import jax
import jax.numpy as jnp
import numpy as np

from gun_jax import command_line, guided_upsample
from gun_jax.benchmark.timing import machine, time_in_turn
from gun_jax.models import winograd
from gun_jax.models.convolution import input_gradient_by_taps, kernel_gradient_by_taps, plain_convolve, pointwise
from gun_jax.sampling import guided_argmax

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
    (90, 120, 32, 64, 3, 2),
    (45, 60, 64, 128, 3, 2),
    (90, 120, 32, 32, 1, 1),
    (23, 30, 128, 512, 1, 1),
)
# 1x1 convolutions: batch, height, width, channels in, out.
POINTWISE = ((1, 64, 128, 128, 512), (1, 256, 512, 32, 32), (8, 23, 30, 128, 512), (8, 90, 120, 32, 32))


def draw(*shapes: tuple[int, ...]) -> list[jax.Array]:
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in shapes]


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
    plain = functools.partial(plain_convolve, stride=1, padding=dilation, dilation=dilation)
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
    plain = functools.partial(plain_convolve, **how)
    (back,) = draw(jax.eval_shape(plain, x, kernel).shape)
    name = f"8x{height}x{width}, {into} to {out}, {size}x{size}, stride {stride}"
    if into < 32:
        show(
            f"gradient of the input, {name}",
            lambda kernel, back: jax.linear_transpose(lambda x: plain(x, kernel), x)(back),
            lambda kernel, back: input_gradient_by_taps(kernel, back, x.shape, **how),
            *(kernel, back),
        )
    else:
        show(
            f"gradient of the kernel, {name}",
            lambda x, back: jax.linear_transpose(lambda kernel: plain(x, kernel), kernel)(back),
            lambda x, back: kernel_gradient_by_taps(x, back, size, **how),
            *(x, back),
        )


def main() -> None:
    print(f"{machine()}, JAX {jax.__version__}; medians of {ROUNDS} rounds, ms\n")
    print("| operation | plain | fast | ratio |\n|---|---:|---:|---:|")
    for shape in WINOGRAD:
        by_winograd(*shape)
    for shape in TAPS:
        by_taps(*shape)
    for batch, height, width, into, out in POINTWISE:
        x, kernel = draw((batch, height, width, into), (1, 1, into, out))
        plain = functools.partial(plain_convolve, stride=1, padding=0, dilation=1)
        show(f"convolution, {batch}x{height}x{width}, {into} to {out}, 1x1", plain, pointwise, x, kernel)
    logits, offsets = draw((1, 64, 128, 19), (1, 512, 1024, 2))
    name = "labels by GUM, 64x128 to 512x1024, 19 classes"
    show(name, lambda *a: guided_upsample(*a).argmax(-1), guided_argmax, logits, offsets)


if __name__ == "__main__":
    command_line.run(main)
