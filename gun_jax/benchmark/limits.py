"""What the machine can do at most: products of large matrices, and traffic with the memory."""

import statistics

import jax
import jax.numpy as jnp

from gun_jax.benchmark.timing import time_in_turn

_SIDE = 3072
_NUMBERS = 2**26  # 256 MiB
_ROUNDS = 9


def limits() -> tuple[float, float]:
    """Operations a second of a matrix product in float32, and bytes a second read and written by adding 1 to an array.

    A multiply-add is two operations. Medians of 9 rounds.
    """
    square = jax.random.normal(jax.random.key(0), (_SIDE, _SIDE))
    long = jnp.zeros(_NUMBERS)
    product = jax.jit(jnp.matmul)
    add = jax.jit(lambda x: x + 1, donate_argnums=0)

    def multiply() -> None:
        product(square, square).block_until_ready()

    def pass_by() -> None:
        nonlocal long
        long = add(long).block_until_ready()

    time_in_turn([multiply, pass_by], 1)  # compiles
    seconds = time_in_turn([multiply, pass_by], _ROUNDS)
    products, passes = (statistics.median(column) for column in seconds.T)
    return 2 * _SIDE**3 / products, 2 * 4 * _NUMBERS / passes
