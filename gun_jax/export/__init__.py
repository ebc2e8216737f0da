"""Trained networks in the forms in which they are deployed: StableHLO, ONNX, OpenVINO, OpenVINO in 8 bits.

`exporter` is what `export.py` calls; `exported` reads any of the forms back.
"""
