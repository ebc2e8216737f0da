"""PyTorch files, written opcode by opcode: sound ones are read; damaged, foreign and hostile ones end in one line."""

import builtins
import os
import pickle
import struct
import tracemalloc
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest
from reference_torch import (
    MAGIC,
    NUMBERS,
    STORAGES,
    VERSION,
    WRITERS,
    Raw,
    call,
    described,
    name_of,
    one_storage,
    opcodes,
    ordered,
    pickled,
    refused,
    storage,
    tensor,
    write,
    write_legacy,
    write_zip,
)

from gun_jax.errors import InputError
from gun_jax.weights.torch_file import read_torch_file

FORMS = sorted(WRITERS)
ARRAYS = {"a.weight": np.arange(12, dtype=np.float32).reshape(3, 4) - 5, "a.count": np.array(7)}


# Sound files


@pytest.mark.parametrize("form", FORMS)
def test_arrays_of_every_type_come_back_by_name_in_order_and_read_only(tmp_path, form):
    numbers = np.array([[0, 1, 2], [3, 4, 5]])
    arrays = {name: numbers.astype(jnp.bfloat16 if name == "bfloat16" else name) for name in STORAGES} | ARRAYS
    found = read_torch_file(write(tmp_path / "x.pth", arrays, form))
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype and not found[name].flags.writeable
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("form", FORMS)
def test_tensors_that_share_a_storage_are_their_parts_of_it(tmp_path, form):
    root = {
        "transposed": tensor("Float", "0", 6, (3, 2), (1, 3)),
        "second row": tensor("Float", "0", 6, (3,), (1,), offset=3),
        "every second": tensor("Float", "0", 6, (2,), (2,), offset=1),
        "number": tensor("Float", "0", 6, (), (), offset=5),
        "nothing": tensor("Float", "0", 6, (0, 3), (3, 1)),
    }
    found = read_torch_file(one_storage(tmp_path / "x.pth", root, form))
    np.testing.assert_array_equal(found["transposed"], [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_array_equal(found["second row"], [3, 4, 5])
    np.testing.assert_array_equal(found["every second"], [1, 3])
    assert found["number"] == 5 and found["number"].shape == () and found["nothing"].shape == (0, 3)


def test_a_file_of_python_2_comes_back(tmp_path):
    """Text as bytes, ordered dictionaries as lists of pairs, and tensors that know neither gradients nor hooks."""
    text = Raw(b"U\x06weight")
    old = call("torch._utils", "_rebuild_tensor", storage("Float", "0", 6, (None,)), 0, (2, 3), (3, 1))
    root = call("collections", "OrderedDict", [[text, old]])
    found = read_torch_file(one_storage(tmp_path / "x.pth", root))
    np.testing.assert_array_equal(found["weight"], NUMBERS.reshape(2, 3))


@pytest.mark.parametrize("form", FORMS)
def test_the_parameters_of_a_checkpoint_s_state_dictionary_come_back(tmp_path, form):
    inner = tensor("Float", "0", 6, (6,), (1,))
    state = ordered({"x": call("torch._utils", "_rebuild_parameter", inner, True, call("collections", "OrderedDict"))})
    root = {"epoch": 3, "best": 70.5, "optimizer": {0: [1, None]}, "state_dict": state}
    found = read_torch_file(one_storage(tmp_path / "x.pth", root, form))
    assert list(found) == ["x"]
    np.testing.assert_array_equal(found["x"], NUMBERS)


# Damaged files


@pytest.mark.parametrize("form", FORMS)
def test_a_file_cut_anywhere_is_refused(tmp_path, form):
    content = write(tmp_path / "whole.pth", ARRAYS, form).read_bytes()
    path = tmp_path / "x.pth"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        refused(path)


@pytest.mark.parametrize("form", FORMS)
def test_a_file_with_any_byte_changed_is_refused_or_still_a_state_dictionary(tmp_path, form):
    content = write(tmp_path / "whole.pth", ARRAYS, form).read_bytes()
    rng, path, refusals = np.random.default_rng(0), tmp_path / "x.pth", 0
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
        try:
            found = read_torch_file(path)
            assert all(isinstance(array, np.ndarray) and array.nbytes <= 100 for array in found.values())
        except InputError as error:
            assert str(error).isprintable()
            refusals += 1
    assert refusals > len(content) / 3


def test_a_number_changed_in_an_archive_is_seen_by_its_checksum(tmp_path):
    path = write(tmp_path / "x.pth", ARRAYS, "zip")
    content = path.read_bytes()
    weight = ARRAYS["a.weight"].tobytes()
    assert content.count(weight) == 1
    path.write_bytes(content.replace(weight, weight[::-1]))
    refused(path, "CRC")


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"text\n", b"<!DOCTYPE html>404", b"PK\x03\x04", b"\x89PNG\r\n\x1a\n", bytes(1000), b"\x80\x02.",
     b"\x80\x02\x82\x01.", pickle.dumps(bytearray(9), 5), pickle.dumps(b"text", 4)],
)  # fmt: skip
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "x.pth").write_bytes(content)
    refused(tmp_path / "x.pth", "not a file that PyTorch saved, or damaged")


