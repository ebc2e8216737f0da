"""Pickles in weight files that want to run something, or to fill the memory: refused by name, and nothing runs."""

import builtins
import os
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from reference_torch import (
    MAGIC,
    VERSION,
    WRITERS,
    Raw,
    call,
    described,
    name_of,
    one_storage,
    opcodes,
    pickled,
    refused,
    tensor,
    write,
    write_zip,
)

from gun_jax.weights.torch_file import read_torch_file

FORMS = sorted(WRITERS)
ARRAYS = {"a.weight": np.arange(12, dtype=np.float32).reshape(3, 4) - 5, "a.count": np.array(7)}


# What wants to run


class Exploit:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def exploits(sentinel):
    """Pickles that would write a file, and the name by which each is to be refused."""
    touch, write_it = f"touch {sentinel}", f"open({str(sentinel)!r}, 'w').close()"
    for protocol in range(6):
        yield "posix.system", pickle.dumps(Exploit(os.system, touch), protocol)
        yield (
            "builtins.eval" if protocol > 2 else "__builtin__.eval",
            pickle.dumps(Exploit(builtins.eval, write_it), protocol),
        )
    module = call("builtins", "__import__", "os")
    reached = Raw(call("builtins", "getattr", module, "system") + opcodes((touch,)) + b"R")
    yield "builtins.getattr", pickled(reached)
    yield "builtins.exec", pickled({"x": call("builtins", "exec", write_it)})
    yield "subprocess.Popen", pickled([call("subprocess", "Popen", ["touch", str(sentinel)])])
    yield "os.system", b"(S'" + touch.encode() + b"'\nios\nsystem\n."
    yield "os.system", b"(cos\nsystem\nS'" + touch.encode() + b"'\no."
    yield "torch.load", pickled(call("torch", "load", str(sentinel)))
    yield "torch._utils.os.system", b"\x80\x04\x8c\x0ctorch._utils\x8c\x09os.system\x93" + opcodes((touch,)) + b"R."
    yield "numpy", pickle.dumps(np.zeros(3))


NAMES = [name for name, _ in exploits("x")]


@pytest.mark.parametrize("place", ["zip", "legacy", "first", "system", "keys", "alone"])
@pytest.mark.parametrize("number", range(len(NAMES)), ids=NAMES)
def test_a_pickle_that_asks_for_more_is_refused_by_its_name_and_does_nothing(tmp_path, number, place):
    path, sentinel = tmp_path / "x.pth", tmp_path / "it ran"
    name, content = list(exploits(sentinel))[number]
    if place == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", content)
    else:
        before = {"legacy": (MAGIC, VERSION, {"little_endian": True}), "system": (MAGIC, VERSION)}
        before["keys"] = *before["legacy"], {}
        path.write_bytes(b"".join(map(pickled, before.get(place, ()))) + content)
    refused(path, f"asks for {name}", "was not run")
    assert not sentinel.exists()


def test_the_same_pickles_do_run_in_python_s_unpickler(tmp_path):
    for number in (0, 1, 4, 12, 13, 15, 16):
        sentinel = tmp_path / f"ran{number}"
        pickle.loads(list(exploits(sentinel))[number][1])
        assert sentinel.exists(), number


@pytest.mark.parametrize("target", [name_of("torch._utils", "_rebuild_tensor_v2"), name_of("torch", "FloatStorage")])
def test_attributes_of_what_is_admitted_cannot_be_set(tmp_path, target):
    change = Raw(target + opcodes((None, {"__defaults__": (1,), "__name__": "changed"})) + b"b")
    path = one_storage(tmp_path / "x.pth", {"x": [change]})
    refused(path)
    assert list(read_torch_file(write(path, ARRAYS))) == list(ARRAYS)


@pytest.mark.parametrize(
    "called",
    [
        name_of("torch", "FloatStorage") + b")R",
        opcodes("text") + b")R",
        call("torch._utils", "_rebuild_tensor_v2", 1, 2),
        call("torch._utils", "_rebuild_tensor_v2", "text", 0, (1,), (1,)),
        call("collections", "OrderedDict", 5),
        call("collections", "OrderedDict", [[(1, 2), 3]]),
    ],
)
def test_calls_that_are_none_are_refused(tmp_path, called):
    refused(one_storage(tmp_path / "x.pth", {"x": Raw(called)}), "damaged")


def test_a_name_that_would_break_the_line_is_shown_in_ascii(tmp_path):
    evil = b"\x80\x04" + opcodes("a\nb\x1b[31m") + opcodes("é" * 10_000) + b"\x93."
    (tmp_path / "x.pth").write_bytes(evil)
    refused(tmp_path / "x.pth", r"a\nb\x1b[31m")


# What would fill the memory


def doubled(times):
    """A tuple of a tuple ... twice each: to hash or to write it takes 2 to the power of `times` steps."""
    return Raw(b")" + b"q\x01h\x01\x86" * times)


def repeated_pairs(pairs, times):
    """Many ordered dictionaries of one long list of pairs."""
    entries = b"".join(opcodes(f"{i}") + b"N\x86" for i in range(pairs))
    return Raw(b"(](" + entries + b"eq\x01ccollections\nOrderedDict\nq\x02" + b"h\x02h\x01\x85R" * times + b"t")


@pytest.mark.parametrize(
    "root",
    [
        Raw(b"]r\xff\xff\xff\x7f"),  # a memo of two thousand million places; it is sound but holds a list
        Raw(b"\x8e" + struct.pack("<Q", 2**40)),  # bytes that do not follow
        Raw(b"\x8d" + struct.pack("<Q", 2**62)),
        Raw(b"\x95" + struct.pack("<Q", 2**62)),  # a frame
        Raw(b"}" + doubled(60) + b"Ns"),
        {"x": doubled(60)},
        {"x": tensor("Float", doubled(60), 6, (6,), (1,))},
        {"x": tensor("Float", "0", 6, (2**40,), (0,))},
        {"x": tensor("Float", "0", 2**40, (2**40,), (1,))},
        {"x": tensor("Float", "0", 6, (1,) * 100, (1,) * 100)},
        repeated_pairs(10_000, 2_000),
    ],
    ids=range(11),
)
@pytest.mark.parametrize("form", FORMS)
def test_a_small_file_that_asks_for_much_memory_is_refused_in_little(tmp_path, root, form):
    path = one_storage(tmp_path / "x.pth", root, form)
    tracemalloc.start()
    try:
        refused(path)
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("content", [b"(" * 400_000, b")" + b"\x85" * 400_000, b"N" * 400_000])
def test_a_pickle_without_end_is_refused_after_as_many_steps_as_a_network_needs(tmp_path, content):
    (tmp_path / "x.pth").write_bytes(content)
    refused(tmp_path / "x.pth", "a pickle of more than 200000 steps")


def test_an_archive_that_unpacks_to_more_than_its_size_is_refused(tmp_path):
    root, storages = described({"x": np.zeros(10_000_000, np.float32)})
    write_zip(tmp_path / "x.pth", root, storages, zipfile.ZIP_DEFLATED)
    assert (tmp_path / "x.pth").stat().st_size < 100_000
    refused(tmp_path / "x.pth", "larger than the file")
