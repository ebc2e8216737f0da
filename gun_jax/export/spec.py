"""The JSON file beside an exported network: its inputs, outputs and classes."""

import dataclasses
import importlib.metadata
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from gun_jax.data.classes import IGNORE, ClassMap
from gun_jax.errors import InputError
from gun_jax.system.files import atomic_write

FORMATS = {"stablehlo": ".stablehlo", "onnx": ".onnx", "openvino": ".xml", "openvino-int8": ".xml"}
_BATCH = "batch"  # any number of images


@dataclasses.dataclass(frozen=True)
class ExportSpec:
    """Description of an exported network.

    Attributes:
      format: one of `FORMATS`.
      file: name of the network's file, in the same folder.
      size: (height, width) of images and of labels; None if the network takes any size.
      min_size: (height, width) of the smallest images.
      classes: names and colours.
      origin: run, step, settings and versions that made it, for people to read.
    """

    format: str
    file: str
    size: tuple[int, int] | None
    min_size: tuple[int, int]
    classes: ClassMap
    origin: dict[str, Any]

    def write(self, path: pathlib.Path) -> None:
        """Writes the JSON file."""
        classes = zip(self.classes.names, self.classes.colors, strict=True)
        content = {
            "format": self.format,
            "file": self.file,
            "input": {
                "name": "images",
                "shape": [_BATCH, *_sides(self.size), 3],
                "minimum": [1, *self.min_size, 3],
                "layout": "NHWC",
                "dtype": "uint8",
                "channels": "RGB",
                "range": [0, 255],
                "normalisation": "inside the network",
            },
            "output": {
                "name": "labels",
                "shape": [_BATCH, *_sides(self.size)],
                "layout": "NHW",
                "dtype": "int32",
                "range": [0, len(self.classes) - 1],
                "meaning": "number of the class in `classes`",
            },
            "classes": [{"name": name, "color": list(color)} for name, color in classes],
            "ignored_label": IGNORE,
            "origin": self.origin,
        }
        atomic_write(path, json.dumps(content, indent=2) + "\n")


def read_spec(path: pathlib.Path) -> ExportSpec:
    """Reads the JSON file of `ExportSpec.write`.

    Raises:
      InputError: the file cannot be read, or is another JSON file.
    """
    try:
        content = json.loads(path.read_text())
        classes, file, step = content["classes"], pathlib.Path(content["file"]), content["origin"]["step"]
        if content["format"] not in FORMATS or file.name != str(file) or not isinstance(step, int):
            raise ValueError("unknown values")
        return ExportSpec(
            content["format"],
            content["file"],
            _size(content["input"]["shape"]),
            _height_width(content["input"]["minimum"]),
            ClassMap(tuple(one["name"] for one in classes), tuple(tuple(one["color"]) for one in classes)),
            content["origin"],
        )
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; expected a JSON file of export.py") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a JSON file of export.py; export again") from error


def versions(*packages: str) -> dict[str, str]:
    """Installed versions of packages, by name."""
    return {name: importlib.metadata.version(name) for name in packages}


def _sides(size: tuple[int, int] | None) -> Sequence[int | str]:
    return size or ("height", "width")


def _size(shape: Any) -> tuple[int, int] | None:
    return None if shape == [_BATCH, *_sides(None), 3] else _height_width(shape)


def _height_width(shape: Any) -> tuple[int, int]:
    match shape:
        case [_, int(height), int(width), 3]:
            return height, width
    raise ValueError(f"{shape!r} is not a shape of images")
