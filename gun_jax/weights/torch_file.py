"""Reads the tensors of a PyTorch file without PyTorch, and without running anything that the file might hold.

Both formats of `torch.save` are read: the zip archive of today, and the sequence of pickles of PyTorch before 1.6, in
which the DRN weights were published. All that is read takes no more memory than a small multiple of the file: tensors
are views of the numbers that it holds.
"""

import io
import os
import pathlib
import zipfile
from typing import Any

import numpy as np

from gun_jax.errors import InputError
from gun_jax.weights.torch_pickle import ForbiddenError, Machine, Tensor

_ZIP_START = b"PK\x03\x04"
# Of the legacy format: `MAGIC_NUMBER` and `PROTOCOL_VERSION` of torch/serialization.py.
_LEGACY_START = [0x1950A86A20F9469CFC6C, 1001]
_LONGEST_NAME = 200  # characters; of tensors, which error messages repeat


def read_torch_file(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads a state dictionary: a file that maps names to tensors, or one that holds such a map as "state_dict".

    Returns:
      Name to array, in the file's order; shapes and dtypes are PyTorch's. The arrays are read-only, and may share
      memory where tensors share storage.

    Raises:
      InputError: no such file, not one of PyTorch's, damaged, of other content, or one whose pickle asks for anything
        but tensors and ordered dictionaries.
    """
    path = pathlib.Path(path)
    try:
        if path.exists() and not path.is_file():
            raise OSError(0, "Not a file")  # a pipe or a device might never end
        content = path.read_bytes()
        return _state_dictionary(_read_archive(content) if content.startswith(_ZIP_START) else _read_legacy(content))
    except ForbiddenError as error:
        raise InputError(
            f"weights {path}: the file asks for {error}, and was not run; expected tensors and ordered dictionaries "
            "only, as torch.save(model.state_dict(), path) writes them"
        ) from error
    except _ContentError as error:
        raise InputError(
            f"weights {path}: the file holds {error}; expected a dictionary of names to tensors"
        ) from error
    except OSError as error:
        raise InputError(f"weights {path}: {error.strerror or error}; expected a file that PyTorch saved") from error
    except Exception as error:  # what a damaged archive or pickle raises is not to be foreseen
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(
            f"weights {path}: not a file that PyTorch saved, or damaged ({reason[:200]}); fetch or save it again"
        ) from error


class _ContentError(Exception):
    """What a sound file holds in place of a dictionary of tensors."""


def _state_dictionary(content: Any) -> dict[str, np.ndarray]:
    if isinstance(content, dict):
        content = content.get("state_dict", content)  # of a checkpoint that has the epoch and others beside it
    if not isinstance(content, dict):
        raise _ContentError(f"an object of type {type(content).__name__}")
    arrays = {}
    for name, value in content.items():
        if not isinstance(name, str) or not name.isprintable() or len(name) > _LONGEST_NAME:
            raise _ContentError("a dictionary with a name that is no tensor's")
        if not isinstance(value, Tensor):
            raise _ContentError(f"{name!r} of type {type(value).__name__}")
        try:
            arrays[name] = value.array()
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{name} of shape {value.shape} does not lie in its storage of {value.storage.count} numbers"
            ) from error
    return arrays


def _read_archive(content: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        # PyTorch does not compress. Entries that unpack to more than the file, or lie upon each other, are no weights.
        if sum(entry.file_size for entry in archive.infolist()) > len(content):
            raise ValueError("the entries of the archive are larger than the file")
        pickles = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
        if len(pickles) != 1:
            raise ValueError(f"an archive with {len(pickles)} files data.pkl; expected one")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise ValueError("numbers with the high byte first")
        machine = Machine()
        root = machine.run(io.BytesIO(archive.read(pickles[0])))
        for key, storage in machine.storages.items():
            storage.fill(archive.read(f"{folder}data/{key}"))
    return root


def _read_legacy(content: bytes) -> Any:
    """Five pickles: magic number, version, system, root, keys of the storages; then count and bytes of each storage."""
    file = io.BytesIO(content)
    if [Machine().run(file) for _ in _LEGACY_START] != _LEGACY_START:
        raise ValueError("it does not start with PyTorch's magic number")
    if Machine().run(file)["little_endian"] is not True:
        raise ValueError("numbers with the high byte first")
    machine = Machine()
    root = machine.run(file)
    keys = Machine().run(file)
    if not all(isinstance(key, str) for key in keys) or sorted(keys) != sorted(machine.storages):
        raise ValueError("the tensors name other storages than the file lists")
    for key in keys:
        storage = machine.storages[key]
        count = int.from_bytes(file.read(8), "little")
        if count != storage.count:
            raise ValueError(f"a storage of {storage.count} numbers has {count}")
        storage.fill(file.read(storage.size))
    return root
