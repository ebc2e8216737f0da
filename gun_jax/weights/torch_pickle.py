"""Reads the pickles of PyTorch files without running them.

A pickle is a program, and Python's own unpickler runs it: it imports what is named and calls it. The machine here reads
the program instead. It knows text, numbers, tuples, lists and dictionaries, and the few names of `_ADMITTED`; it
imports nothing, and calls nothing but what stands below. What it builds is bounded by the length of the pickle.
"""

import collections
import dataclasses
import math
import pickletools
from typing import Any, BinaryIO

import jax.numpy as jnp
import numpy as np

_MAX_STEPS = 200_000  # of a pickle; a tensor takes some 40, and the deepest DRN has 400 of them
_MAX_AXES = 64  # of an array, in NumPy and PyTorch


class ForbiddenError(Exception):
    """What a pickle asked for and does not get: the name of a function or class."""


@dataclasses.dataclass(eq=False)
class Storage:
    """A run of numbers in the file, of which the pickle knows the type and how many they are."""

    dtype: np.dtype
    count: int
    content: bytes | None = None

    @property
    def size(self) -> int:
        return self.count * self.dtype.itemsize

    def fill(self, content: bytes) -> None:
        """Takes the bytes of the storage, as many as the pickle said."""
        if len(content) != self.size:
            raise ValueError(f"a storage of {self.size} bytes has {len(content)}")
        self.content = content


