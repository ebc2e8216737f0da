"""PyTorch files written opcode by opcode: sound ones come back, damaged ones and those of other content are refused."""

import os
import pickle
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest
from reference_torch import (
    MAGIC,
    NUMBERS,
    STORAGES,
    WRITERS,
    Raw,
    call,
    described,
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


# What comes back


@pytest.mark.parametrize("form", FORMS)
def test_a_state_dictionary_comes_back_by_name_and_in_order(tmp_path, form):
    found = read_torch_file(write(tmp_path / "x.pth", ARRAYS, form))
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", STORAGES)
def test_every_type_of_numbers_comes_back(tmp_path, form, name):
    array = np.array([[0, 1, 2], [3, 4, 5]]).astype(jnp.bfloat16 if name == "bfloat16" else name)
    found = read_torch_file(write(tmp_path / "x.pth", {"x": array}, form))["x"]
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


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


def test_a_parameter_is_its_tensor(tmp_path):
    hooks = call("collections", "OrderedDict")
    inner = tensor("Float", "0", 6, (6,), (1,))
    root = {"x": call("torch._utils", "_rebuild_parameter", inner, True, hooks)}
    np.testing.assert_array_equal(read_torch_file(one_storage(tmp_path / "x.pth", root))["x"], NUMBERS)


@pytest.mark.parametrize("form", FORMS)
def test_the_state_dictionary_of_a_checkpoint_comes_back(tmp_path, form):
    state = ordered({"x": tensor("Float", "0", 6, (6,), (1,))})
    root = {"epoch": 3, "best": 70.5, "optimizer": {0: [1, None]}, "state_dict": state}
    assert list(read_torch_file(one_storage(tmp_path / "x.pth", root, form))) == ["x"]


def test_a_file_cannot_be_changed_through_what_was_read(tmp_path):
    assert not read_torch_file(write(tmp_path / "x.pth", ARRAYS))["a.weight"].flags.writeable


# What is damaged


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


def test_a_missing_file_is_refused(tmp_path):
    refused(tmp_path / "no.pth", "No such file or directory")


def test_a_folder_and_a_pipe_are_refused(tmp_path):
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


def test_an_archive_of_numbers_with_the_high_byte_first_is_refused(tmp_path):
    write_zip(tmp_path / "x.pth", *described(ARRAYS), byteorder="big")
    refused(tmp_path / "x.pth", "high byte first")


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
        ([2], [1], 0),
    ],
)
def test_a_tensor_that_reaches_out_of_its_storage_is_refused(tmp_path, form, shape, strides, offset):
    root = {"x": tensor("Float", "0", 6, shape, strides, offset)}
    refused(one_storage(tmp_path / "x.pth", root, form), "damaged")


def test_a_tensor_of_more_axes_than_there_are_is_refused(tmp_path):
    root = {"x": tensor("Float", "0", 6, (1,) * 65, (1,) * 65)}
    refused(one_storage(tmp_path / "x.pth", root), "a tensor of impossible shape")


@pytest.mark.parametrize(
    "other", [storage("Double", "0", 6), storage("Float", "0", 5), storage("Float", "0", 6, (("v", 1, 2),)),
              storage("Float", 0, 6), storage("Float", "0", "six"), Raw(b"NQ"), Raw(b")Q")],
    ids=range(7),
)  # fmt: skip
def test_a_storage_that_contradicts_itself_is_refused(tmp_path, other):
    second = call("torch._utils", "_rebuild_tensor_v2", other, 0, (1,), (1,), False, None)
    root = {"x": tensor("Float", "0", 6, (6,), (1,)), "y": second}
    refused(one_storage(tmp_path / "x.pth", root), "damaged")


# What is sound but no state dictionary


@pytest.mark.parametrize(
    ("root", "words"),
    [
        ({"epoch": 3}, "'epoch' of type int"),
        ({"x": tensor("Float", "0", 6, (6,), (1,)), "args": {}}, "'args' of type dict"),
        ({"state_dict": 5}, "an object of type int"),
        ([1, 2], "an object of type list"),
        (tensor("Float", "0", 6, (6,), (1,)), "an object of type Tensor"),
        (None, "an object of type NoneType"),
        ({3: tensor("Float", "0", 6, (6,), (1,))}, "a name that is no tensor's"),
        ({"a\nb": tensor("Float", "0", 6, (6,), (1,))}, "a name that is no tensor's"),
        ({"a" * 1000: tensor("Float", "0", 6, (6,), (1,))}, "a name that is no tensor's"),
    ],
)
def test_other_content_is_refused_by_what_it_is(tmp_path, root, words):
    storages = {"0": (6, NUMBERS.tobytes())} if b"storage" in opcodes(root) else {}
    write_legacy(tmp_path / "x.pth", root, storages)
    refused(tmp_path / "x.pth", f"the file holds {words}" if words[0] == "'" else words)
