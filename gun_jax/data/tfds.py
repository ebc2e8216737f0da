"""Cityscapes through TensorFlow Datasets: the builder `cityscapes/semantic_segmentation`, read by random access.

Preparing the data set from the zip files needs TensorFlow, the extra `tfds`; it is done once.
"""

import operator
import os
import pathlib
import zipfile

import numpy as np

from gun_jax.data.classes import CITYSCAPES, ClassMap
from gun_jax.errors import InputError

BUILDER = "cityscapes/semantic_segmentation"
ZIPS = ("leftImg8bit_trainvaltest.zip", "gtFine_trainvaltest.zip")
_SPLITS = {"train": "train", "val": "validation", "test": "test"}


def is_there(folder: pathlib.Path) -> bool:
    """Whether a folder holds the prepared data set, or one of the zip files that it is prepared from."""
    return (folder / BUILDER).is_dir() or any((folder / name).is_file() for name in ZIPS)


class Cityscapes:
    """A split of Cityscapes as TensorFlow Datasets stores it, in its order.

    Args:
      folder: where the prepared data set lies, in `cityscapes/`; or the zip files, from which it is prepared there.
      split: "train", "val" or "test" (whose labels are all ignored).

    Raises:
      InputError: the extra `tfds` is not installed, a zip file is missing or damaged, or there is no such split.
    """

    classes: ClassMap = CITYSCAPES

    def __init__(self, folder: str | os.PathLike, split: str):
        if split not in _SPLITS:
            raise InputError(f"Cityscapes has no split {split!r}; expected {', '.join(_SPLITS)}")
        self.folder, self.split = pathlib.Path(folder), split
        builder = _builder(self.folder)
        self._records = builder.as_data_source(_SPLITS[split])
        self.identity = f"{len(self)} records of {builder.info.full_name}, {split}"

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> dict:
        """Reads record `index`: "image", "label" and "id", as "ulm/ulm_000000_000019".

        Raises:
          InputError: the label holds a value outside the class map.
        """
        record = self._records[operator.index(index)]
        name = record["image_id"].decode()
        label = self.classes.train_ids(record["segmentation_label"][..., 0], f"label of {name} in {self.folder}")
        return {"image": np.asarray(record["image_left"]), "label": label, "id": f"{name.split('_')[0]}/{name}"}

    def __reduce__(self):
        return Cityscapes, (self.folder, self.split)

    def __repr__(self) -> str:
        return f"Cityscapes({str(self.folder)!r}, {self.split!r}, {len(self)} records)"


def _builder(folder: pathlib.Path):
    """The builder, prepared."""
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise InputError(
            f"reading {folder} needs TensorFlow Datasets, and {error.name or error} is not installed; pip install "
            "'gun_jax[tfds]', or unpack the zip files there"
        ) from error
    builder = tensorflow_datasets.builder(BUILDER, data_dir=folder, file_format="array_record")
    if not pathlib.Path(builder.data_dir).is_dir():
        _prepare(builder, folder)
    return builder


def _prepare(builder, folder: pathlib.Path) -> None:
    import tensorflow_datasets

    for name in ZIPS:
        path = folder / name
        if not path.is_file():
            raise InputError(
                f"Cityscapes is not complete: {path} is missing; download it from www.cityscapes-dataset.com"
            )
        if not zipfile.is_zipfile(path):  # its table of contents is at the end
            raise InputError(f"{path} is not a whole zip file; download it again from www.cityscapes-dataset.com")
    print(f"preparing {BUILDER} in {folder}, once ...", flush=True)
    config = tensorflow_datasets.download.DownloadConfig(manual_dir=folder)
    try:
        builder.download_and_prepare(download_dir=folder / "downloads", download_config=config)
    except Exception as error:  # of TensorFlow, zipfile, the disk; the unfinished data set is removed by the builder
        raise InputError(f"Cityscapes cannot be prepared from the zip files in {folder}: {error}") from error