def test_a_missing_file_a_folder_and_a_pipe_are_refused(tmp_path):
    refused(tmp_path / "no.pth", "No such file or directory")
    refused(tmp_path, "Not a file")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "Not a file")


@pytest.mark.parametrize(
    "wrong", [{"magic": MAGIC + 1}, {"version": 1000}, {"system": {"little_endian": False}}, {"system": {}},
              {"keys": []}, {"keys": ["0", "0"]}, {"keys": ["1"]}, {"keys": [0]}, {"keys": 5}]
)  # fmt: skip
def test_a_legacy_file_with_another_header_is_refused(tmp_path, wrong):
    root = {"x": tensor("Float", "0", 6, (6,), (1,))}
    write_legacy(tmp_path / "x.pth", root, {"0": (6, NUMBERS.tobytes())}, **wrong)
    refused(tmp_path / "x.pth", "damaged")


@pytest.mark.parametrize("count", [5, 7, 0, -1, 2**62])
def test_a_legacy_storage_of_another_count_is_refused(tmp_path, count):
    root = {"x": tensor("Float", "0", 6, (6,), (1,))}
    write_legacy(tmp_path / "x.pth", root, {"0": (count, NUMBERS.tobytes())})
    refused(tmp_path / "x.pth", "a storage of 6 numbers has")


@pytest.mark.parametrize("content", [b"", bytes(23), bytes(25), bytes(48)])
def test_an_archive_with_a_storage_of_another_size_is_refused(tmp_path, content):
    write_zip(tmp_path / "x.pth", {"x": tensor("Float", "0", 6, (6,), (1,))}, {"0": (6, content)})
    refused(tmp_path / "x.pth", f"a storage of 24 bytes has {len(content)}")


def test_an_archive_without_a_storage_is_refused(tmp_path):
    write_zip(tmp_path / "x.pth", {"x": tensor("Float", "0", 6, (6,), (1,))}, {})
    refused(tmp_path / "x.pth", "archive/data/0")


def test_an_archive_of_big_endian_numbers_is_refused(tmp_path):
    write_zip(tmp_path / "x.pth", *described(ARRAYS), byteorder="big")
    refused(tmp_path / "x.pth", "big-endian")


@pytest.mark.parametrize("names", [[], ["a/data.pkl", "b/data.pkl"]])
def test_an_archive_without_its_one_pickle_is_refused(tmp_path, names):
    with zipfile.ZipFile(tmp_path / "x.pth", "w") as archive:
        for name in [*names, "notes.txt"]:
            archive.writestr(name, pickled({}))
    refused(tmp_path / "x.pth", "data.pkl")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((7,), (1,), 0),
        ((6,), (1,), 1),
        ((2, 3), (4, 1), 0),
        ((2,), (6,), 0),
        ((), (), 6),
        ((1,), (1,), 2**40),
        ((2, 3), (3,), 0),
        ((2,), (-1,), 1),
        ((-2,), (1,), 0),
        ((2,), (1,), -1),
        ((2.0,), (1,), 0),
        ((True,), (1,), 0),
        ((2,), (2**61,), 0),
        ((1,) * 65, (1,) * 65, 0),
    ],
)
def test_a_tensor_that_reaches_out_of_its_storage_is_refused(tmp_path, form, shape, strides, offset):
    root = {"x": tensor("Float", "0", 6, shape, strides, offset)}
    refused(one_storage(tmp_path / "x.pth", root, form), "damaged")


