"""The final network as `export.py` writes it for OpenVINO: `python jax_export.py FILE.xml HEIGHT WIDTH [int8]`."""

import pathlib
import sys

import numpy as np

import gun_jax
from benchmarks.variables import random_variables
from gun_jax.export.onnx_network import onnx_network
from gun_jax.export.openvino_network import openvino_network, quantise, write_network


def main(file: str, height: str, width: str, *bits: str) -> None:
    size = int(height), int(width)
    model = gun_jax.GUN(19, input_subsampling=2)
    network = openvino_network(onnx_network(model, random_variables(model), size, size))
    if bits:
        images = np.random.default_rng(0).integers(0, 256, (1, *size, 3), np.uint8)
        network = quantise(network, [0, 1], lambda _: images)
    write_network(network, pathlib.Path(file))


if __name__ == "__main__":
    main(*sys.argv[1:])
