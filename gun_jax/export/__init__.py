"""Deployment formats of trained networks: StableHLO, ONNX, OpenVINO, and OpenVINO quantised to 8 bits.

`exporter` writes them for `export.py`; `exported` loads them again.
"""
