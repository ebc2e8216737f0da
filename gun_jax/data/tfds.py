"""Cityscapes in the format of TensorFlow Datasets: the builder `cityscapes/semantic_segmentation`, as random access.

Only preparing the data set, once, needs TensorFlow (the `tfds` extra); reading does not. The builder keeps the images
and labels of the archives, but not the instance ids. Its splits are train, validation and test, each shuffled.
"""

import contextlib
import functools
import io
import operator
import os
import pathlib
import re
import shutil
import sys
import tempfile
import zipfile
from typing import Any

from gun_jax.data.classes import CITYSCAPES
from gun_jax.data.splits import CITYSCAPES_COUNTS, check_length
from gun_jax.errors import InputError

IMAGE_ZIP, LABEL_ZIP = "leftImg8bit_trainvaltest.zip", "gtFine_trainvaltest.zip"
REMEDY = f"download {IMAGE_ZIP} and {LABEL_ZIP} from www.cityscapes-dataset.com into it, and do not unpack them"

_BUILDER = "cityscapes/semantic_segmentation"
_SPLITS = {"train": "train", "val": "validation", "test": "test"}  # our name, TFDS's
_AGAIN = "download it again"
_EXTRA = (
    "install the `tfds` extra (pip install 'gun_jax[tfds]', or make install EXTRAS=test,export,tfds), or unpack the "
    "archives"
)


def is_there(folder: pathlib.Path) -> bool:
    """Whether a folder holds the prepared data set or one of its archives."""
    return any((folder / name).exists() for name in (_BUILDER, IMAGE_ZIP, LABEL_ZIP))


class CityscapesTFDS:
    """Cityscapes in TFDS's format, prepared from the archives on first use.

    `source[i]` equals the record from the raw folders, including "id" ("ulm/ulm_000001_000019"); the order is TFDS's.
    The source can be pickled; a copy opens the files again.

    Args:
      root: absolute folder with the prepared data set, `cityscapes/semantic_segmentation/VERSION/`, or the archives.
      split: "train", "val" or "test".
      partial: accept a split that lacks images.

    Raises:
      InputError: no such split, the `tfds` extra is missing, or an archive is missing, damaged or incomplete.
    """

    classes = CITYSCAPES

    def __init__(self, root: str | os.PathLike, split: str, partial: bool = False):
        self.root, self.split = pathlib.Path(root), split
        if split not in _SPLITS:
            raise InputError(f"Cityscapes has no split {split!r}; expected one of {', '.join(_SPLITS)}")
        self._prepared = _prepared(self.root) or _prepare(self.root, partial)
        self._length = len(self._records)
        if not partial:
            remedy = f"remove it and prepare it from the whole archives ({REMEDY})"
            check_length(len(self), split, CITYSCAPES_COUNTS[split], f"Cityscapes, {self._prepared}", remedy)
        self.identity = f"{len(self)} records of TFDS {_BUILDER} {self._prepared.name} {split}"

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> dict:
        """Reads record `index`.

        Raises:
          InputError: image and label differ in size, or the label holds a value outside the class map.
        """
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        record = self._records[index % len(self)]
        name = record["image_id"].decode()
        image, label = record["image_left"], record["segmentation_label"][..., 0]
        where = f"label of {name} in {self._prepared}"
        if image.shape[:2] != label.shape:
            height, width = image.shape[:2]
            raise InputError(
                f"{where} is {label.shape[1]}x{label.shape[0]} (width x height), its image {width}x{height}; expected "
                "the same size"
            )
        return {
            "image": image,
            "label": self.classes.train_ids(label, where),
            "id": f"{name.partition('_')[0]}/{name}",
        }

    def __repr__(self) -> str:
        return f"CityscapesTFDS({str(self.root)!r}, {self.split!r}, {len(self)} records)"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_records"}

    @functools.cached_property
    def _records(self) -> Any:
        builder = _tfds().builder_from_directory(str(self._prepared))
        return builder.as_data_source(split=_SPLITS[self.split])


