"""A writer of PyTorch files, both formats, from the opcodes of the pickle protocol; without PyTorch."""

import io
import struct
import zipfile

import numpy as np
import pytest

from gun_jax.errors import InputError
from gun_jax.weights.torch_file import read_torch_file

STORAGES = {
    "float64": "Double", "float32": "Float", "float16": "Half", "bfloat16": "BFloat16", "int64": "Long", "int32": "Int",
    "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool",
}  # fmt: skip
NUMBERS = np.arange(6, dtype="<f4")
MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001


class Raw(bytes):
    """Opcodes, as they are."""


def name_of(module, name):
    return Raw(f"c{module}\n{name}\n".encode())


def opcodes(value):
    """What pushes a value."""
    if isinstance(value, Raw):
        return value
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        size = value.bit_length() // 8 + 1
        return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
    if isinstance(value, tuple):
        return b"(" + b"".join(map(opcodes, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(opcodes, value)) + b"e"
    return b"}(" + b"".join(opcodes(key) + opcodes(entry) for key, entry in value.items()) + b"u"


def call(module, name, *arguments):
    return Raw(name_of(module, name) + opcodes(arguments) + b"R")


def pickled(value):
    return b"\x80\x02" + opcodes(value) + b"."


def storage(kind, key, count, view=()):
    reference = ("storage", name_of("torch", f"{kind}Storage"), key, "cpu", count, *view)
    return Raw(opcodes(reference) + b"Q")


def tensor(kind, key, count, shape, strides, offset=0):
    hooks = call("collections", "OrderedDict")
    arguments = storage(kind, key, count), offset, shape, strides, False, hooks
    return call("torch._utils", "_rebuild_tensor_v2", *arguments)


def ordered(entries):
    """An ordered dictionary with attributes, as `Module.state_dict` gives it."""
    body = b"".join(opcodes(key) + opcodes(value) for key, value in entries.items())
    metadata = {"_metadata": {"": {"version": 1}}}
    return Raw(call("collections", "OrderedDict") + b"(" + body + b"u" + opcodes(metadata) + b"b")


def described(arrays):
    """(the root of a state dictionary of these arrays, key to (count, bytes) of its storages)."""
    entries, storages = {}, {}
    for number, (name, array) in enumerate(arrays.items()):
        key, kind = str(100 + number), STORAGES[array.dtype.name]
        strides = tuple(int(np.prod(array.shape[axis + 1 :])) for axis in range(array.ndim))
        entries[name] = tensor(kind, key, array.size, array.shape, strides)
        storages[key] = array.size, array.tobytes()
    return ordered(entries), storages


def write_zip(path, root, storages, compression=zipfile.ZIP_STORED, folder="archive", **others):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{folder}/data.pkl", pickled(root))
        for name, content in {"byteorder": "little", **others}.items():
            archive.writestr(f"{folder}/{name}", content)
        for key, (_, content) in storages.items():
            archive.writestr(f"{folder}/data/{key}", content)
        archive.writestr(f"{folder}/version", "3\n")


def write_legacy(path, root, storages, magic=MAGIC, version=VERSION, system=None, keys=None):
    file = io.BytesIO()
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}} if system is None else system
    for value in (magic, version, system, root, sorted(storages) if keys is None else keys):
        file.write(pickled(value))
    for _, (count, content) in sorted(storages.items()):
        file.write(struct.pack("<q", count) + content)
    path.write_bytes(file.getvalue())


WRITERS = {"zip": write_zip, "legacy": write_legacy}


def write(path, arrays, form="legacy"):
    """Writes arrays by their names, as `torch.save(module.state_dict(), path)` does."""
    WRITERS[form](path, *described(arrays))
    return path


def refused(path, *words):
    """The one line in which a file is refused."""
    with pytest.raises(InputError) as caught:
        read_torch_file(path)
    message = str(caught.value)
    assert str(path) in message and message.isprintable() and len(message) < 600 + len(str(path))
    for word in words:
        assert word in message
    return message


def one_storage(path, root, form="legacy", content=NUMBERS):
    """A file of the storage "0" of six float32."""
    WRITERS[form](path, root, {"0": (6, content.tobytes())})
    return path
