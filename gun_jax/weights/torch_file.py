"""Reads the tensors of a PyTorch file without PyTorch and without running code from the file.

Both formats of `torch.save` are read: the zip archive, and the sequence of pickles of PyTorch before 1.6, in which the
DRN weights were published. Tensors are views of the file's bytes; memory stays within a small multiple of its size.
"""

import dataclasses
import io
import math
import os
import pathlib
import pickle
import zipfile
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from gun_jax.errors import InputError

_ZIP_START = b"PK\x03\x04"
_LEGACY_START = [0x1950A86A20F9469CFC6C, 1001]  # MAGIC_NUMBER and PROTOCOL_VERSION of torch/serialization.py
_EXPECTED = "expected a dictionary of names to tensors"
_MAX_NAME = 200  # characters of a tensor's name, which error messages repeat
_MAX_AXES = 64  # of an array, in NumPy and PyTorch
_MAX_PICKLE = 2**20  # bytes of the pickles; a tensor takes about 200, and the deepest DRN has 400 tensors
_STORAGES = {"Double": "f8", "Float": "f4", "Half": "f2", "BFloat16": jnp.bfloat16, "Long": "i8", "Int": "i4",
             "Short": "i2", "Char": "i1", "Byte": "u1", "Bool": "?"}  # fmt: skip
_OPCODES = [
    "PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "LONG4",
    "BINFLOAT", "BINSTRING", "SHORT_BINSTRING", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "EMPTY_TUPLE", "TUPLE",
    "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "APPEND", "APPENDS", "SETITEM", "SETITEMS", "BINPUT", "LONG_BINPUT",
    "MEMOIZE", "BINGET", "LONG_BINGET", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BINPERSID",
]  # fmt: skip
# The unpickler in C sets attributes of what `find_class` returns, hashes any key and allocates any size that the file
# asks for; the one in Python can be restricted.
_BASE: Any = pickle._Unpickler


