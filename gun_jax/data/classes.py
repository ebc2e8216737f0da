"""Class maps and palettes: the class of each value in label files, and the colour of each class.

Everywhere in the package a label is a train id, 0 to `len(names) - 1`, or `IGNORE` (255), which training and scoring
ignore. A class map turns the numbers or colours of label files into train ids.
"""

import dataclasses
import json
import pathlib
from typing import Any

import cv2
import numpy as np

from gun_jax.data.color_labels import UNKNOWN, look_up, nearest_color, pack_color, pack_colors, unpack_color
from gun_jax.errors import InputError

IGNORE = 255


@dataclasses.dataclass(frozen=True)
class ClassMap:
    """The classes of a data set.

    Attributes:
      names: the class names, in the order of the train ids.
      colors: (red, green, blue) of each class, 0 to 255.
      values: label-file value to train id, or to `IGNORE` for values that are not scored. None: the values are train
        ids already.
      by_color: whether label files show classes by colours. `values` is then required, and its keys are packed colours
        (see `gun_jax.data.color_labels`).
    """

    names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    values: dict[int, int] | None = None
    by_color: bool = False

    def __post_init__(self) -> None:
        if len(self.names) != len(self.colors):
            raise InputError(
                f"{len(self.names)} names but {len(self.colors)} colours; expected one colour for each class"
            )
        if not 1 <= len(self.names) < IGNORE:
            raise InputError(f"{len(self.names)} classes; expected 1 to {IGNORE - 1}")
        for name in self.names:
            if not name.strip() or self.names.count(name) > 1:
                raise InputError(
                    f"{self.names.count(name)} classes are called {name!r}; expected a unique name for each"
                )

    def __len__(self) -> int:
        return len(self.names)

    def palette(self) -> np.ndarray:
        """Colours by train id: uint8 (256, 3), black where there is no class."""
        table = np.zeros((256, 3), np.uint8)
        table[: len(self.colors)] = self.colors
        return table

    def lookup(self) -> np.ndarray:
        """Train id by label-file value: int16 (256,), -1 for a value outside the map. Not for a map of colours."""
        assert not self.by_color
        table = np.full(256, -1, np.int16)
        values = self.values if self.values is not None else {i: i for i in range(len(self))} | {IGNORE: IGNORE}
        for value, train_id in values.items():
            table[value] = train_id
        return table

    def file_values(self) -> np.ndarray:
        """The first label-file value of each class: uint8 (classes,)."""
        table = self.lookup()
        return np.array([np.flatnonzero(table == train_id)[0] for train_id in range(len(self))], np.uint8)

    def train_ids(self, values: np.ndarray, where: str) -> np.ndarray:
        """Train ids, uint8 (H, W), of the pixels of a label file.

        Args:
          values: numbers, uint8 (H, W); or colours, uint8 (H, W, 3) RGB, for a map of colours.
          where: the file's name in error messages.

        Raises:
          InputError: a number or a colour is not in the map.
        """
        if self.by_color:
            return self._ids_of_colors(pack_colors(values), where)
        table = self.lookup()
        unknown = cv2.LUT(values, (table < 0).astype(np.uint8))
        if unknown.any():
            strange = int(values[unknown > 0][0])
            row, column = np.argwhere(values == strange)[0]
            raise InputError(
                f"{where} holds {strange} at row {row}, column {column}, which is not a value of the class map; "
                f"expected one of {_ranges(np.flatnonzero(table >= 0))}"
            )
        return cv2.LUT(values, table.astype(np.uint8))

    def _ids_of_colors(self, colors: np.ndarray, where: str) -> np.ndarray:
        assert self.values is not None
        ids = look_up(colors, self.values)
        unknown = ids == UNKNOWN
        if unknown.any():
            row, column = np.argwhere(unknown)[0]
            strange = int(colors[row, column])
            nearest = nearest_color(strange, self.values)
            train_id = self.values[nearest]
            meaning = "which is ignored" if train_id == IGNORE else f"of {self.names[train_id]!r}"
            raise InputError(
                f"{where} holds the colour {unpack_color(strange)} at row {row}, column {column}, which the class map "
                f"lacks; its nearest colour is {unpack_color(nearest)}, {meaning}: add the colour to the map, "
                "or save labels without smoothing and not as JPEG, which mix colours"
            )
        return ids


