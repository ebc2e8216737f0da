"""Data sets as random access: `source[i]` is `{"image": uint8 (H, W, 3), "label": uint8 (H, W), "id": str}`.

Labels are train ids of `source.classes`, and `IGNORE`. A source is pure and pickles, so every worker process can hold
one. `load_source` builds the one that a configuration names.
"""

import dataclasses
import hashlib
import json
import operator
import os
import pathlib
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from gun_jax.data.classes import CAMVID, CITYSCAPES, ClassMap, load_class_map
from gun_jax.data.pictures import read_image, read_label
from gun_jax.data.synthetic import SyntheticScenes
from gun_jax.errors import InputError

DATA_DIR_VARIABLE = "GUN_DATA_DIR"
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


class Source(Protocol):
    """What the pipeline and the evaluation need of a data set."""

    classes: ClassMap
    identity: str  # changes with what the records are and their order

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> dict: ...


class FolderSource:
    """Pairs of picture and label files below two folders.

    A pair has the same path below its folder, less the ending: `images/berlin/a_image.png` and
    `labels/berlin/a_label.png` are one with `image_ending="_image.png"`, `label_ending="_label.png"`.

    Args:
      images: folder of the pictures, searched with all folders in it.
      labels: folder of the label pictures: one byte a pixel, a value of the class map.
      classes: the class map.
      image_ending: how the name of a picture ends; by default any of `PICTURE_ENDINGS`.
      label_ending: how the name of a label ends; by default ".png".

    Raises:
      InputError: a folder is missing or holds no picture, or a picture has no label.
    """

    def __init__(
        self,
        images: str | os.PathLike,
        labels: str | os.PathLike,
        classes: ClassMap,
        image_ending: str | tuple[str, ...] = PICTURE_ENDINGS,
        label_ending: str = ".png",
    ):
        self.images, self.labels, self.classes = pathlib.Path(images), pathlib.Path(labels), classes
        image_files = _files(self.images, image_ending)
        label_files = _files(self.labels, label_ending)
        missing = [key for key in image_files if key not in label_files]
        if missing:
            first = missing[0]
            raise InputError(
                f"image {self.images / image_files[first]} has no label (of {len(image_files)} images "
                f"{len(missing)} have none); expected {self.labels / first}{label_ending}"
            )
        self._pairs = [(key, file, label_files[key]) for key, file in sorted(image_files.items())]
        names = json.dumps([list(image_files), self.classes.lookup().tolist()])
        self.identity = f"{len(self)} pairs {hashlib.sha256(names.encode()).hexdigest()[:16]}"

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> dict:
        """Reads pair `index`.

        Raises:
          InputError: a file is no picture, the two sizes differ, or the label holds a value outside the class map.
        """
        key, image_file, label_file = self._pairs[operator.index(index)]
        image = read_image(self.images / image_file)
        label = read_label(self.labels / label_file)
        if image.shape[:2] != label.shape:
            raise InputError(
                f"label {self.labels / label_file} is {_size(label)}, its image {self.images / image_file} "
                f"{_size(image)}; expected the same size"
            )
        train_ids = self.classes.lookup()[label]
        if train_ids.min() < 0:
            strange = int(label[train_ids < 0][0])
            row, column = np.argwhere(label == strange)[0]
            raise InputError(
                f"label {self.labels / label_file} holds {strange} at row {row}, column {column}, which is not a value "
                f"of the class map; expected one of {_ranges(np.flatnonzero(self.classes.lookup() >= 0))}"
            )
        return {"image": image, "label": train_ids.astype(np.uint8), "id": key}

    def __repr__(self) -> str:
        return f"FolderSource({str(self.images)!r}, {str(self.labels)!r}, {len(self)} pairs)"


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where a data set keeps its files, below its folder; `{split}` is the name of the split."""

    images: str
    labels: str
    classes: ClassMap | None = None  # None: from the file that the configuration names
    image_ending: str | tuple[str, ...] = PICTURE_ENDINGS
    label_ending: str = ".png"
    title: str = ""
    remedy: str = ""


LAYOUTS = {
    "cityscapes": Layout(
        "leftImg8bit/{split}",
        "gtFine/{split}",
        CITYSCAPES,
        "_leftImg8bit.png",
        "_gtFine_labelIds.png",
        "Cityscapes",
        "download leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip from www.cityscapes-dataset.com and unpack "
        "both there",
    ),
    "camvid": Layout(
        "{split}", "{split}annot", CAMVID, title="CamVid", remedy="put the SegNet split of CamVid (480x360) there"
    ),
    "folder": Layout("{split}/images", "{split}/labels", title="your data", remedy="put your pictures there"),
}


def load_source(data, split: str) -> Source:
    """Builds the source that a configuration names.

    Args:
      data: the `data` section of a configuration (see `gun_jax.configuration`).
      split: "train", "val", or another that the data set has.

    Raises:
      InputError: no such source, or its files are missing.
    """
    if data.source == "synthetic":
        lengths = {"train": data.synthetic_train, "val": data.synthetic_val}
        if split not in lengths:
            raise InputError(f"synthetic scenes have no split {split!r}; expected {' or '.join(lengths)}")
        # Seeds of different splits are different scenes, whatever their lengths.
        seed = 2 * data.synthetic_seed + list(lengths).index(split)
        return SyntheticScenes(lengths[split], tuple(data.synthetic_size), seed)
    layout = _layout(data)
    root = find_data_dir(data, split)
    assert root is not None  # only drawn scenes need no folder
    classes = layout.classes or load_class_map(root / data.classes)
    images, labels = (root / _of_split(part, split) for part in (layout.images, layout.labels))
    return FolderSource(images, labels, classes, layout.image_ending, layout.label_ending)


def find_data_dir(data, split: str = "train") -> pathlib.Path | None:
    """The absolute folder in which a configuration's data lies, or None for data that needs no files.

    It is `data.dir`, or else what the environment variable GUN_DATA_DIR names, or else `data` in the current folder; or
    the folder in it that has the source's name.

    Raises:
      InputError: neither has the folder of the split's pictures.
    """
    if data.source == "synthetic":
        return None
    layout = _layout(data)
    given = data.dir or os.environ.get(DATA_DIR_VARIABLE, "")
    looked_for = _of_split(layout.images, split)
    remedy = f"{layout.remedy}, or name its folder with {DATA_DIR_VARIABLE}=DIR or --config.data.dir=DIR"
    root = pathlib.Path(given or "data").expanduser().absolute()
    for candidate in (root, root / data.source):
        if (candidate / looked_for).is_dir():
            return candidate
    raise InputError(
        f"{layout.title} is missing: looked for {looked_for} in {root} and in {root / data.source}; {remedy}"
    )


def _of_split(path: str, split: str) -> str:
    return path.replace("{split}", split)


def _layout(data) -> Layout:
    if data.source not in LAYOUTS:
        raise InputError(f"config.data.source is {data.source!r}; expected one of synthetic, {', '.join(LAYOUTS)}")
    layout = LAYOUTS[data.source]
    if data.source == "folder":
        layout = dataclasses.replace(layout, images=data.images, labels=data.labels)
    return layout


def _files(folder: pathlib.Path, ending: str | tuple[str, ...]) -> dict[str, str]:
    """Files below a folder by their path in it less the ending: {"berlin/a": "berlin/a.png"}."""
    if not folder.is_dir():
        raise InputError(f"folder {folder} does not exist")
    endings = (ending,) if isinstance(ending, str) else ending
    found: dict[str, str] = {}
    for name in sorted(_names(folder)):
        match = next((end for end in endings if name.lower().endswith(end.lower())), None)
        if match is None or name.rpartition("/")[2].startswith(".") or not (folder / name).is_file():
            continue
        key = name[: -len(match)]
        if key in found:
            raise InputError(f"folder {folder} has both {found[key]} and {name}; expected one file of this name")
        found[key] = name
    if not found:
        raise InputError(f"folder {folder} holds no file that ends in {', '.join(endings)}")
    return found


def _names(folder: pathlib.Path) -> Iterator[str]:
    """Paths of all files below a folder, also in folders that are links, each folder once."""
    seen = set()
    for inner, folders, files in os.walk(folder, followlinks=True):
        if os.path.realpath(inner) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(inner))
        yield from (pathlib.Path(inner, file).relative_to(folder).as_posix() for file in files)


def _size(picture: np.ndarray) -> str:
    return f"{picture.shape[1]}x{picture.shape[0]} (width x height)"


def _ranges(values: np.ndarray) -> str:
    """Whole numbers, ascending, as people write them: "0 to 11, 255"."""
    runs = np.split(values, np.flatnonzero(np.diff(values) != 1) + 1)
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)
