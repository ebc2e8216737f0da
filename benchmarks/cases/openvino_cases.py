"""The final network in OpenVINO: converted from PyTorch by OpenVINO's front end, and written by `export.py`."""

import functools
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable

import numpy as np

# OpenVINO and NNCF would report their use over the network.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
os.environ.setdefault("NNCF_CI", "1")

import openvino  # noqa: E402

OPTIONS = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}


def of_torch(size: tuple[int, int], batch: int, int8: bool = False) -> Callable[[], object]:
    import torch
    from torch_network import TorchGUN

    images = torch.randn(batch, 3, *size)
    model = openvino.convert_model(TorchGUN(labels=True).eval(), example_input=images)
    model.reshape([batch, 3, *size])
    return _run(_quantised(model, images.numpy()) if int8 else model, images.numpy())


def of_export(size: tuple[int, int], batch: int, int8: bool = False) -> Callable[[], object]:
    """A process of its own writes the network: one that runs an exported network has no JAX in it."""
    with tempfile.TemporaryDirectory() as folder:
        path, program = pathlib.Path(folder, "network.xml"), pathlib.Path(__file__).with_name("jax_export.py")
        if status := subprocess.run([sys.executable, program, path, *map(str, size), *["int8"] * int8]).returncode:
            sys.exit(status)  # the process has printed the reason
        model = openvino.Core().read_model(path)
        model.reshape([batch, *size, 3])
        return _run(model, np.random.default_rng(0).integers(0, 256, (batch, *size, 3), np.uint8))


def _quantised(model: openvino.Model, images: np.ndarray) -> openvino.Model:
    """Quantises like `gun_jax.export.openvino_network.quantise`."""
    import nncf

    preset = nncf.QuantizationPreset.MIXED
    return nncf.quantize(model, nncf.Dataset([0, 1], lambda _: images), preset=preset, subset_size=2)


def _run(model: openvino.Model, images: np.ndarray) -> Callable[[], object]:
    request = openvino.Core().compile_model(model, "CPU", OPTIONS).create_infer_request()
    return lambda: request.infer([images])


CASES = {
    "openvino": of_torch,
    "openvino int8": functools.partial(of_torch, int8=True),
    "export": of_export,
    "export int8": functools.partial(of_export, int8=True),
}