def read_torch_file(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads a state dictionary: a file that maps names to tensors, or a checkpoint that holds one as "state_dict".

    Returns:
      Name to array, in the file's order, with PyTorch's shapes and dtypes. The arrays are read-only and share memory
      where the tensors share a storage.

    Raises:
      InputError: no such file, not a PyTorch file, damaged, other content, or a pickle that asks for anything but
        tensors and ordered dictionaries.
    """
    path = pathlib.Path(path)
    try:
        if path.exists() and not path.is_file():
            raise OSError(0, "Not a file")  # a pipe or a device might never end
        content = path.read_bytes()
        return _arrays(_read_archive(content) if content.startswith(_ZIP_START) else _read_legacy(content))
    except _RefusedError as error:
        raise InputError(f"weights {path}: the file {error}") from error
    except OSError as error:
        raise InputError(f"weights {path}: {error.strerror or error}; expected a file that PyTorch saved") from error
    except Exception as error:  # a damaged file can raise any exception
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(
            f"weights {path}: not a file that PyTorch saved, or damaged ({reason[:200]}); download or save it again"
        ) from error


class _RefusedError(Exception):
    """A sound file that is not one of tensors; the message continues "the file"."""


@dataclasses.dataclass(eq=False)
class _Storage:
    dtype: np.dtype
    count: int
    content: bytes = b""

    def fill(self, content: bytes) -> None:
        size = self.count * self.dtype.itemsize
        if len(content) != size:
            raise ValueError(f"a storage of {size} bytes has {len(content)}")
        self.content = content


class _Tensor:
    """A view of a storage; offset and strides count elements, not bytes."""

    def __init__(self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any):
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def array(self) -> np.ndarray:
        """Returns the view; raises ValueError or TypeError if it reaches out of the storage."""
        shape, strides, storage, size = self.shape, self.strides, self.storage, self.storage.dtype.itemsize
        if not len(shape) == len(strides) <= _MAX_AXES or not all(map(_is_natural, (self.offset, *shape, *strides))):
            raise ValueError("impossible offset, shape or strides")
        if math.prod(shape) > storage.count:  # strides of 0 would let a few bytes claim any amount of memory
            raise ValueError("larger than its storage")
        if 0 in shape:
            return np.zeros(shape, storage.dtype)
        steps = [stride * size for stride in strides]
        return np.ndarray(shape, storage.dtype, storage.content, self.offset * size, steps)


class _Dict(dict):
    """A dictionary of text and numbers alone: the hash of a nested tuple may never end."""

    def __setitem__(self, key: Any, value: Any) -> None:
        if not isinstance(key, str | int):
            raise ValueError("a key that is neither text nor a number")
        super().__setitem__(key, value)


def _ordered_dictionary(pairs: Any = ()) -> _Dict:
    found = _Dict()
    for key, value in pairs:  # Python 2 passes the entries as a list, Python 3 sets them afterwards
        found[key] = value
    if pairs:
        pairs.clear()  # one long list, passed again and again, would fill the memory with copies
    return found


def _first(value: Any, *_: Any) -> Any:
    return value


def _is_natural(number: Any) -> bool:
    return type(number) is int and 0 <= number < 2**48  # no product of two overflows


_ALLOWED: dict[str, Any] = {
    "collections.OrderedDict": _ordered_dictionary,
    "torch._utils._rebuild_tensor": _Tensor,
    "torch._utils._rebuild_tensor_v2": _Tensor,
    "torch._utils._rebuild_parameter": _first,
    "torch.Size": _first,
} | {f"torch.{name}Storage": np.dtype(kind) for name, kind in _STORAGES.items()}


class _Unpickler(_BASE):
    """Python's unpickler with the opcodes and names that a file of tensors needs."""

    dispatch: ClassVar[dict[int, Any]] = {
        **{opcode: _BASE.dispatch[opcode] for opcode in (getattr(pickle, name)[0] for name in _OPCODES)},
        pickle.EMPTY_DICT[0]: lambda self: self.append(_Dict()),
        pickle.BUILD[0]: lambda self: self.stack.pop(),  # drops an ordered dictionary's attributes: modules' versions
    }

    def __init__(self, file: io.BytesIO):
        super().__init__(file, encoding="utf-8")
        self.storages: dict[str, _Storage] = {}

    def load(self) -> Any:
        try:
            return super().load()
        except EOFError as error:
            raise ValueError(f"a pickle that is cut off or larger than {_MAX_PICKLE} bytes") from error

    def find_class(self, module: str, name: str) -> Any:
        if (full := f"{module}.{name}") not in _ALLOWED:
            raise _RefusedError(
                f"asks for {ascii(full[:100])[1:-1]}, which was not run; expected tensors and ordered dictionaries "
                "only, from torch.save(model.state_dict(), path)"
            )
        return _ALLOWED[full]

    def persistent_load(self, reference: Any) -> _Storage:
        kind, dtype, key, _, count, *view = reference
        if kind != "storage" or not isinstance(dtype, np.dtype) or not isinstance(key, str) or view not in ([], [None]):
            raise ValueError("a reference to something else than a storage")
        storage = self.storages.setdefault(key, _Storage(dtype, count))
        if not _is_natural(count) or (storage.dtype, storage.count) != (dtype, count):
            raise ValueError("a storage of several types or sizes")
        return storage


def _read_archive(content: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        # PyTorch does not compress: entries larger than the file are compressed or overlap.
        if sum(entry.file_size for entry in archive.infolist()) > len(content):
            raise ValueError("the entries of the archive are larger than the file")
        pickles = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
        if len(pickles) != 1:
            raise ValueError(f"an archive with {len(pickles)} files data.pkl; expected one")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise ValueError("big-endian numbers")
        unpickler = _Unpickler(io.BytesIO(archive.read(pickles[0])[:_MAX_PICKLE]))
        root = unpickler.load()
        for key, storage in unpickler.storages.items():
            storage.fill(archive.read(f"{folder}data/{key}"))
    return root


def _read_legacy(content: bytes) -> Any:
    """Five pickles: magic number, version, system, root, keys of the storages; then count and bytes of each storage."""
    file = io.BytesIO(content[:_MAX_PICKLE])
    if [_Unpickler(file).load() for _ in _LEGACY_START] != _LEGACY_START:
        raise ValueError("it does not start with PyTorch's magic number")
    if _Unpickler(file).load()["little_endian"] is not True:
        raise ValueError("big-endian numbers")
    unpickler = _Unpickler(file)
    root, keys = unpickler.load(), _Unpickler(file).load()
    if not all(isinstance(key, str) for key in keys) or sorted(keys) != sorted(unpickler.storages):
        raise ValueError("the tensors name other storages than the file lists")
    position = file.tell()
    for key in keys:
        storage = unpickler.storages[key]
        count, start = int.from_bytes(content[position : position + 8], "little"), position + 8
        if count != storage.count:
            raise ValueError(f"a storage of {storage.count} numbers has {count}")
        position = start + count * storage.dtype.itemsize
        storage.fill(content[start:position])
    return root


def _arrays(content: Any) -> dict[str, np.ndarray]:
    if isinstance(content, dict):
        content = content.get("state_dict", content)  # a checkpoint has the epoch and others beside it
    if not isinstance(content, dict):
        raise _RefusedError(f"holds {_type(content)}; {_EXPECTED}")
    arrays = {}
    for name, value in content.items():
        if not isinstance(name, str) or not name.isprintable() or len(name) > _MAX_NAME:
            raise _RefusedError(f"holds a dictionary with a key that is no tensor's name; {_EXPECTED}")
        if not isinstance(value, _Tensor):
            raise _RefusedError(f"holds {_type(value)} as {name!r}; {_EXPECTED}")
        try:
            arrays[name] = value.array()
        except (ValueError, TypeError) as error:
            raise ValueError(f"tensor {name} does not fit its storage: {error}") from error
    return arrays


def _type(value: Any) -> str:
    return f"an object of type {type(value).__name__.strip('_')}"