@pytest.mark.parametrize(
    "other", [storage("Double", "0", 6), storage("Float", "0", 5), storage("Float", "0", 6, (("v", 1, 2),)),
              storage("Float", 0, 6), storage("Float", "0", "six"), Raw(b"NQ"), Raw(b")Q")],
    ids=range(7),
)  # fmt: skip
def test_a_storage_that_contradicts_itself_is_refused(tmp_path, other):
    second = call("torch._utils", "_rebuild_tensor_v2", other, 0, (1,), (1,), False, None)
    root = {"x": tensor("Float", "0", 6, (6,), (1,)), "y": second}
    refused(one_storage(tmp_path / "x.pth", root), "damaged")


# Sound files that hold no state dictionary


@pytest.mark.parametrize(
    ("root", "words"),
    [
        ({"epoch": 3}, "an object of type int as 'epoch'"),
        ({"x": tensor("Float", "0", 6, (6,), (1,)), "args": {}}, "an object of type Dict as 'args'"),
        ({"state_dict": 5}, "an object of type int"),
        ([1, 2], "an object of type list"),
        (tensor("Float", "0", 6, (6,), (1,)), "an object of type Tensor"),
        (None, "an object of type NoneType"),
        ({3: tensor("Float", "0", 6, (6,), (1,))}, "a key that is no tensor's name"),
        ({"a\nb": tensor("Float", "0", 6, (6,), (1,))}, "a key that is no tensor's name"),
        ({"a" * 1000: tensor("Float", "0", 6, (6,), (1,))}, "a key that is no tensor's name"),
    ],
)
def test_other_content_is_refused_by_its_type(tmp_path, root, words):
    storages = {"0": (6, NUMBERS.tobytes())} if b"storage" in opcodes(root) else {}
    write_legacy(tmp_path / "x.pth", root, storages)
    refused(tmp_path / "x.pth", "the file holds ", words, "expected a dictionary of names to tensors")


# Pickles that call other code


class Exploit:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def exploits(sentinel):
    """Name and pickle of calls; the first eight and the last but two would write the file."""
    touch, write_it = f"touch {sentinel}", f"open({str(sentinel)!r}, 'w').close()"
    for protocol in (0, 2, 5):
        yield "posix.system", pickle.dumps(Exploit(os.system, touch), protocol)
    yield "__builtin__.eval", pickle.dumps(Exploit(builtins.eval, write_it), 2)
    yield (
        "builtins.getattr",
        pickled(
            Raw(call("builtins", "getattr", call("builtins", "__import__", "os"), "system") + opcodes((touch,)) + b"R")
        ),
    )
    yield "builtins.exec", pickled({"x": call("builtins", "exec", write_it)})
    yield "subprocess.Popen", pickled([call("subprocess", "Popen", ["touch", str(sentinel)])])
    yield "os.system", b"(cos\nsystem\nS'" + touch.encode() + b"'\no."
    yield "torch.load", pickled(call("torch", "load", str(sentinel)))
    yield "torch._utils.os.system", b"\x80\x04\x8c\x0ctorch._utils\x8c\x09os.system\x93" + opcodes((touch,)) + b"R."
    yield "numpy", pickle.dumps(np.zeros(3))


NAMES = [name for name, _ in exploits("x")]


def write_exploit(path, content, place):
    """A file whose pickle at this place is the content."""
    if place == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", content)
        return
    before = {"legacy": (MAGIC, VERSION, {"little_endian": True}), "system": (MAGIC, VERSION)}
    before["keys"] = *before["legacy"], {}
    path.write_bytes(b"".join(map(pickled, before.get(place, ()))) + content)


