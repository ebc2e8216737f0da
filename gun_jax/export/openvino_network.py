"""The network for OpenVINO, as it is or in 8 bits."""

import logging
import pathlib
import tempfile
from collections.abc import Callable, Sequence

import numpy as np
import onnx

from gun_jax.export.quiet_openvino import openvino


def openvino_network(network: onnx.ModelProto) -> openvino.Model:
    """The same network in OpenVINO's form: the batch is any number."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "network.onnx")
        onnx.save(network, path)
        return openvino.Core().read_model(path)


def quantise(network: openvino.Model, images: Sequence[int], read: Callable[[int], np.ndarray]) -> openvino.Model:
    """Convolutions in 8 bits, by NNCF: the ranges of what they see and give are those that some images lead to.

    Args:
      network: in 32 bits.
      images: their numbers.
      read: gives one, uint8 (1, H, W, 3), as the network takes it.
    """
    import nncf

    nncf.set_log_level(logging.ERROR)
    preset = nncf.QuantizationPreset.MIXED  # asymmetric ranges for what is not a ReLU's result
    return nncf.quantize(network, nncf.Dataset(images, read), preset=preset, subset_size=len(images))


def write_network(network: openvino.Model, path: pathlib.Path) -> None:
    """Writes PATH, which is an .xml, and a .bin beside it."""
    openvino.save_model(network, path, compress_to_fp16=False)
