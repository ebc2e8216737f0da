"""Damage of checkpoints: digests of all they hold, and reading that compares them."""

import contextlib
import hashlib
import json
import pathlib
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import jax
import numpy as np
import orbax.checkpoint as ocp

from gun_jax.errors import InputError, InputWarning
from gun_jax.system import distributed

# In messages of TensorStore and XLA when memory, permissions or open files are the problem.
_NOT_OF_THE_FILE = r"RESOURCE_EXHAUSTED|PERMISSION_DENIED|Too many open files"
Read = TypeVar("Read")


class DamagedError(Exception):
    """A checkpoint cannot be read, or differs from its digests."""


def seal(position: dict[str, Any], digests: dict[str, str]) -> dict[str, Any]:
    """The JSON values of a checkpoint's `position` item: the position in the training, and all digests."""
    sealed = {"training": position, "digests": digests}
    return sealed | {"digest": _digest_of_json(sealed)}


def newest_whole(folder: pathlib.Path, steps: list[int], read: Callable[[int], Read]) -> tuple[int, Read]:
    """Reads the newest checkpoint that all processes can read; warns of those that raise a DamagedError.

    Args:
      folder: of the checkpoints.
      steps: of the checkpoints.
      read: reads the checkpoint of a step.

    Returns:
      The step, and what `read` returned.

    Raises:
      InputError: none can be read.
    """
    reasons: list[str] = []
    while True:
        step = int(distributed.broadcast_from_main(np.array([max(steps, default=-1)], np.int64))[0])
        if step < 0:
            break
        found = reason = None
        try:
            found = read(step)
        except DamagedError as error:
            reason = str(error)
        if distributed.all_of(reason is None):
            for damage in reasons:
                warnings.warn(f"{damage}; using that of step {step}", InputWarning, stacklevel=3)
            return step, cast(Read, found)
        reasons.append(f"checkpoint {folder / str(step)} is damaged ({reason or 'another process cannot read it'})")
        steps = [other for other in steps if other < step]
    raise InputError(
        f"{'; '.join(reasons)}; no older one is undamaged: restore one from a copy, or train in a new --workdir"
    )


def read_position(path: pathlib.Path) -> dict[str, Any]:
    """Reads the `position` item of a checkpoint, as `seal` made it.

    Raises:
      DamagedError: it cannot be read, or differs from its digest.
      InputError: it was saved by a version without digests.
    """
    with reading(), contextlib.closing(ocp.JsonCheckpointHandler()) as handler:
        position = handler.restore(path / "position")
    if isinstance(position, dict) and "network" in position:
        raise InputError(
            f"{path} was saved by a version of gun_jax without digests; use that version, or a new --workdir"
        )
    if not isinstance(position, dict) or position.get("digest") != _digest_of_json(position):
        raise DamagedError("its position differs from its digest")
    return position


def read_arrays(path: pathlib.Path, item: str, like: Any, position: dict[str, Any]) -> Any:
    """Reads an item of a checkpoint, and compares it with its digest.

    Args:
      path: of the checkpoint.
      item: "variables" or "optimizer".
      like: arrays, possibly abstract, with the shapes and shardings to read.
      position: from `read_position`.

    Raises:
      DamagedError: it cannot be read, or differs from its digest.
    """
    # Orbax's handlers, unlike its managers, do not wait for other processes.
    with reading(), contextlib.closing(ocp.StandardCheckpointHandler()) as handler:
        found = handler.restore(path / item, args=ocp.args.StandardRestore(like))
    if digest_of(found) != position["digests"].get(item):
        raise DamagedError(f"its {item} differ from their digest")
    return found


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Turns errors of reading into a DamagedError, or into an InputError where the file is not to blame."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # Orbax, TensorStore and JSON raise all kinds for a damaged file
        if distributed.means_that_others_are_gone(error):
            raise
        if re.search(_NOT_OF_THE_FILE, str(error)) or (
            isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
        ):
            raise InputError(f"a checkpoint cannot be read: {reason_of(error)}; nothing was changed") from error
        raise DamagedError(reason_of(error)) from error


def reason_of(error: BaseException) -> str:
    """The message of an error, shortened to fit into a line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    for known in ("No space left on device", "Disk quota exceeded", "Permission denied"):
        if known.lower() in str(error).lower():
            return known
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:120]}"


def digest_of(tree: Any) -> str:
    """Digest of the names, shapes, dtypes and bits of all arrays."""
    digest = hashlib.blake2b(digest_size=16)
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        array = np.ascontiguousarray(leaf)
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        digest.update(f"{name} {array.shape} {array.dtype} ".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _digest_of_json(position: dict[str, Any]) -> str:
    content = {name: value for name, value in position.items() if name != "digest"}
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16).hexdigest()
