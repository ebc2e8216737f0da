"""OpenVINO, which on import would report its use over the network, from a forked process; and NNCF, when it is used.

To be imported before both.
"""

import os
import sys

os.environ.setdefault("NNCF_CI", "1")  # NNCF reads it on import
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # then both take their own stubs

import openvino  # noqa: E402

__all__ = ["openvino"]