def _tfds() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # keeps TensorFlow, if installed, from logging devices
    import tensorflow_datasets  # takes a second or two

    return tensorflow_datasets


def _prepared(root: pathlib.Path) -> pathlib.Path | None:
    """The folder of the newest version that was prepared below `root`, or None."""
    infos = root.glob(f"{_BUILDER}/*.*.*/dataset_info.json")
    return max((info.parent for info in infos), key=lambda path: _version(path.name), default=None)


def _version(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


def _prepare(root: pathlib.Path, partial: bool) -> pathlib.Path:
    """Prepares the data set from the archives in `root`, in which all of it appears or nothing."""
    _check_archives(root, partial)
    tfds = _tfds()
    try:
        import tensorflow
    except ImportError as error:
        raise InputError(f"preparing Cityscapes from its archives needs TensorFlow ({error}); {_EXTRA}") from error
    with contextlib.suppress(RuntimeError):  # TensorFlow has started already
        tensorflow.config.set_visible_devices([], "GPU")  # the GPUs are JAX's
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    print(f"preparing Cityscapes in {root}, once ...", flush=True)
    try:
        unfinished = tempfile.mkdtemp(prefix=".cityscapes-", suffix=".unfinished", dir=root)
    except OSError as error:
        raise InputError(f"cannot write into {root}: {error.strerror}; put the archives into another folder") from error
    try:
        builder = tfds.builder(_BUILDER, data_dir=unfinished, file_format="array_record")
        download = tfds.download.DownloadConfig(manual_dir=str(root), compute_stats=tfds.download.ComputeStatsMode.SKIP)
        with contextlib.redirect_stdout(io.StringIO()):  # it would name a folder that is about to be renamed
            builder.download_and_prepare(download_dir=f"{unfinished}/downloads", download_config=download)
        (root / _BUILDER).parent.mkdir(exist_ok=True)
        with contextlib.suppress(OSError):  # another process has prepared it meanwhile
            pathlib.Path(unfinished, _BUILDER).rename(root / _BUILDER)
    except Exception as error:  # TFDS raises many types, with notes of many lines
        reason = (str(error).strip() or "no reason given").splitlines()[0]
        raise InputError(
            f"TFDS cannot prepare Cityscapes from the archives in {root}: {type(error).__name__}: {reason}; {_AGAIN}"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    prepared = _prepared(root)
    if prepared is None:
        raise InputError(f"cannot write {root / _BUILDER}; remove it, or put the archives into another folder")
    return prepared


def _check_archives(root: pathlib.Path, partial: bool) -> None:
    """Refuses, by the lists of their files, archives at which TFDS would stop after half an hour."""
    images, labels = _names(root / IMAGE_ZIP), _names(root / LABEL_ZIP)
    for split, count in CITYSCAPES_COUNTS.items():
        found = [name for name in images if re.fullmatch(rf"leftImg8bit/{split}/[^/]+/[^/]+_leftImg8bit\.png", name)]
        if not partial:
            check_length(len(found), split, count, f"Cityscapes, {root / IMAGE_ZIP}", _AGAIN)
        if not found:
            raise InputError(f"{root / IMAGE_ZIP} holds no image of {split}; TFDS needs all three splits; {_AGAIN}")
        wanted = [re.sub("leftImg8bit(?=/)", "gtFine", name, count=1) for name in found]
        wanted = [name.replace("_leftImg8bit.png", "_gtFine_labelIds.png") for name in wanted]
        missing = [name for name in wanted if name not in labels]
        if missing:
            raise InputError(
                f"{root / LABEL_ZIP} lacks {len(missing)} of the {len(wanted)} labels of {split}, e.g. {missing[0]}; "
                f"{_AGAIN}"
            )


def _names(path: pathlib.Path) -> set[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return set(archive.namelist())
    except FileNotFoundError as error:
        raise InputError(f"Cityscapes in archives: {path} is missing; {REMEDY}") from error
    except zipfile.BadZipFile as error:
        raise InputError(f"{path} is not a whole zip archive ({error}); {_AGAIN}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; {_AGAIN}") from error
