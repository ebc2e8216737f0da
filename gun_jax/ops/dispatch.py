"""Decides, while a program is traced, which form of an operation it gets: the plain one, or the one for CPUs.

`gun_jax.kernels` registers the forms for CPUs. They are used by default where JAX's default backend is a CPU. Plain
forms are used on other backends, inside `plain_ops()`, with GUN_PLAIN_OPS=1 in the environment, and for sizes that an
export leaves open.
"""

import functools
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Generic, ParamSpec, TypeVar

import jax
import jax.export

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Form = TypeVar("Form", bound=Callable)

# `jax.jit` keeps programs apart by the value of such a context. None: as the environment says.
_plain_ops = jax.make_user_context(None)


def plain_ops(enabled: bool = True) -> AbstractContextManager[None]:
    """A context in which this thread traces plain JAX: no form for CPUs, no custom derivative, no foreign call.

    Use it on CPUs to export a program for another device, or to differentiate twice or forwards. `jax.jit` traces a
    function again inside it; what is traced already keeps its form.

    Args:
      enabled: False brings the forms for CPUs back.
    """
    return _plain_ops(enabled)


class Op(Generic[Parameters, Result]):
    """An operation: the plain form, and the form for CPUs where one is registered. A call takes the one that suits."""

    __name__: str

    def __init__(self, plain: Callable[Parameters, Result]):
        self.plain = plain
        self._on_cpu: Callable[Parameters, Result] | None = None
        functools.update_wrapper(self, plain)

    def on_cpu(self, form: Form) -> Form:
        """A decorator that registers the form for CPUs. It takes and returns what the plain one does."""
        self._on_cpu = form
        return form

    def __call__(self, *arguments: Parameters.args, **named: Parameters.kwargs) -> Result:
        if self._on_cpu is None or _uses_plain_ops() or _has_open_sizes(arguments, named):
            return self.plain(*arguments, **named)
        return self._on_cpu(*arguments, **named)


def _uses_plain_ops() -> bool:
    chosen = _plain_ops.value
    return (_plain_by_default() if chosen is None else chosen) or jax.default_backend() != "cpu"


@functools.cache
def _plain_by_default() -> bool:
    return os.environ.get("GUN_PLAIN_OPS", "0") not in ("", "0")


@functools.cache
def one_device() -> bool:
    """Whether this process computes on one device. Some forms for CPUs would gather what is split over several."""
    return jax.device_count() == 1


def _has_open_sizes(*arguments: Any) -> bool:
    leaves = jax.tree.leaves(arguments)
    sides = [side for leaf in leaves for side in (leaf.shape if hasattr(leaf, "shape") else (leaf,))]
    return any(jax.export.is_symbolic_dim(side) for side in sides)
