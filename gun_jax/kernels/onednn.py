"""oneDNN's convolutions and matrix products, where the package `gun_jax_onednn` is installed (`make onednn`)."""

import functools
import importlib
import importlib.util
import os
import types
from contextlib import AbstractContextManager

import jax
import jax.numpy as jnp

from gun_jax.errors import InputError
from gun_jax.ops.dispatch import one_device

# `jax.jit` keeps programs apart by the value of such a context. None: as the environment says.
_use_onednn = jax.make_user_context(None)


def use_onednn(enabled: bool) -> AbstractContextManager[None]:
    """A context in which this thread traces programs with oneDNN, or without; GUN_ONEDNN=0 is the default without."""
    return _use_onednn(enabled)


def onednn_for(*arrays: jax.Array) -> types.ModuleType | None:
    """`gun_jax_onednn`, where it is installed, wanted and can take the arrays: float32, in a process of one device."""
    chosen = _use_onednn.value
    wanted = _wanted_by_default() if chosen is None else chosen
    if not wanted or not one_device() or any(array.dtype != jnp.float32 for array in arrays):
        return None
    return _installed()


@functools.cache
def _wanted_by_default() -> bool:
    return os.environ.get("GUN_ONEDNN") != "0"


@functools.cache
def _installed() -> types.ModuleType | None:
    if importlib.util.find_spec("gun_jax_onednn") is None:
        return None
    try:
        return importlib.import_module("gun_jax_onednn")
    except (AttributeError, ImportError, OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"gun_jax_onednn is installed but does not load ({error}); run `make -B onednn`, or set GUN_ONEDNN=0"
        ) from error