@pytest.mark.parametrize(
    ("number", "place"),
    [*((number, form) for number in range(len(NAMES)) for form in FORMS), (0, "first"), (0, "system"), (0, "keys")],
)
def test_a_pickle_that_asks_for_other_code_is_refused_by_its_name_and_runs_nothing(tmp_path, number, place):
    path, sentinel = tmp_path / "x.pth", tmp_path / "it ran"
    name, content = list(exploits(sentinel))[number]
    write_exploit(path, content, place)
    refused(path, f"asks for {name}", "was not run")
    assert not sentinel.exists()


def test_the_same_pickles_do_run_in_python_s_unpickler(tmp_path):
    for number in range(6):
        sentinel = tmp_path / f"ran{number}"
        pickle.loads(list(exploits(sentinel))[number][1])
        assert sentinel.exists(), number


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("opcodes", [b"(S'true'\nios\nsystem\n.", b"\x82\x01.", b"ccollections\nOrderedDict\n)\x81."])
def test_opcodes_that_no_file_of_tensors_needs_are_refused(tmp_path, opcodes, form):
    """INST, EXT1 and NEWOBJ make objects by other ways than a call."""
    write_exploit(tmp_path / "x.pth", opcodes, form)
    refused(tmp_path / "x.pth", "not a file that PyTorch saved, or damaged (KeyError")


@pytest.mark.parametrize("name", [("torch._utils", "_rebuild_tensor_v2"), ("collections", "OrderedDict")])
def test_attributes_of_allowed_names_cannot_be_set(tmp_path, name):
    change = Raw(name_of(*name) + opcodes((None, {"__defaults__": (1,), "array": "changed"})) + b"b")
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
def test_impossible_calls_are_refused(tmp_path, called):
    refused(one_storage(tmp_path / "x.pth", {"x": Raw(called)}), "damaged")


def test_a_name_that_would_break_the_line_is_shown_in_ascii(tmp_path):
    evil = b"\x80\x04" + opcodes("a\nb\x1b[31m") + opcodes("é" * 10_000) + b"\x93."
    (tmp_path / "x.pth").write_bytes(evil)
    refused(tmp_path / "x.pth", r"a\nb\x1b[31m")


# Pickles that would fill the memory or never end


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
        Raw(b"]r\xff\xff\xff\x7f"),  # a memo of two thousand million places
        Raw(b"\x8e" + struct.pack("<Q", 2**40)),  # bytes that do not follow
        Raw(b"\x8d" + struct.pack("<Q", 2**62)),
        Raw(b"\x95" + struct.pack("<Q", 2**62)),  # a frame
        Raw(b"}" + doubled(60) + b"Ns"),
        {"x": doubled(60)},
        {"x": tensor("Float", doubled(60), 6, (6,), (1,))},
        {"x": tensor("Float", "0", 6, (2**40,), (0,))},
        {"x": tensor("Float", "0", 2**40, (2**40,), (1,))},
        {"x": tensor("Float", "0", 6, doubled(60), (1,))},
        {"x": tensor("Float", "0", 6, (doubled(60),), (1,))},
        repeated_pairs(10_000, 2_000),
    ],
    ids=range(12),
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


@pytest.mark.parametrize(("opcode", "form"), [(b"(", "zip"), (b"}", "legacy")])
def test_a_pickle_without_end_is_refused_in_bounded_memory(tmp_path, opcode, form):
    write_exploit(tmp_path / "x.pth", b")" + opcode * 3_000_000, form)
    tracemalloc.start()
    try:
        refused(tmp_path / "x.pth", "cut off or larger than 1048576 bytes")
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()


def test_an_archive_that_unpacks_to_more_than_its_size_is_refused(tmp_path):
    root, storages = described({"x": np.zeros(10_000_000, np.float32)})
    write_zip(tmp_path / "x.pth", root, storages, zipfile.ZIP_DEFLATED)
    assert (tmp_path / "x.pth").stat().st_size < 100_000
    refused(tmp_path / "x.pth", "larger than the file")
