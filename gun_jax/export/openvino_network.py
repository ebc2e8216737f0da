"""The network for OpenVINO, in float32 or quantised to 8 bits."""

import logging
import pathlib
import tempfile
from collections.abc import Callable, Sequence

import numpy as np
import onnx

from gun_jax.export.quiet_openvino import openvino


def openvino_network(network: onnx.ModelProto) -> openvino.Model:
    """The same network for OpenVINO, for any batch size."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "network.onnx")
        onnx.save(network, path)
        return openvino.Core().read_model(path)


def quantise(network: openvino.Model, images: Sequence[int], read: Callable[[int], np.ndarray]) -> openvino.Model:
    """Quantises convolutions to 8 bits by NNCF, with ranges of activations measured on calibration images.

    Args:
      network: in float32.
      images: indices of the calibration images.
      read: returns the image of an index, uint8 (1, H, W, 3), at the network's size.
    """
    import nncf

    nncf.set_log_level(logging.ERROR)
    preset = nncf.QuantizationPreset.MIXED  # asymmetric ranges for activations that can be negative
    return nncf.quantize(network, nncf.Dataset(images, read), preset=preset, subset_size=len(images))


def write_network(network: openvino.Model, path: pathlib.Path) -> None:
    """Writes `path`, an .xml file, and a .bin file beside it."""
    openvino.save_model(network, path, compress_to_fp16=False)
