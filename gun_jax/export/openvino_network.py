"""The network for OpenVINO, as it is or in 8 bits."""

import logging
import os
import pathlib
import tempfile
from collections.abc import Callable, Sequence

import numpy as np
import onnx

from gun_jax.errors import InputError
from gun_jax.export.quiet_openvino import openvino


def openvino_network(network: onnx.ModelProto) -> openvino.Model:
    """The same network in OpenVINO's form: the batch is any number."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "network.onnx")
        onnx.save(network, path)
        return openvino.Core().read_model(path)


def quantise(network: openvino.Model, pictures: Sequence[int], read: Callable[[int], np.ndarray]) -> openvino.Model:
    """Convolutions in 8 bits, by NNCF: the ranges of what they see and give are those that some pictures lead to.

    Args:
      network: in 32 bits.
      pictures: their numbers.
      read: gives one, uint8 (1, H, W, 3), as the network takes it.
    """
    os.environ.setdefault("NNCF_CI", "1")  # else it reports its use over the network
    import nncf

    nncf.set_log_level(logging.ERROR)
    preset = nncf.QuantizationPreset.MIXED  # asymmetric ranges for what is not a ReLU's result
    return nncf.quantize(network, nncf.Dataset(pictures, read), preset=preset, subset_size=len(pictures))


def write_network(network: openvino.Model, path: pathlib.Path) -> None:
    """Writes PATH.xml and PATH.bin beside it, whole or not at all.

    Raises:
      InputError: they cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".unfinished-") as folder:
            unfinished = pathlib.Path(folder, path.name)
            openvino.save_model(network, unfinished, compress_to_fp16=False)
            for ending in (".bin", ".xml"):
                os.replace(unfinished.with_suffix(ending), path.with_suffix(ending))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose a --workdir that can be written") from error
