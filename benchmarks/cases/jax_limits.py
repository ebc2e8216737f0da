"""The limits of the machine: products of large matrices, and memory traffic; the batch is not used."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from gun_jax.system import runtime


def product(size: tuple[int, int], batch: int) -> Callable[[], object]:
    """Multiplies a matrix of `size` with its transpose: 2 height^2 width operations."""
    runtime.keep_memory()
    matrix = jax.random.normal(jax.random.key(0), size)
    multiply = jax.jit(jnp.matmul)
    other = matrix.T.copy()
    return lambda: multiply(matrix, other).block_until_ready()


def traffic(size: tuple[int, int], batch: int) -> Callable[[], object]:
    """Adds 1 to an array of `size` in place: for each number, 4 bytes are read and 4 written."""
    runtime.keep_memory()
    array = jnp.zeros(size)
    add = jax.jit(lambda x: x + 1, donate_argnums=0)

    def run():
        nonlocal array
        array = add(array).block_until_ready()

    return run


CASES = {"matrix product": product, "memory traffic": traffic}
