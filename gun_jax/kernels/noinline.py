"""Parts of a program that stay programs of their own."""

import functools
from collections.abc import Callable
from typing import Any

import jax
from jax.experimental.xla_metadata import set_xla_metadata


def noinline(*settings: str) -> Callable[[Callable[..., jax.Array]], Callable[..., jax.Array]]:
    """A decorator: a function of arrays is compiled once for their shapes, and called where it would be inlined.

    What is inlined XLA can order and join with what is around it, which may keep large parts in memory for long.

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
