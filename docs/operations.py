"""Times single operations of the network in their plain and their fast forms, in turn, for docs/performance.md.

python docs/operations.py
"""

import functools
import statistics

import jax
import jax.numpy as jnp
import numpy as np
from absl import app

from gun_jax import guided_upsample, runtime
from gun_jax.benchmark import machine, time_in_turn
from gun_jax.models import convolution, winograd
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


def main(_) -> None:
    runtime.keep_memory()
    print(f"{machine()}, JAX {jax.__version__}; medians of {ROUNDS} rounds, ms\n")
    print("| operation | plain | fast | ratio |\n|---|---:|---:|---:|")
    for batch, height, width, into, out, dilation in WINOGRAD:
        x, kernel, back = draw((batch, height, width, into), (3, 3, into, out), (batch, height, width, out))
        plain = functools.partial(convolution._plain, stride=1, padding=dilation, dilation=dilation)
        name = f"{batch}x{height}x{width}, {into} to {out}, dilation {dilation}"
        show(f"convolution, {name}", plain, functools.partial(winograd.convolve, dilation=dilation), x, kernel)
        if batch > 1:
            show(
                f"gradients, {name}",
                lambda x, kernel, back, plain=plain: jax.vjp(plain, x, kernel)[1](back),
                lambda x, kernel, back, dilation=dilation: (
                    winograd.input_gradient(kernel, back, dilation),
                    winograd.kernel_gradient(x, back, dilation),
                ),
                *(x, kernel, back),
            )
    logits, offsets = draw((1, 64, 128, 19), (1, 512, 1024, 2))
    show(
        "labels by GUM, 64x128 to 512x1024, 19 classes",
        lambda *a: guided_upsample(*a).argmax(-1),
        guided_argmax,
        logits,
        offsets,
    )


if __name__ == "__main__":
    app.run(main)
