"""The weights of a trained network in one small file, instead of checkpoints."""

import io
import json
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from gun_jax.configuration import with_new_settings
from gun_jax.errors import InputError
from gun_jax.system.files import atomic_write

NAME = "weights.npz"
_SEPARATOR = "/"  # in the paths of arrays; not in the names of the other entries:
_STEP, _NETWORK = "step", "network"


def write_weights(path: pathlib.Path, variables: Mapping[str, Any], network: dict[str, Any], step: int) -> None:
    """Writes a NumPy archive with an array for each path ("params/encode/.../kernel").

    Args:
      path: the file.
      variables: "params" and "batch_stats", float32. Kernels are written as float16, all others as float32.
      network: JSON values that describe the network (see `gun_jax.configuration.describe_network`).
      step: the training step.

    Raises:
      InputError: a number is too large for float16, or the file cannot be written.
    """
    flat = flax.traverse_util.flatten_dict(jax.device_get(variables), sep=_SEPARATOR)
    small: dict[str, Any] = {}
    for name, array in flat.items():
        if np.ndim(array) > 1:
            if np.abs(array).max() > np.finfo(np.float16).max:
                raise InputError(f"cannot write {path}: {name} holds numbers beyond 65504, the largest of float16")
            array = array.astype(np.float16)
        small[name] = array
    content = io.BytesIO()
    about = {_STEP: np.int64(step), _NETWORK: np.asarray(json.dumps(network))}
    np.savez(content, allow_pickle=False, **(small | about))
    atomic_write(path, content.getvalue())


def read_weights(path: pathlib.Path, network: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Reads a file that `write_weights` wrote.

    Args:
      path: the file.
      network: the description of the expected network; the version may differ.

    Returns:
      The variables, float32 on the first device, and the step.

    Raises:
      InputError: the file cannot be read, holds something else, or belongs to another network.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            flat = {name: archive[name] for name in archive.files}
        step, saved = int(flat.pop(_STEP)), with_new_settings(json.loads(str(flat.pop(_NETWORK))))
        differing = [name for name in network if name != "version" and saved[name] != network[name]]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except (KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not a weights file that export.py wrote, or is damaged: {error}") from error
    if differing:
        name = differing[0]
        raise InputError(
            f"{path} belongs to another network: {name} is {saved[name]!r} there and {network[name]!r} here"
        )
    device = jax.local_devices()[0]
    wide = {name: jax.device_put(array.astype(jnp.float32), device) for name, array in flat.items()}
    return flax.traverse_util.unflatten_dict(wide, sep=_SEPARATOR), step