_CITYSCAPES = (
    ("road", (128, 64, 128), 7),
    ("sidewalk", (244, 35, 232), 8),
    ("building", (70, 70, 70), 11),
    ("wall", (102, 102, 156), 12),
    ("fence", (190, 153, 153), 13),
    ("pole", (153, 153, 153), 17),
    ("traffic light", (250, 170, 30), 19),
    ("traffic sign", (220, 220, 0), 20),
    ("vegetation", (107, 142, 35), 21),
    ("terrain", (152, 251, 152), 22),
    ("sky", (70, 130, 180), 23),
    ("person", (220, 20, 60), 24),
    ("rider", (255, 0, 0), 25),
    ("car", (0, 0, 142), 26),
    ("truck", (0, 0, 70), 27),
    ("bus", (0, 60, 100), 28),
    ("train", (0, 80, 100), 31),
    ("motorcycle", (0, 0, 230), 32),
    ("bicycle", (119, 11, 32), 33),
)

# Cityscapes' label ids 0 to 33, and 255 for the licence plate's -1 in 8 bits, to the benchmark's 19 train ids.
CITYSCAPES = ClassMap(
    names=tuple(name for name, _, _ in _CITYSCAPES),
    colors=tuple(color for _, color, _ in _CITYSCAPES),
    values=dict.fromkeys((*range(34), 255), IGNORE)
    | {label_id: train_id for train_id, (_, _, label_id) in enumerate(_CITYSCAPES)},
)

# The 11 classes of the SegNet split of CamVid; 11 is "unlabelled".
CAMVID = ClassMap(
    names=("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist"),
    colors=(
        (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (0, 0, 192), (128, 128, 0),
        (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
    ),
    values={i: i for i in range(11)} | {11: IGNORE},
)  # fmt: skip


def load_class_map(path: str | pathlib.Path) -> ClassMap:
    """Reads a class map from a JSON file.

    The file: `{"classes": [{"name": "road", "color": [128, 64, 128], "values": [7]}, ...], "ignore": [0, 255]}`. A
    class's position in the list is its train id; `values` are its numbers in label files (default: the position),
    `ignore` the numbers that are not scored (default: [255]). Any other number in a label file is an error.

    With `"labels": "colors"`, label files show classes by colours: `values` (default: the class's `color`) and `ignore`
    (default: none) are lists of colours, [red, green, blue]. "comment" is allowed anywhere.

    Raises:
      InputError: the file is missing, is not such JSON, or one value belongs to two classes.
    """
    path = pathlib.Path(path)
    example = '{"classes": [{"name": "road", "color": [128, 64, 128], "values": [0]}], "ignore": [255]}'
    try:
        content = json.loads(path.read_text())
        names: list[str] = []
        colors: list[tuple[int, int, int]] = []
        values: dict[int, int] = {}
        _known(content, ("classes", "ignore", "labels"))
        if content.get("labels", "numbers") not in ("numbers", "colors"):
            raise ValueError(f'labels are {content["labels"]!r}, not "numbers" or "colors"')
        by_color = content.get("labels") == "colors"
        read, show = (_packed, unpack_color) if by_color else (_byte, int)
        for train_id, entry in enumerate(content["classes"]):
            _known(entry, ("name", "color", "values"))
            names.append(str(entry["name"]))
            if len(entry["color"]) != 3:
                raise ValueError(f"class {names[-1]!r} has a colour of {len(entry['color'])} numbers, not 3")
            red, green, blue = map(_byte, entry["color"])
            colors.append((red, green, blue))
            for value in map(read, entry.get("values", [entry["color"] if by_color else train_id])):
                if value in values:
                    other = names[values[value]]
                    raise ValueError(f"value {show(value)} belongs to {other!r} and to {names[-1]!r}")
                values[value] = train_id
        for value in map(read, content.get("ignore", [] if by_color else [IGNORE])):
            if values.get(value, IGNORE) != IGNORE:
                raise ValueError(f"value {show(value)} is ignored and belongs to {names[values[value]]!r}")
            values[value] = IGNORE
        return ClassMap(tuple(names), tuple(colors), values, by_color)
    except OSError as error:
        raise InputError(f"class map {path}: {error.strerror}; expected a JSON file like {example}") from error
    except KeyError as error:
        raise InputError(f"class map {path}: no {error} entry; expected JSON like {example}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"class map {path}: {error}; expected JSON like {example}") from error


def _known(entry: dict, keys: tuple[str, ...]) -> None:
    strange = [key for key in entry if key not in (*keys, "comment")]
    if strange:
        raise ValueError(f"{strange[0]!r} is none of {', '.join(keys)}")


def _byte(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 255:
        raise ValueError(f"{value!r} is not a whole number from 0 to 255")
    return value


def _packed(color: Any) -> int:
    if not isinstance(color, list) or len(color) != 3:
        raise ValueError(f"{color!r} is not a colour, e.g. [128, 64, 128]")
    return pack_color(map(_byte, color))


def _ranges(values: np.ndarray) -> str:
    """Ascending whole numbers as text: "0 to 11, 255"."""
    runs = np.split(values, np.flatnonzero(np.diff(values) != 1) + 1)
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)
