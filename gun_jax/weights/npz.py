"""The weights of a trained network in one small file, which a folder holds in place of checkpoints."""

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

from gun_jax.errors import InputError
from gun_jax.system.files import atomic_write

NAME = "weights.npz"
_SEPARATOR = "/"  # in the path of an array, which these have not:
_STEP, _NETWORK = "step", "network"


def write_weights(path: pathlib.Path, variables: Mapping[str, Any], network: dict[str, Any], step: int) -> None:
    """Writes variables: a NumPy archive by their paths ("params/encode/.../kernel"); kernels in 16 bits, others in 32.

    Args:
      path: of the file.
      variables: "params" and "batch_stats", float32.
      network: what it is, JSON values (see `gun_jax.configuration.describe_network`).
      step: of the training.

    Raises:
      InputError: a number is too large for 16 bits, or the file cannot be written.
    """
    flat = flax.traverse_util.flatten_dict(jax.device_get(variables), sep=_SEPARATOR)
    small: dict[str, Any] = {}
    for name, array in flat.items():
        if np.ndim(array) > 1:
            if np.abs(array).max() > np.finfo(np.float16).max:
                raise InputError(f"cannot write {path}: {name} holds numbers beyond 65504, the most that 16 bits have")
            array = array.astype(np.float16)
        small[name] = array
    content = io.BytesIO()
    about = {_STEP: np.int64(step), _NETWORK: np.asarray(json.dumps(network))}
    np.savez(content, allow_pickle=False, **(small | about))
    atomic_write(path, content.getvalue())


def read_weights(path: pathlib.Path, network: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Reads what `write_weights` wrote.

    Args:
      path: of the file.
      network: what it has to be of; the version may be another.

    Returns:
      The variables, float32 on the first device, and the step.

    Raises:
      InputError: the file cannot be read, is something else, or is of another network.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            flat = {name: archive[name] for name in archive.files}
        step, saved = int(flat.pop(_STEP)), json.loads(str(flat.pop(_NETWORK)))
        differing = [name for name in network if name != "version" and saved[name] != network[name]]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except (KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not a file of weights that export.py wrote, or is damaged: {error}") from error
    if differing:
        name = differing[0]
        raise InputError(f"{path} is of another network: {name} is {saved[name]!r} there and {network[name]!r} here")
    device = jax.local_devices()[0]
    wide = {name: jax.device_put(array.astype(jnp.float32), device) for name, array in flat.items()}
    return flax.traverse_util.unflatten_dict(wide, sep=_SEPARATOR), step
