"""The package as pip makes and installs it: what a wheel holds, and that its commands run away from the repository."""

import ast
import configparser
import email
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tomllib
import types
import venv
import zipfile

import pytest
from reference_package import ROOT, copy_sources, install, make_wheel, run

import gun_jax

SMALL = ("model.width=0.1", "data.synthetic_size=(64,128)", "data.synthetic_val=2", "data.crop=()", "batch_size=2",
         "steps=2", "optimizer.warmup_epochs=0")  # fmt: skip


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return copy_sources(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    """The files in a wheel of the repository, and what its metadata says."""
    path = make_wheel(source, tmp_path_factory.mktemp("wheel"))
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    of_package = {name: content for name, content in files.items() if ".dist-info/" not in name}
    metadata = {name.partition(".dist-info/")[2]: content for name, content in files.items() if ".dist-info/" in name}
    return types.SimpleNamespace(path=path, files=of_package, metadata=metadata)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    return install(wheel.path, tmp_path_factory.mktemp("installed"))


def projects_files():
    """What the repository has of the package: paths in a wheel, and paths here."""
    files = [path for path in (ROOT / "gun_jax").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    configs = {f"gun_jax/configs/{path.name}": path for path in (ROOT / "configs").glob("*.py")}
    return {path.relative_to(ROOT).as_posix(): path for path in files} | configs


# What is in it


def test_a_wheel_holds_the_code_the_configs_and_the_mark_of_types_and_nothing_else(wheel):
    assert wheel.files == {name: path.read_bytes() for name, path in projects_files().items()}


def test_a_wheel_that_is_made_from_a_source_archive_holds_the_same(source, wheel, tmp_path):
    run(sys.executable, "-c", f"import setuptools.build_meta as b; b.build_sdist({str(tmp_path)!r})", cwd=source)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        assert not [name for name in packed.getnames() if "/tests/" in name]
    with zipfile.ZipFile(make_wheel(archive, tmp_path)) as other:
        assert {name: other.read(name) for name in other.namelist() if ".dist-info/" not in name} == wheel.files


def test_every_program_of_the_package_has_a_command(wheel):
    commands = configparser.ConfigParser()
    commands.read_string(wheel.metadata["entry_points.txt"].decode())
    programs = [path.stem for path in ROOT.glob("*.py") if path.stem not in ("benchmark", "setup")]
    assert dict(commands["console_scripts"]) == {f"gun-{name}": f"gun_jax.programs.{name}:run" for name in programs}
    for name in programs:
        program = ast.parse((ROOT / "gun_jax" / "programs" / f"{name}.py").read_text())
        assert "run" in [part.name for part in program.body if isinstance(part, ast.FunctionDef)]


# What it says of itself


def test_the_version_is_the_one_of_the_package(wheel):
    assert email.message_from_bytes(wheel.metadata["METADATA"])["Version"] == gun_jax.__version__


def test_the_licence_comes_along_and_is_named(wheel):
    assert email.message_from_bytes(wheel.metadata["METADATA"])["License-Expression"] == "Apache-2.0"
    assert wheel.metadata["licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()


def test_the_pythons_it_is_said_to_be_for_begin_with_the_one_that_it_needs(wheel):
    metadata = email.message_from_bytes(wheel.metadata["METADATA"])
    named = [
        re.fullmatch(r"Programming Language :: Python :: 3\.(\d+)", line) for line in metadata.get_all("Classifier")
    ]
    minors = [int(match[1]) for match in named if match]
    assert minors == list(range(minors[0], minors[-1] + 1))
    assert metadata["Requires-Python"] == f">=3.{minors[0]}"


def test_what_the_extras_ask_for_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [line for lines in (project["dependencies"], *project["optional-dependencies"].values()) for line in lines]
    names = {re.match(r"[\w.-]+", line)[0] for line in asked}
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    assert {canonical(name) for name in names} <= {canonical(pin.partition("==")[0]) for pin in pins}


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


# Away from the repository


def gun(installed, command, *arguments, cwd):
    """Runs a command of the wheel that was installed."""
    return subprocess.run(
        [sys.executable, "-P", installed / "bin" / command, *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )


def test_importing_the_package_takes_neither_pytorch_nor_tensorflow_nor_what_only_programs_need(installed, tmp_path):
    without = "torch", "tensorflow", "tensorflow_datasets", "onnx", "openvino", "matplotlib", "tensorboardX"
    code = f"import sys; sys.modules |= dict.fromkeys({without}); import gun_jax; print(gun_jax.__file__)"
    printed = run(sys.executable, "-P", "-c", code, cwd=tmp_path, PYTHONPATH=str(installed))
    assert pathlib.Path(printed.strip()) == installed / "gun_jax" / "__init__.py"


def test_an_installed_command_is_told_by_its_name(installed, tmp_path):
    told = gun(installed, "gun-export", "--help", cwd=tmp_path).stdout
    assert "gun-export" in told and "--format" in told
    result = gun(installed, "gun-evaluate", cwd=tmp_path)
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
    assert result.stderr.startswith("gun-evaluate: no run with a checkpoint in")


def test_an_installed_command_finds_the_configs_that_came_along_or_names_them(installed, tmp_path):
    for config, words in (("synthetic", "config.steps is -1"), ("other", "configs/synthetic.py")):
        result = gun(installed, "gun-train", f"--config=configs/{config}.py", "--config.steps=-1", cwd=tmp_path)
        assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
        assert result.stderr.startswith("gun-train: ") and words in result.stderr


@pytest.mark.slow
def test_a_wheel_in_a_new_environment_trains_evaluates_and_exports(wheel, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / "bin"
    run(programs / "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", wheel.path, cwd=tmp_path)
    settings = [f"--config.{setting}" for setting in SMALL]
    run(programs / "gun-train", "--config=configs/synthetic.py", "--workdir=runs/small", *settings, cwd=tmp_path)
    run(programs / "gun-evaluate", cwd=tmp_path)
    run(programs / "gun-export", "--format=stablehlo", cwd=tmp_path)
    assert (tmp_path / "runs" / "small" / "evaluation" / "val.json").exists()
    assert (tmp_path / "runs" / "small" / "export" / "stablehlo.stablehlo").exists()
