"""Looking through a data set: each kind of bad record is named, and what is good is not."""

import os

import numpy as np
import pytest
from reference_folders import draw, image, label

from gun_jax.data.checking import check_source
from gun_jax.data.classes import ClassMap
from gun_jax.data.folders import FolderSource

pytestmark = pytest.mark.fault("images and labels that cannot be used, and --check-data")
TWO = ClassMap(("a", "b"), ((1, 0, 0), (2, 0, 0)), {0: 0, 1: 1, 255: 255})


@pytest.fixture
def folders(tmp_path):
    """Six good pairs, a to f."""
    for number, key in enumerate("abcdef"):
        image(tmp_path / "images" / f"{key}.png", seed=number)
        label(tmp_path / "labels" / f"{key}.png", (0, 1, 255), seed=number)
    return tmp_path


def checked(root):
    calls = []
    source = FolderSource(root / "images", root / "labels", TWO)
    wrong, notes = check_source(source, 2, lambda: calls.append(1))
    assert len(calls) == len(source)
    return wrong, notes


def test_good_records_have_nothing_said_of_them(folders):
    assert checked(folders) == ([], [])


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


BREAKS = {
    "cut off": lambda root: cut(root / "images/c.png"),
    "cut off label": lambda root: cut(root / "labels/c.png"),
    "flipped bits": lambda root: flip(root / "images/c.png"),
    "empty": lambda root: (root / "images/c.png").write_bytes(b""),
    "empty label": lambda root: (root / "labels/c.png").write_bytes(b""),
    "no image": lambda root: (root / "images/c.png").write_text("a letter"),
    "another size": lambda root: label(root / "labels/c.png", (0, 1), size=(3, 4)),
    "a value outside": lambda root: label(root / "labels/c.png", (0, 7)),
    "colours": lambda root: draw(root / "labels/c.png", np.zeros((6, 8, 3))),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_each_kind_of_bad_record_is_named_in_a_line_and_alone(folders, broken):
    BREAKS[broken](folders)
    (line,), notes = checked(folders)
    assert "/c.png" in line and "\n" not in line and not notes


def test_files_that_are_gone_or_cannot_be_read_are_named(folders):
    source = FolderSource(folders / "images", folders / "labels", TWO)
    (folders / "images/b.png").unlink()
    (folders / "labels/e.png").unlink()
    wrong, _ = check_source(source, 2, lambda: None)
    assert [file in line for file, line in zip(("images/b.png", "labels/e.png"), wrong, strict=True)] == [True, True]


@pytest.fixture
def nobody(folders):
    """Makes root, who may read everything, somebody else while a test runs."""
    if os.geteuid() == 0:
        for folder in (folders, *folders.parents):
            if folder.name.startswith(("pytest-", "popen-", "test_")):
                folder.chmod(0o755)
        os.seteuid(65534)
        yield
        os.seteuid(0)
    else:
        yield


def test_a_file_without_permission_is_named(folders, request):
    (folders / "images/b.png").chmod(0)
    request.getfixturevalue("nobody")
    (line,), _ = checked(folders)
    assert "images/b.png" in line and "Permission denied" in line


def test_a_link_out_of_the_folder_is_noted_and_one_within_is_not(folders, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "x.png"
    (folders / "images/b.png").rename(elsewhere)
    (folders / "images/b.png").symlink_to(elsewhere)
    (folders / "images/d.png").unlink()
    (folders / "images/d.png").symlink_to(folders / "images/a.png")
    wrong, (note,) = checked(folders)
    assert not wrong and "images/b.png" in note and str(elsewhere) in note
