"""Imports OpenVINO without its telemetry: on import, OpenVINO and NNCF report their use over the network.

Import this module before both.
"""

import os
import sys

os.environ.setdefault("NNCF_CI", "1")  # NNCF reads it on import
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # then both use their stubs

import openvino  # noqa: E402

__all__ = ["openvino"]
