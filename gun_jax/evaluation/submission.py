"""Submissions to the Cityscapes server: PNG files of label ids, and a zip file of them."""

import io
import pathlib
import zipfile
from collections.abc import Callable
from typing import Any

import cv2
import jax
import numpy as np

from gun_jax.data.classes import CITYSCAPES
from gun_jax.data.sources import Source
from gun_jax.errors import InputError
from gun_jax.evaluation.views import ONE_VIEW, Views
from gun_jax.ops.normalisation import normalise
from gun_jax.runs.loading import Trained
from gun_jax.system.files import UNFINISHED, atomic_write

SIZE = (1024, 2048)  # (height, width) that the server accepts


def write_submission(
    trained: Trained, source: Source, folder: pathlib.Path, progress: Callable[[], None], views: Views = ONE_VIEW
) -> pathlib.Path:
    """Labels all images, then writes `FOLDER/CITY_SEQUENCE_FRAME_pred_labelIds.png` of each and `FOLDER.zip` of all.

    Args:
      trained: a network of the 19 classes of Cityscapes.
      source: Cityscapes; labels are not needed.
      folder: new, empty, or that of an earlier submission of the same images.
      progress: called after every image.
      views: of each image, whose probabilities are averaged.

    Returns:
      The zip file.

    Raises:
      InputError: a network of other classes, an image of another size, a folder with other files in it, or a file
        that cannot be written.
    """
    if trained.classes.names != CITYSCAPES.names:
        raise InputError(f"a submission needs a network of Cityscapes' 19 classes; this one has {len(trained.classes)}")
    folder = folder.absolute()
    label_ids = CITYSCAPES.file_values()

    @jax.jit
    def predict(variables: dict[str, Any], image: jax.Array) -> jax.Array:
        return views.label(trained.model, variables, normalise(image[None]), SIZE)[0]

    files: dict[str, bytes] = {}  # about 20 KB each
    for index in range(len(source)):
        record = source[index]
        height, width = record["image"].shape[:2]
        if (height, width) != SIZE:
            raise InputError(f"image {record['id']} is {width}x{height}; expected {SIZE[1]}x{SIZE[0]}")
        name = record["id"].rpartition("/")[2] + "_pred_labelIds.png"
        labels = np.asarray(predict(trained.variables, record["image"]))
        files[name] = cv2.imencode(".png", label_ids[labels])[1].tobytes()
        progress()
    return _write(files, folder)


def check_folder(folder: pathlib.Path) -> None:
    """Checks the folder of a submission before hours of labelling.

    Raises:
      InputError: it has no name, is a file, or holds files that are not of a submission.
    """
    folder = folder.absolute()
    if not folder.name or folder.name == "..":
        raise InputError(f"--submission is {folder}; expected a new folder, e.g. gun-test")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--submission is {folder}, a file; expected a new folder")
    strange = [path.name for path in folder.glob("*") if not path.name.endswith(("_pred_labelIds.png", UNFINISHED))]
    if strange:
        raise InputError(f"{folder} holds {strange[0]}; expected a new folder for the submission")


def _write(files: dict[str, bytes], folder: pathlib.Path) -> pathlib.Path:
    strange = [path.name for path in folder.glob("*") if path.name not in files and not path.name.endswith(UNFINISHED)]
    if strange:
        raise InputError(f"{folder} holds {strange[0]} of another submission; expected a new folder")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:  # PNGs are compressed
        for name, png in files.items():
            atomic_write(folder / name, png)
            archive.writestr(zipfile.ZipInfo(name), png)
    path = folder.with_name(folder.name + ".zip")
    atomic_write(path, content.getvalue())
    return path
