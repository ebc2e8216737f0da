"""OpenVINO and NNCF do not report their use over the network."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

import gun_jax

for package in ("openvino", "nncf"):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed", allow_module_level=True)

ROOT = pathlib.Path(gun_jax.__file__).parents[1]


def test_importing_openvino_starts_no_telemetry_process():
    program = "import jax; jax.numpy.ones(1); import gun_jax.export.openvino_network"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "fork" not in done.stderr


TELEMETRY = """
class Telemetry:
    def __init__(self, *_, app_name, **__):
        self.app_name = app_name
    def start_session(self, *_, **__):
        print("reported", self.app_name)
    send_event = end_session = start_session
"""


@pytest.mark.parametrize(
    ("imports", "reported"),
    [
        ("import gun_jax.export.openvino_network, nncf", ""),
        ("import openvino, gun_jax.export.openvino_network, nncf", "reported OpenVINO\n"),  # by the first import
    ],
)
def test_openvino_and_nncf_do_not_report_their_use(imports, reported, tmp_path):
    (tmp_path / "openvino_telemetry" / "backend").mkdir(parents=True)
    (tmp_path / "openvino_telemetry" / "__init__.py").write_text(TELEMETRY)
    (tmp_path / "openvino_telemetry" / "backend" / "backend_ga4.py").touch()
    program = f"{imports}; nncf.telemetry.wrapper.telemetry.send_event('', '', '')"
    environment = {key: value for key, value in os.environ.items() if key != "NNCF_CI"}  # else inherited from here
    environment["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{ROOT}"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, reported), done.stderr