@dataclasses.dataclass(eq=False)
class Tensor:
    """A view of a storage; offset and strides are in numbers, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> np.ndarray:
        """The tensor as a view of the bytes of its storage; ValueError or TypeError if it would reach out of them."""
        dtype = self.storage.dtype
        if math.prod(self.shape) > self.storage.count:  # else a few bytes could stand for more than the memory holds
            raise ValueError("a tensor larger than its storage")
        if 0 in self.shape:
            return np.zeros(self.shape, dtype)
        strides = [stride * dtype.itemsize for stride in self.strides]
        return np.ndarray(self.shape, dtype, self.storage.content, self.offset * dtype.itemsize, strides)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    # What follows, gradients and hooks, matters to training in PyTorch only.
    if not (isinstance(storage, Storage) and isinstance(shape, tuple) and isinstance(strides, tuple)):
        raise ValueError("a tensor without storage, shape or strides")
    if not len(shape) == len(strides) <= _MAX_AXES or not all(map(_is_natural, (offset, *shape, *strides))):
        raise ValueError("a tensor of impossible shape, strides or offset")
    return Tensor(storage, offset, shape, strides)


def _itself(value: Any, *_: Any) -> Any:
    return value


def _ordered_dictionary(pairs: Any = ()) -> dict:
    """Python 2 hands the entries over as a list of pairs, Python 3 sets them afterwards."""
    found: dict = collections.OrderedDict()
    for key, value in pairs:
        _set(found, key, value)
    if pairs:
        pairs.clear()  # a pickle that names one long list again and again would fill the memory with copies
    return found


_CONSTRUCTORS = {
    "collections.OrderedDict": _ordered_dictionary,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _itself,
    "torch.Size": _itself,
}
_STORAGE_TYPES = {
    "torch.DoubleStorage": np.dtype(np.float64),
    "torch.FloatStorage": np.dtype(np.float32),
    "torch.HalfStorage": np.dtype(np.float16),
    "torch.BFloat16Storage": np.dtype(jnp.bfloat16),
    "torch.LongStorage": np.dtype(np.int64),
    "torch.IntStorage": np.dtype(np.int32),
    "torch.ShortStorage": np.dtype(np.int16),
    "torch.CharStorage": np.dtype(np.int8),
    "torch.ByteStorage": np.dtype(np.uint8),
    "torch.BoolStorage": np.dtype(np.bool_),
}
_ADMITTED: dict[str, Any] = _CONSTRUCTORS | _STORAGE_TYPES

# Opcodes that push a value, of all protocols; the tables of pickletools say what each is.
_VALUES = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
           "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}


class Machine:
    """Reads one pickle.

    Attributes:
      storages: those that the pickle has named, by their keys.
    """

    def __init__(self) -> None:
        self.storages: dict[str, Storage] = {}
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # the rest of the stack, below each mark
        self._memo: dict[int, Any] = {}

    def run(self, file: BinaryIO) -> Any:
        """Returns what the pickle at this place of the file describes, and leaves the file where the pickle ends.

        Raises:
          ForbiddenError: it asks for anything but tensors and ordered dictionaries.
          Exception: of any kind; it is damaged.
        """
        for number, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if number == _MAX_STEPS:
                raise ValueError(f"a pickle of more than {_MAX_STEPS} steps")
            self._step(opcode.name, argument)
        return self._stack.pop()

    def _step(self, opcode: str, argument: Any) -> None:
        stack, pop = self._stack, self._stack.pop
        match opcode:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case _ if opcode in _VALUES:
                stack.append(argument)
            case _ if opcode in _CONSTANTS:
                stack.append(_CONSTANTS[opcode])
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "MARK":
                self._below.append(stack)
                self._stack = []
            case "TUPLE" | "APPENDS" | "SETITEMS":
                self._stack = self._below.pop()
                self._gather(opcode, stack)
            case "TUPLE1" | "TUPLE2" | "TUPLE3" | "APPEND" | "SETITEM":
                size = {"APPEND": 1, "SETITEM": 2}.get(opcode) or int(opcode[-1])
                items, stack[-size:] = stack[-size:], []
                self._gather(opcode, items)
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = stack[-1]
            case "MEMOIZE":
                self._memo[len(self._memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self._memo[argument])
            case "GLOBAL":
                stack.append(_admitted(argument.replace(" ", ".")))
            case "STACK_GLOBAL":
                name, module = pop(), pop()
                stack.append(_admitted(f"{_of_type(str, module)}.{_of_type(str, name)}"))
            case "REDUCE":
                arguments, constructor = pop(), pop()
                if constructor not in _CONSTRUCTORS.values():
                    raise ValueError("a call of what cannot be called")
                stack.append(constructor(*arguments))
            case "BUILD":
                pop()  # attributes of an ordered dictionary: the versions of modules, which nothing here reads
            case "BINPERSID":
                stack.append(self._storage(*pop()))
            case "INST":
                raise ForbiddenError(_shown(argument.replace(" ", ".")))
            case _:
                raise ValueError(f"opcode {opcode}, which PyTorch does not write")

    def _gather(self, opcode: str, items: list[Any]) -> None:
        """Makes a tuple of the items, or puts them into the list or dictionary on top of the stack."""
        if opcode.startswith("TUPLE"):
            self._stack.append(tuple(items))
        elif opcode.startswith("APPEND"):
            _of_type(list, self._stack[-1]).extend(items)
        else:
            for key, value in zip(items[::2], items[1::2], strict=True):
                _set(_of_type(dict, self._stack[-1]), key, value)

    def _storage(self, kind: Any, dtype: Any, key: Any, _device: Any, count: Any, view: Any = None) -> Storage:
        if kind != "storage" or not isinstance(dtype, np.dtype) or view is not None:
            raise ValueError("a reference to something else than a storage")
        storage = self.storages.setdefault(_of_type(str, key), Storage(dtype, count))
        if not _is_natural(count) or (storage.dtype, storage.count) != (dtype, count):
            raise ValueError("a storage of several types or sizes")
        return storage


def _admitted(name: str) -> Any:
    if name not in _ADMITTED:
        raise ForbiddenError(_shown(name))
    return _ADMITTED[name]


def _shown(name: str) -> str:
    return ascii(name[:100])[1:-1]


def _of_type(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"a {type(value).__name__} in place of a {kind.__name__}")
    return value


def _set(dictionary: dict, key: Any, value: Any) -> None:
    if not isinstance(key, str | int):  # the hash of nested tuples can take for ever
        raise ValueError("a key that is neither text nor a number")
    dictionary[key] = value


def _is_natural(number: Any) -> bool:
    return type(number) is int and 0 <= number < 2**48  # no product of two overflows
