"""Images and labels in two folders."""

import hashlib
import json
import operator
import os
import pathlib
from collections.abc import Callable, Collection, Iterator

import numpy as np

from gun_jax.data.classes import ClassMap
from gun_jax.data.images import read_image, read_instances, read_label, read_label_colors
from gun_jax.data.splits import in_part
from gun_jax.errors import InputError

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


class FolderSource:
    """Pairs of image and label files below two folders.

    The files of a pair have the same path below their folders, apart from the ending: `images/berlin/a_image.png` and
    `labels/berlin/a_label.png` are a pair for `image_ending="_image.png"` and `label_ending="_label.png"`. Images and
    labels may share one folder: the longer of two endings that match a file decides.

    Args:
      images: folder of the images, searched recursively.
      labels: folder of the label images, which hold values of the class map, one byte a pixel, or its colours. None:
        records have no "label".
      classes: the class map.
      image_ending: ending of image names; by default any of `IMAGE_ENDINGS`.
      label_ending: ending of label names.
      instance_ending: ending of the instance images beside the labels; records then have "instances", int32 (H, W).
      chosen: the pairs to use, by path below the folders, without the ending; by default all.
      part: see `gun_jax.data.splits.in_part`.

    Raises:
      InputError: a folder is missing or holds no image, an image has no label, or a chosen image does not exist.
    """

    def __init__(
        self,
        images: str | os.PathLike,
        labels: str | os.PathLike | None,
        classes: ClassMap,
        image_ending: str | tuple[str, ...] = IMAGE_ENDINGS,
        label_ending: str = ".png",
        instance_ending: str | None = None,
        chosen: Collection[str] | None = None,
        part: str = "",
    ):
        self.images, self.classes = pathlib.Path(images), classes
        self.labels = pathlib.Path(labels) if labels is not None else None
        self._endings = label_ending, instance_ending
        image_files = _files(self.images, image_ending, label_ending if self.labels in (None, self.images) else "")
        if chosen is not None:
            image_files = _chosen(image_files, chosen, self.images)
        image_files = {name: image_files[name] for name in in_part(list(image_files), part, self.images)}
        label_files = _files(self.labels, label_ending) if self.labels is not None else dict.fromkeys(image_files, "")
        missing = [key for key in image_files if key not in label_files]
        if missing:
            first = missing[0]
            raise InputError(
                f"image {self.images / image_files[first]} has no label (of {len(image_files)} images "
                f"{len(missing)} have none); expected {self.labels}/{first}{label_ending}"
            )
        self._pairs = [(key, file, label_files[key]) for key, file in sorted(image_files.items())]
        meaning = sorted((classes.values or {}).items()) if classes.by_color else classes.lookup().tolist()
        names = json.dumps([list(image_files), meaning])
        self.identity = f"{len(self)} pairs {hashlib.sha256(names.encode()).hexdigest()[:16]}"

    def __len__(self) -> int:
        return len(self._pairs)

    def paths(self, index: int) -> list[pathlib.Path]:
        """The image file of pair `index`, and its label file."""
        _, image_file, label_file = self._pairs[operator.index(index)]
        return [self.images / image_file] + ([self.labels / label_file] if self.labels else [])

    def __getitem__(self, index: int) -> dict:
        """Reads pair `index`.

        Raises:
          InputError: a file is not an image, the sizes differ, or the label holds a value outside the class map.
        """
        key, image_file, label_file = self._pairs[operator.index(index)]
        image = read_image(self.images / image_file)
        record = {"image": image, "id": key}
        if self.labels is None:
            return record
        where = f"label {self.labels / label_file}"
        label = self._read(read_label_colors if self.classes.by_color else read_label, label_file, image_file, image)
        record["label"] = self.classes.train_ids(label, where)
        label_ending, instance_ending = self._endings
        if instance_ending is not None:
            instance_file = label_file[: -len(label_ending)] + instance_ending
            record["instances"] = self._read(read_instances, instance_file, image_file, image)
        return record

    def _read(self, read: Callable, file: str, image_file: str, image: np.ndarray) -> np.ndarray:
        """Reads a label or instance image and checks that it has the size of its image."""
        assert self.labels is not None
        label = read(self.labels / file)
        if label.shape[:2] != image.shape[:2]:
            raise InputError(
                f"label {self.labels / file} is {_size(label)}, its image {self.images / image_file} "
                f"{_size(image)}; expected the same size"
            )
        return label

    def __repr__(self) -> str:
        if self.labels is None:
            return f"FolderSource({str(self.images)!r}, {len(self)} images)"
        return f"FolderSource({str(self.images)!r}, {str(self.labels)!r}, {len(self)} pairs)"


def _chosen(files: dict[str, str], chosen: Collection[str], folder: pathlib.Path) -> dict[str, str]:
    missing = next((name for name in chosen if name not in files), None)
    if missing is not None:
        raise InputError(
            f"folder {folder} has no image {missing!r}, which is in the list of the split; expected a path below the "
            f"folder without its ending, e.g. {next(iter(files))!r}"
        )
    if not chosen:
        raise InputError(f"the list of the split names none of the images in {folder}; expected at least one")
    chosen = frozenset(chosen)
    return {key: file for key, file in files.items() if key in chosen}


def _files(folder: pathlib.Path, ending: str | tuple[str, ...], others: str = "") -> dict[str, str]:
    """Files below a folder by path without ending: {"berlin/a": "berlin/a.png"}.

    Files that also end in `others`, if it is longer, are left out.
    """
    if not folder.is_dir():
        raise InputError(f"folder {folder} does not exist")
    endings = (ending,) if isinstance(ending, str) else ending
    found: dict[str, str] = {}
    for name in sorted(names_below(folder)):
        match = next((end for end in endings if name.lower().endswith(end.lower())), None)
        if match is None or name.rpartition("/")[2].startswith(".") or not (folder / name).is_file():
            continue
        if len(others) > len(match) and name.lower().endswith(others.lower()):
            continue
        key = name[: -len(match)]
        if key in found:
            raise InputError(f"folder {folder} has both {found[key]} and {name}; expected one file of this name")
        found[key] = name
    if not found:
        raise InputError(f"folder {folder} holds no file that ends in {', '.join(endings)}")
    return found


def names_below(folder: pathlib.Path) -> Iterator[str]:
    """Paths of all files below a folder. Links to folders are followed, each folder once."""
    seen = set()
    for inner, folders, files in os.walk(folder, followlinks=True):
        if os.path.realpath(inner) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(inner))
        yield from (pathlib.Path(inner, file).relative_to(folder).as_posix() for file in files)


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]} (width x height)"
