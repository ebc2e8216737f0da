"""OpenVINO, which on import would report its use over the network, from a forked process."""

import sys

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # then it takes its own stub

import openvino  # noqa: E402

__all__ = ["openvino"]
