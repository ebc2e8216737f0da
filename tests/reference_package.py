"""The package built and installed as pip does it, without a look at the network."""

import os
import pathlib
import shutil
import subprocess
import sys

import gun_jax

ROOT = pathlib.Path(gun_jax.__file__).parents[1]
SOURCES = ("gun_jax", "configs", "tests", "pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE")
_PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


def run(*command, cwd, **environment):
    """Runs a command that has to succeed, without what leads to the repository; gives what it printed."""
    variables = os.environ | {"PYTHONPATH": ""} | environment
    result = subprocess.run(list(map(str, command)), cwd=cwd, env=variables, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def copy_sources(folder):
    """A copy of what builds the package, as building leaves folders behind."""
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder)
    return folder


def make_wheel(source, folder):
    """A wheel of a folder or of a source archive."""
    run(*_PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, source, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel, folder):
    """Installs a wheel and its commands, bin/, into a folder, beside the packages of this Python."""
    run(*_PIP, "install", "--no-deps", "--no-index", "--no-compile", "--target", folder, wheel, cwd=folder)
    return folder
