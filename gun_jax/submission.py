"""Results for the Cityscapes server: label pictures in label ids, and a zip file of them."""

import io
import pathlib
import zipfile
from collections.abc import Callable

import cv2
import jax
import numpy as np

from gun_jax.data.classes import CITYSCAPES, IGNORE
from gun_jax.data.pictures import normalise
from gun_jax.data.sources import Source
from gun_jax.errors import InputError
from gun_jax.files import write_whole
from gun_jax.inference import Trained

SIZE = (1024, 2048)  # height and width that the server takes
_ENDING = "_pred_labelIds.png"


def write_submission(
    trained: Trained, source: Source, folder: pathlib.Path, progress: Callable[[], None]
) -> pathlib.Path:
    """Labels all pictures: writes `FOLDER/CITY_SEQUENCE_FRAME_pred_labelIds.png` and `FOLDER.zip` of them.

    Args:
      trained: a network of the 19 classes of Cityscapes.
      source: Cityscapes; labels are not needed.
      folder: new or empty, or one of an earlier submission of the same pictures.
      progress: called after every picture.

    Returns:
      The zip file.

    Raises:
      InputError: a network of other classes, a picture of another size, a folder with other files in it, or a file
        that cannot be written.
    """
    if trained.classes.names != CITYSCAPES.names:
        raise InputError(f"a submission needs a network of Cityscapes' 19 classes; this one has {len(trained.classes)}")
    names = []
    label_ids = _label_ids()

    @jax.jit
    def predict(variables, image: jax.Array) -> jax.Array:
        return trained.model.apply(variables, normalise(image[None]), output_size=SIZE, method="predict")[0]

    for index in range(len(source)):
        record = source[index]
        if record["image"].shape[:2] != SIZE:
            height, width = record["image"].shape[:2]
            raise InputError(f"image {record['id']} is {width}x{height}; the server takes {SIZE[1]}x{SIZE[0]} only")
        names.append(record["id"].rpartition("/")[2] + _ENDING)
        if index == 0:
            _check_folder(folder)
        labels = np.asarray(predict(trained.variables, record["image"]))
        write_whole(folder / names[-1], cv2.imencode(".png", label_ids[labels])[1].tobytes())
        progress()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:  # PNGs do not become smaller
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), (folder / name).read_bytes())
    path = folder.with_name(folder.name + ".zip")
    write_whole(path, content.getvalue())
    return path


def _label_ids() -> np.ndarray:
    """Label id by train id: uint8 (19,)."""
    assert CITYSCAPES.values is not None
    by_train_id = {train_id: value for value, train_id in CITYSCAPES.values.items() if train_id != IGNORE}
    return np.array([by_train_id[train_id] for train_id in range(len(CITYSCAPES))], np.uint8)


def _check_folder(folder: pathlib.Path) -> None:
    strange = [path.name for path in folder.glob("*") if not path.name.endswith(_ENDING)] if folder.is_dir() else []
    if strange:
        raise InputError(f"{folder} holds {strange[0]}; name a new folder for the submission")
