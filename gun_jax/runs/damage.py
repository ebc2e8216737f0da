"""Whether a checkpoint is as it was written: digests of what it holds, and reading that says which one is damaged."""

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

# What TensorStore and XLA say where memory, rights or open files are short.
_NOT_OF_THE_FILE = r"RESOURCE_EXHAUSTED|PERMISSION_DENIED|Too many open files"
Read = TypeVar("Read")


class DamagedError(Exception):
    """A checkpoint cannot be read, or not as it was written."""


def seal(position: dict[str, Any], digests: dict[str, str]) -> dict[str, Any]:
    """The JSON values of a checkpoint's `position` item: where the training stands, and all digests."""
    sealed = {"training": position, "digests": digests}
    return sealed | {"digest": _digest_of_json(sealed)}


def newest_whole(folder: pathlib.Path, steps: list[int], read: Callable[[int], Read]) -> tuple[int, Read]:
    """The newest of the checkpoints of these steps that `read` can read, in all processes, and what it gives.

    Warns of those that it cannot, for which `read` raises a DamagedError.

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
            for told in reasons:
                warnings.warn(f"{told}; going back to that of step {step}", InputWarning, stacklevel=3)
            return step, cast(Read, found)
        reasons.append(f"checkpoint {folder / str(step)} is damaged ({reason or 'another process cannot read it'})")
        steps = [other for other in steps if other < step]
    raise InputError(
        f"{'; '.join(reasons)}; there is none before it that is whole: copy it anew, or train in a new --workdir"
    )


def read_position(path: pathlib.Path) -> dict[str, Any]:
    """What `seal` made of a checkpoint's position.

    Raises:
      DamagedError: it cannot be read, or is not as it was written.
      InputError: it was saved by a version without digests.
    """
    with reading(), contextlib.closing(ocp.JsonCheckpointHandler()) as handler:
        position = handler.restore(path / "position")
    if isinstance(position, dict) and "network" in position:  # as before there were digests
        raise InputError(f"{path} was saved by a version of gun_jax before digests; use that one, or a new --workdir")
    if not isinstance(position, dict) or position.get("digest") != _digest_of_json(position):
        raise DamagedError("its position is not as it was written")
    return position


def read_arrays(path: pathlib.Path, item: str, like: Any, position: dict[str, Any]) -> Any:
    """An item of a checkpoint, with the shapes and shardings of `like`, compared with its digest in `read_position`'s.

    Raises:
      DamagedError: it cannot be read, or is not as it was written.
    """
    # Orbax's handlers, unlike what is above them, do not wait for other processes.
    with reading(), contextlib.closing(ocp.StandardCheckpointHandler()) as handler:
        found = handler.restore(path / item, args=ocp.args.StandardRestore(like))
    if digest_of(found) != position["digests"].get(item):
        raise DamagedError(f"its {item} are not as they were written")
    return found


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Makes a DamagedError of whatever reading a damaged file raises; an InputError where the file is not to blame."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # whatever Orbax, TensorStore, or a reader of JSON makes of a damaged file
        if distributed.means_that_others_are_gone(error):
            raise
        if re.search(_NOT_OF_THE_FILE, str(error)) or (
            isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
        ):
            raise InputError(f"a checkpoint cannot be read: {reason_of(error)}; nothing was changed") from error
        raise DamagedError(reason_of(error)) from error


def reason_of(error: BaseException) -> str:
    """What an error says, in a part of a line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    for known in ("No space left on device", "Disk quota exceeded", "Permission denied"):
        if known.lower() in str(error).lower():
            return known
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:120]}"


def digest_of(tree: Any) -> str:
    """Of the names, shapes, dtypes and bits of all arrays."""
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
