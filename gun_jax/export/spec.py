"""What a deployed network takes and gives: the JSON file beside it."""

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
    """Of one exported network.

    Attributes:
      format: one of `FORMATS`.
      file: name of the network's file, in the folder of the spec.
      size: (height, width) of images and of labels; None: any, the same for both.
      minimum: (height, width) of the smallest images.
      classes: names and colours.
      origin: what it was made from and how, to be read by people.
    """

    format: str
    file: str
    size: tuple[int, int] | None
    minimum: tuple[int, int]
    classes: ClassMap
    origin: dict[str, Any]

    def write(self, path: pathlib.Path) -> None:
        """Writes it as JSON."""
        classes = zip(self.classes.names, self.classes.colors, strict=True)
        content = {
            "format": self.format,
            "file": self.file,
            "input": {
                "name": "images",
                "shape": [_BATCH, *_sides(self.size), 3],
                "minimum": [1, *self.minimum, 3],
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


def read_contract(path: pathlib.Path) -> ExportSpec:
    """Reads what `ExportSpec.write` wrote.

    Raises:
      InputError: no such file, or not a spec.
    """
    try:
        content = json.loads(path.read_text())
        classes, file, step = content["classes"], pathlib.Path(content["file"]), content["origin"]["step"]
        if content["format"] not in FORMATS or file.name != str(file) or not isinstance(step, int):
            raise ValueError("values that are never written")
        return ExportSpec(
            content["format"],
            content["file"],
            _size(content["input"]["shape"]),
            _height_width(content["input"]["minimum"]),
            ClassMap(tuple(one["name"] for one in classes), tuple(tuple(one["color"]) for one in classes)),
            content["origin"],
        )
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; name the JSON file that export.py wrote") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not the JSON file that export.py writes beside a network; export again") from error


def versions(*packages: str) -> dict[str, str]:
    """Installed versions by name."""
    return {name: importlib.metadata.version(name) for name in packages}


def _sides(size: tuple[int, int] | None) -> Sequence[int | str]:
    return size or ("height", "width")


def _size(shape: Any) -> tuple[int, int] | None:
    return None if shape == [_BATCH, *_sides(None), 3] else _height_width(shape)


def _height_width(shape: Any) -> tuple[int, int]:
    match shape:
        case [_, int(height), int(width), 3]:
            return height, width
    raise ValueError(f"{shape!r} is no shape of images")
