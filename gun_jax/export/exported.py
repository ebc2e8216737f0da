"""Runs exported networks of any format behind one function."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.export
import numpy as np

from gun_jax.errors import InputError
from gun_jax.export.spec import ExportSpec, read_spec

# float32 everywhere: on some processors OpenVINO would choose bfloat16.
OPENVINO_OPTIONS = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}


@dataclasses.dataclass(frozen=True)
class Exported:
    """A loaded network.

    Attributes:
      spec: inputs, outputs and classes.
      label: function from images, uint8 (B, H, W, 3) RGB, to labels, int32 (B, H, W).
    """

    spec: ExportSpec
    label: Callable[[np.ndarray], np.ndarray]

    def label_at(self, images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Like `label`, but checks that the labels have this size (H', W').

        Raises:
          InputError: they have another size.
        """
        labels = self.label(images)
        if labels.shape[1:] != size:
            raise InputError(
                f"labels of {_shown(labels.shape[1:])}; expected {_shown(size)} (height x width): export with "
                f"--size={_shown(size)}"
            )
        return labels


def load_exported(path: pathlib.Path) -> Exported:
    """Loads a network that `export.py` wrote.

    Args:
      path: the JSON file beside the network.

    Raises:
      InputError: a file is missing or damaged, or a package that runs the network is not installed.
    """
    spec = read_spec(path)
    file = path.parent / spec.file
    if not file.is_file():
        raise InputError(f"{path} belongs to {spec.file}, which is missing; export again")
    load = {"stablehlo": _stablehlo, "onnx": _onnx, "openvino": _openvino, "openvino-int8": _openvino}[spec.format]
    try:
        label = load(file)
    except ImportError as error:
        raise InputError(
            f"{file} needs {error.name}, from the `export` extra: make install EXTRAS=test,export"
        ) from error
    except Exception as error:  # each reader has its own kinds
        raise InputError(f"{file} is not a {spec.format} network: {error}") from error

    def checked(images: np.ndarray) -> np.ndarray:
        size = images.shape[1:3]
        given = f"images of {_shown(size)} for {file}; expected"
        if spec.size and size != spec.size:
            raise InputError(f"{given} {_shown(spec.size)} (height x width), or export with --size={_shown(size)}")
        if size[0] < spec.min_size[0] or size[1] < spec.min_size[1]:
            raise InputError(f"{given} {_shown(spec.min_size)} (height x width) or more: enlarge them")
        return label(images)

    return Exported(spec, checked)


def _shown(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))


def _stablehlo(file: pathlib.Path) -> Callable[[np.ndarray], np.ndarray]:
    call = jax.jit(jax.export.deserialize(bytearray(file.read_bytes())).call)
    return lambda images: np.asarray(call(images))


def _onnx(file: pathlib.Path) -> Callable[[np.ndarray], np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=onnxruntime.get_available_providers())
    return lambda images: session.run(["labels"], {"images": images})[0]


def _openvino(file: pathlib.Path) -> Callable[[np.ndarray], np.ndarray]:
    from gun_jax.export.quiet_openvino import openvino

    return compile_openvino(openvino.Core().read_model(file))


def compile_openvino(model: Any) -> Callable[[np.ndarray], np.ndarray]:
    """A compiled OpenVINO network: a function from images, uint8 (B, H, W, 3), to labels, int32 (B, H, W)."""
    from gun_jax.export.quiet_openvino import openvino

    shape = model.input("images").partial_shape
    shape[0] = 1  # OpenVINO is fastest with fixed shapes
    model.reshape({"images": shape})
    request = openvino.Core().compile_model(model, "CPU", OPENVINO_OPTIONS).create_infer_request()

    def label(images: np.ndarray) -> np.ndarray:
        return np.concatenate([request.infer([image[None]])["labels"] for image in images])

    return label
