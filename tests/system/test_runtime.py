"""The programs' process, seen from outside: page faults that it avoids, compilations that it keeps."""

import os
import platform
import subprocess
import sys

import pytest

from gun_jax.system.runtime import keep_compilations

PAGES = """
import resource, sys
if sys.argv[1] == "keep":
    from gun_jax.system.runtime import keep_memory
    keep_memory()
def touch():
    for _ in range(5):
        b"1" * 2**26  # 64 MiB, or 16384 pages of 4 KiB
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

COMPILE = """
import sys
import jax
from gun_jax.system import runtime
runtime._MIN_COMPILE_SECONDS = 0.0
runtime.keep_compilations(*sys.argv[1:])
jax.jit(lambda x: x + 1)(1.0)
"""


def run(code, *arguments, **environment):
    """What a new Python process prints; the tests' own cache of compilations is hidden from it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=kept | environment, check=True, capture_output=True, text=True).stdout


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="keep_memory does nothing without glibc")
def test_kept_memory_causes_no_page_faults():
    assert int(run(PAGES, "keep")) < 1000 < 10 * 1000 < int(run(PAGES, "as it is"))


GIVEN_BACK = """
import pathlib, sys
from gun_jax.system import runtime
runtime.keep_memory()
def resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1])
pieces = [b"1" * 2**20 for _ in range(256)]
before = resident()
del pieces
if sys.argv[1] == "back":
    runtime.give_back_memory()
print(before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="give_back_memory does nothing without glibc")
def test_freed_memory_is_returned_to_the_system():
    assert int(run(GIVEN_BACK, "keep")) < 1000 < 30 * 1000 < int(run(GIVEN_BACK, "back"))  # pages of 4 KiB; 256 MiB


def test_compilations_are_kept_in_the_folder(tmp_path):
    run(COMPILE, tmp_path / "cache")
    assert list((tmp_path / "cache").glob("*"))


def test_the_environment_s_folder_takes_precedence(tmp_path):
    environment = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "theirs")}
    run(COMPILE, tmp_path / "ours", JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0", **environment)
    assert list((tmp_path / "theirs").glob("*"))
    assert not (tmp_path / "ours").exists()


def test_nothing_is_kept_without_a_folder(tmp_path):
    run(COMPILE, "", XDG_CACHE_HOME=str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_by_default_they_are_kept_in_the_user_s_cache_folder(tmp_path):
    run(COMPILE, XDG_CACHE_HOME=str(tmp_path))
    assert list((tmp_path / "gun_jax").glob("*"))


def test_a_user_without_a_cache_folder_goes_without(tmp_path):
    (tmp_path / "file").touch()
    run(COMPILE, XDG_CACHE_HOME=str(tmp_path / "file"))


def test_a_folder_that_cannot_be_created_is_named_in_a_line(tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"^--compilation_cache is .*file/cache, which cannot be written; .*$"):
        keep_compilations(str(tmp_path / "file" / "cache"))
