"""Atomic writes: the content before, after, and when writing fails."""

import errno
import pathlib

import pytest

from gun_jax.errors import InputError
from gun_jax.system.files import atomic_write


@pytest.mark.parametrize("content", [b"\x00\xff\n", "grüße\n", b"", ""])
def test_a_file_holds_what_was_written(tmp_path, content):
    atomic_write(tmp_path / "file", content)
    assert (tmp_path / "file").read_bytes() == (content if isinstance(content, bytes) else content.encode("utf-8"))


def test_the_folders_above_it_are_created(tmp_path):
    atomic_write(str(tmp_path / "a" / "b" / "file.txt"), "x")
    assert (tmp_path / "a" / "b" / "file.txt").read_text() == "x"


def test_an_older_file_is_replaced_and_nothing_else_is_left(tmp_path):
    atomic_write(tmp_path / "file", "a longer text")
    atomic_write(tmp_path / "file", "new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"file": "new"}


def test_a_reader_meets_the_old_file_until_the_new_one_is_whole(tmp_path, monkeypatch):
    seen = []

    def watched(self, content):
        done = real(self, content)
        seen.append((tmp_path / "file").read_text())
        return done

    atomic_write(tmp_path / "file", "old")
    real = pathlib.Path.write_bytes
    monkeypatch.setattr(pathlib.Path, "write_bytes", watched)
    atomic_write(tmp_path / "file", "new")
    assert seen == ["old"]


def test_a_full_disk_leaves_the_old_file_and_is_reported_in_a_line(tmp_path, monkeypatch):
    def full(self, content):
        real(self, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    atomic_write(tmp_path / "file", "old")
    real = pathlib.Path.write_bytes
    monkeypatch.setattr(pathlib.Path, "write_bytes", full)
    with pytest.raises(InputError, match=rf"^cannot write {tmp_path}/file: No space left on device; .*$"):
        atomic_write(tmp_path / "file", "a new text")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"file": "old"}


def test_a_folder_that_is_a_file_is_reported_in_a_line(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(InputError, match=rf"^cannot write {tmp_path}/runs/demo/config\.json: .*$"):
        atomic_write(tmp_path / "runs" / "demo" / "config.json", "{}")
