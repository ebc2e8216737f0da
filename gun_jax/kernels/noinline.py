"""Functions that XLA compiles as programs of their own."""

import functools
from collections.abc import Callable
from typing import Any

import jax
from jax.experimental.xla_metadata import set_xla_metadata


def noinline(*settings: str) -> Callable[[Callable[..., jax.Array]], Callable[..., jax.Array]]:
    """A decorator that prevents XLA from inlining a function of arrays. It is compiled once for each set of shapes.

    XLA may reorder inlined operations and join them with those around them, which can keep large arrays in memory.

    Args:
      settings: names of arguments that are not arrays, but hashable values.
    """

    def decorate(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
        call = jax.jit(function, static_argnames=settings)

        @functools.wraps(function)
        def not_inlined(*arguments: Any, **named: Any) -> jax.Array:
            with set_xla_metadata(inlineable="false"):
                return call(*arguments, **named)

        return not_inlined

    return decorate
